# cmake -DFOLDER=… -DNPM=… -P InstallPackages.cmake: installs the npm packages that a build of FOLDER uses, unless
# scripts/test-tools has installed them with those for the tests, which npm would remove.
set(complete ${FOLDER}/node_modules/.complete)
if(NOT EXISTS ${complete} OR ${FOLDER}/package-lock.json IS_NEWER_THAN ${complete})
  execute_process(COMMAND ${NPM} ci --omit=dev --loglevel=error --no-audit --no-fund
    WORKING_DIRECTORY ${FOLDER} COMMAND_ERROR_IS_FATAL ANY)
  file(TOUCH ${FOLDER}/node_modules/.package-lock.json)
endif()
