# Dependencies: the system's library if it is recent enough, else a pinned release, verified by its hash.
#
# The target names are the same either way. Nothing is downloaded for a library that find_package finds; to force the
# pinned release of one, configure with -DCMAKE_DISABLE_FIND_PACKAGE_<name>=ON, and to build without a network from an
# unpacked copy add -DFETCHCONTENT_SOURCE_DIR_<NAME>=<folder>. OpenSSL, cjose and Python are never fetched:
# security-critical libraries should come from the OS vendor. docs/reference/dependencies.md says where the hashes come from and which paths were tried.
include(FetchContent)
set(FETCHCONTENT_QUIET OFF)
# Pinned releases older than CMake 4 still request policies that it removed.
set(CMAKE_POLICY_VERSION_MINIMUM 3.10)
# Their options are set as plain variables, so that they do not enter the cache.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
# Extracted files get the time of extraction, so that updating a pin rebuilds its dependents.
set(CMAKE_POLICY_DEFAULT_CMP0135 NEW)
cmake_policy(SET CMP0135 NEW)

# Marks the headers of a fetched library as system headers, which suppresses their warnings.
# (The SYSTEM keyword of FetchContent requires CMake 3.25.)
function(session_buddy_fetched_headers_are_system target)
  get_target_property(imported ${target} IMPORTED)
  if(NOT imported)
    get_target_property(aliased ${target} ALIASED_TARGET)
    if(aliased)
      set(target ${aliased})
    endif()
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    set_property(TARGET ${target} PROPERTY INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${folders}")
  endif()
endfunction()

find_package(Threads REQUIRED)

# --- Libraries that are never fetched. All missing ones are reported together, with their packages.
set(missing "")
set(missing_debian "")
set(missing_fedora "")
set(missing_homebrew "")
macro(session_buddy_is_missing what debian fedora homebrew)
  list(APPEND missing "${what}")
  list(APPEND missing_debian ${debian})
  list(APPEND missing_fedora ${fedora})
  list(APPEND missing_homebrew ${homebrew})
endmacro()

find_package(OpenSSL 3.0 QUIET)
if(NOT OpenSSL_FOUND)
  session_buddy_is_missing("OpenSSL 3.0 or later, with its headers" libssl-dev openssl-devel openssl@3)
endif()

# cjose: signatures of JSON Web Tokens. It has no CMake package file.
find_path(CJOSE_INCLUDE_DIR cjose/cjose.h)
find_library(CJOSE_LIBRARY cjose)
if(NOT CJOSE_INCLUDE_DIR OR NOT CJOSE_LIBRARY)
  session_buddy_is_missing("cjose, with its headers" libcjose-dev cjose-devel cjose)
endif()

# Python: the interpreter that builds the wheel.
if(SESSION_BUDDY_BUILD_PYTHON)
  find_package(Python 3.10 QUIET COMPONENTS Interpreter Development.Module)
  if(NOT Python_FOUND)
    session_buddy_is_missing("Python 3.10 or later, with its headers" python3-dev python3-devel python)
  endif()
endif()

if(missing)
  list(JOIN missing "; " missing)
  list(JOIN missing_debian " " missing_debian)
  list(JOIN missing_fedora " " missing_fedora)
  list(JOIN missing_homebrew " " missing_homebrew)
  message(FATAL_ERROR "Not found: ${missing}. Please install:\n"
    "  Debian, Ubuntu  apt-get install ${missing_debian}\n"
    "  Fedora          dnf install ${missing_fedora}\n"
    "  Homebrew        brew install ${missing_homebrew}\n")
endif()
add_library(session_buddy_cjose INTERFACE)
target_include_directories(session_buddy_cjose SYSTEM INTERFACE ${CJOSE_INCLUDE_DIR})
target_link_libraries(session_buddy_cjose INTERFACE ${CJOSE_LIBRARY})

# --- Libraries that are fetched if the system has none.

# A failing FetchContent retries for minutes and prints almost two hundred lines. So first request a single byte from each
# host, once and with a timeout.
function(session_buddy_expect_host name url)
  string(TOUPPER ${name} upper)
  string(TOLOWER ${name} lower)
  string(REGEX MATCH "^https://[^/]+" host ${url})
  get_property(reached GLOBAL PROPERTY SESSION_BUDDY_REACHED_HOSTS)
  file(GLOB downloaded ${FETCHCONTENT_BASE_DIR}/${lower}-src/*)
  if(host IN_LIST reached OR downloaded OR FETCHCONTENT_FULLY_DISCONNECTED)
    return()
  endif()
  message(NOTICE "-- This system has no recent enough ${name}: fetching ${url}")
  set(probe ${CMAKE_BINARY_DIR}/probe)
  file(DOWNLOAD ${url} ${probe} STATUS status TIMEOUT 20 RANGE_START 0 RANGE_END 0)
  list(POP_FRONT status failed reason)
  set(size 0)
  if(EXISTS ${probe})
    file(SIZE ${probe} size)
    file(REMOVE ${probe})
  endif()
  # If the host ignores the range, the download may time out, but the host is reachable.
  if(failed AND size EQUAL 0)
    message(FATAL_ERROR "${name}: this system has no recent enough version, and the release cannot be fetched: ${host} "
      "does not answer (${reason}). Please install the libraries of the system:\n"
      "  Debian, Ubuntu  scripts/system-packages build, or: apt-get install libsqlite3-dev zlib1g-dev libsqlitecpp-dev "
      "libboost-dev (on Debian 12 libboost1.81-dev) nlohmann-json3-dev libsimdjson-dev libspdlog-dev prometheus-cpp-dev "
      "libcli11-dev libtomlplusplus-dev\n"
      "or pass an unpacked copy with -DFETCHCONTENT_SOURCE_DIR_${upper}=<folder>; see docs/reference/dependencies.md.\n")
  endif()
  set_property(GLOBAL APPEND PROPERTY SESSION_BUDDY_REACHED_HOSTS ${host})
endfunction()

# The remaining arguments are passed to FetchContent_Declare.
macro(session_buddy_library name url sha256)
  FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} ${ARGN})
  cmake_parse_arguments(library "" "SOURCE_SUBDIR" "FIND_PACKAGE_ARGS" ${ARGN})
  string(TOUPPER ${name} upper)
  if(NOT FETCHCONTENT_SOURCE_DIR_${upper})
    find_package(${name} ${library_FIND_PACKAGE_ARGS} QUIET)
    if(NOT ${name}_FOUND)
      session_buddy_expect_host(${name} ${url})
    endif()
  endif()
  FetchContent_MakeAvailable(${name})
endmacro()

# --- SQLite: the amalgamation has no build system.
session_buddy_library(SQLite3
  https://www.sqlite.org/2024/sqlite-amalgamation-3460100.zip
  77823cb110929c2bcb0f5d48e4833b5c59a8a6e40cdea3936b99e199dbbe5784
  FIND_PACKAGE_ARGS 3.40)
if(NOT TARGET SQLite::SQLite3)
  add_library(session_buddy_sqlite3 STATIC EXCLUDE_FROM_ALL ${sqlite3_SOURCE_DIR}/sqlite3.c)
  # An imported target, as find_package creates it: SQLiteCpp uses it in its install rules, where an alias does not work.
  add_library(SQLite::SQLite3 INTERFACE IMPORTED GLOBAL)
  target_link_libraries(SQLite::SQLite3 INTERFACE session_buddy_sqlite3)
  target_include_directories(session_buddy_sqlite3 SYSTEM PUBLIC ${sqlite3_SOURCE_DIR})
  target_compile_definitions(session_buddy_sqlite3 PRIVATE
    SQLITE_ENABLE_FTS5 SQLITE_ENABLE_COLUMN_METADATA SQLITE_THREADSAFE=1 SQLITE_DQS=0)
  target_link_libraries(session_buddy_sqlite3 PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  # For find_package(SQLite3) in SQLiteCpp.
  set(SQLite3_INCLUDE_DIR ${sqlite3_SOURCE_DIR} CACHE PATH "SQLite headers" FORCE)
  set(SQLite3_LIBRARY SQLite::SQLite3 CACHE STRING "SQLite library" FORCE)
  set(CMAKE_DISABLE_FIND_PACKAGE_SQLite3 OFF)
endif()

# CMake 4 deprecates this target name for one that CMake 3 does not have: suppress the warning.
get_target_property(aliased SQLite::SQLite3 ALIASED_TARGET)
if(NOT aliased)
  set_property(TARGET SQLite::SQLite3 PROPERTY DEPRECATION)
endif()

# --- zlib: its build renames a header in the sources and adds programs, so it is not used (the subfolder does not exist).
session_buddy_library(ZLIB
  https://github.com/madler/zlib/releases/download/v1.3.1/zlib-1.3.1.tar.gz
  9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23
  SOURCE_SUBDIR none
  FIND_PACKAGE_ARGS 1.2.11)
if(NOT TARGET ZLIB::ZLIB)
  # Without the .gz file functions, which have additional system requirements.
  file(GLOB sources ${zlib_SOURCE_DIR}/*.c)
  list(FILTER sources EXCLUDE REGEX "/gz[a-z]+\\.c$")
  add_library(session_buddy_zlib STATIC EXCLUDE_FROM_ALL ${sources})
  target_include_directories(session_buddy_zlib SYSTEM PUBLIC ${zlib_SOURCE_DIR})
  add_library(ZLIB::ZLIB ALIAS session_buddy_zlib)
endif()

# --- SQLiteCpp
set(SQLITECPP_INTERNAL_SQLITE OFF)
set(SQLITECPP_RUN_CPPLINT OFF)
set(SQLITECPP_RUN_CPPCHECK OFF)
set(SQLITECPP_USE_STACK_PROTECTION OFF)
session_buddy_library(SQLiteCpp
  https://github.com/SRombauts/SQLiteCpp/archive/refs/tags/3.2.1.tar.gz
  70c67d5680c47460f82a7abf8e6b0329bf2fb10795a982a6d8abc06adb42d693
  FIND_PACKAGE_ARGS 3.2)
session_buddy_fetched_headers_are_system(SQLiteCpp)

# --- Boost: only the headers of Asio and Beast, so the build of Boost is not used (the subfolder does not exist).
session_buddy_library(Boost
  https://github.com/boostorg/boost/releases/download/boost-1.83.0/boost-1.83.0.tar.xz
  c5a0688e1f0c05f354bbd0b32244d36085d9ffc9f932e8a18983a9908096f614
  SOURCE_SUBDIR none
  FIND_PACKAGE_ARGS 1.81 CONFIG)
if(NOT TARGET Boost::headers)
  file(GLOB folders LIST_DIRECTORIES ON ${boost_SOURCE_DIR}/libs/*/include ${boost_SOURCE_DIR}/libs/numeric/*/include)
  add_library(session_buddy_boost INTERFACE)
  add_library(Boost::headers ALIAS session_buddy_boost)
  target_include_directories(session_buddy_boost SYSTEM INTERFACE ${folders})
endif()

# --- nlohmann_json
set(JSON_BuildTests OFF)
session_buddy_library(nlohmann_json
  https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
  d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273
  FIND_PACKAGE_ARGS 3.11)
session_buddy_fetched_headers_are_system(nlohmann_json::nlohmann_json)

# --- simdjson: its package file accepts only its exact minor version, so request the installed one.
set(SIMDJSON_DEVELOPER_MODE OFF)
set(simdjson_wanted 3.0)
if(NOT CMAKE_DISABLE_FIND_PACKAGE_simdjson)
  find_package(simdjson 999 CONFIG QUIET)
  foreach(version IN LISTS simdjson_CONSIDERED_VERSIONS)
    if(version VERSION_GREATER simdjson_wanted)
      set(simdjson_wanted ${version})
    endif()
  endforeach()
endif()
session_buddy_library(simdjson
  https://github.com/simdjson/simdjson/archive/refs/tags/v3.12.2.tar.gz
  8ac7c97073d5079f54ad66d04381ec75e1169c2e20bfe9b6500bc81304da3faf
  FIND_PACKAGE_ARGS ${simdjson_wanted} CONFIG)
session_buddy_fetched_headers_are_system(simdjson::simdjson)

# --- spdlog, with its bundled fmt. Header-only: loading a shared library would slow down each hook.
session_buddy_library(spdlog
  https://github.com/gabime/spdlog/archive/refs/tags/v1.14.1.tar.gz
  1586508029a7d0670dfcb2d97575dcdc242d3868a259742b69f100801ab4e16b
  FIND_PACKAGE_ARGS 1.10)
session_buddy_fetched_headers_are_system(spdlog::spdlog_header_only)

# --- prometheus-cpp: only its data model and text format, without server and push. Its package file has no version, so none
# is requested; 1.0 or later is sufficient.
set(ENABLE_PULL OFF)
set(ENABLE_PUSH OFF)
set(ENABLE_COMPRESSION OFF)
set(ENABLE_TESTING OFF)
set(GENERATE_PKGCONFIG OFF)
set(USE_THIRDPARTY_LIBRARIES OFF)
session_buddy_library(prometheus-cpp
  https://github.com/jupp0r/prometheus-cpp/releases/download/v1.3.0/prometheus-cpp-with-submodules.tar.gz
  62bc2cc9772db2314dbaae506ae2a75c8ee897dab053d8729e86a637b018fdb6
  FIND_PACKAGE_ARGS CONFIG)
session_buddy_fetched_headers_are_system(prometheus-cpp::core)

# --- CLI11
session_buddy_library(CLI11
  https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
  f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a
  FIND_PACKAGE_ARGS 2.1)
session_buddy_fetched_headers_are_system(CLI11::CLI11)

# --- toml++. Header-only as well; the target of a system package would link the library.
session_buddy_library(tomlplusplus
  https://github.com/marzer/tomlplusplus/archive/refs/tags/v3.4.0.tar.gz
  8517f65938a4faae9ccf8ebb36631a38c1cadfb5efa85d9a72e15b9e97d25155
  FIND_PACKAGE_ARGS 3.3)
session_buddy_fetched_headers_are_system(tomlplusplus::tomlplusplus)
add_library(session_buddy_tomlplusplus INTERFACE)
target_include_directories(session_buddy_tomlplusplus SYSTEM INTERFACE
  $<TARGET_PROPERTY:tomlplusplus::tomlplusplus,INTERFACE_INCLUDE_DIRECTORIES>)

# --- GoogleTest
if(SESSION_BUDDY_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  session_buddy_library(GTest
    https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz
    81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2
    FIND_PACKAGE_ARGS 1.12)
  session_buddy_fetched_headers_are_system(GTest::gtest)
  session_buddy_fetched_headers_are_system(GTest::gmock)
endif()

# --- Google Benchmark
if(SESSION_BUDDY_BUILD_BENCH)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  session_buddy_library(benchmark
    https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
    6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7
    FIND_PACKAGE_ARGS 1.7)
  session_buddy_fetched_headers_are_system(benchmark::benchmark)
endif()

# --- pybind11 from PyPI.
if(SESSION_BUDDY_BUILD_PYTHON)
  find_package(pybind11 2.13 CONFIG REQUIRED)
endif()
