# Warnings and instrumentation, as one interface target that all of our own code links.

add_library(session_buddy_options INTERFACE)
target_compile_options(session_buddy_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wnull-dereference -Wdouble-promotion)
if(SESSION_BUDDY_SANITIZER)
  target_compile_options(session_buddy_options INTERFACE
    -fsanitize=${SESSION_BUDDY_SANITIZER} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  target_link_options(session_buddy_options INTERFACE -fsanitize=${SESSION_BUDDY_SANITIZER})
endif()
if(SESSION_BUDDY_COVERAGE)
  target_compile_options(session_buddy_options INTERFACE --coverage -fprofile-update=atomic -O0 -g)
  target_link_options(session_buddy_options INTERFACE --coverage)
endif()
