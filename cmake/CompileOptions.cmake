# Warnings and instrumentation as an interface target, linked by all first-party targets.

add_library(session_buddy_options INTERFACE)
target_compile_options(session_buddy_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wdouble-promotion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 has false -Wrestrict warnings for string concatenation (GCC bug 105651).
  target_compile_options(session_buddy_options INTERFACE -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND SESSION_BUDDY_UNITY_BUILD)
  # GCC takes a source that a unity build includes for a header.
  target_compile_options(session_buddy_options INTERFACE -Wno-subobject-linkage)
endif()
if(SESSION_BUDDY_SANITIZER)
  target_compile_options(session_buddy_options INTERFACE
    -fsanitize=${SESSION_BUDDY_SANITIZER} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(session_buddy_options INTERFACE -fsanitize=${SESSION_BUDDY_SANITIZER})
endif()
if(SESSION_BUDDY_COVERAGE)
  target_compile_options(session_buddy_options INTERFACE --coverage -fprofile-update=atomic -O0 -g)
  target_link_options(session_buddy_options INTERFACE --coverage)
endif()
