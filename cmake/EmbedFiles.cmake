# cmake -DFOLDER=… -DOUTPUT=… -P EmbedFiles.cmake: writes dashboard_files() of cpp/src/server/assets.hpp, with every file of FOLDER.
file(GLOB_RECURSE paths LIST_DIRECTORIES false RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT paths)
set(arrays "")
set(entries "")
set(number 0)
foreach(path IN LISTS paths)
  file(READ ${FOLDER}/${path} bytes HEX)
  if(bytes STREQUAL "")
    message(FATAL_ERROR "${FOLDER}/${path} is empty: the build of the dashboard went wrong")
  endif()
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "// ${path}\nconstexpr unsigned char kFile${number}[] = {\n${bytes}};\n")
  string(APPEND entries "        EmbeddedFile{\"${path}\", view(kFile${number})},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/EmbedFiles.cmake.
#include <array>
#include <cstddef>

#include \"assets.hpp\"

namespace session_buddy::server {

namespace {

${arrays}
template <std::size_t size>
std::string_view view(const unsigned char (&bytes)[size]) {
    return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

std::span<const EmbeddedFile> dashboard_files() {
    static const std::array files{
${entries}    };
    return files;
}

}  // namespace session_buddy::server
")
