# One static library a folder of libaccount/, so that a folder can only link what stands above it.
set(ACCOUNT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor)
# GCC 12 sees overlapping copies in std::string at -O3 where there are none (GCC bug 105651), and
# uninitialised bytes in the inline buffer of a string that was moved out of a std::variant.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND ACCOUNT_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(ACCOUNT_WERROR)
  list(APPEND ACCOUNT_WARNINGS -Werror)
endif()

# For code that runs once a command or a seal: its size is what users download.
set(ACCOUNT_SMALL $<$<NOT:$<CONFIG:Debug>>:-Os>)

# account_folder(<name> [SMALL] SOURCES <file>... [DEPENDS <folder>...] [LINK <target>...])
function(account_folder name)
  cmake_parse_arguments(arg "SMALL" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(account_${name} STATIC ${arg_SOURCES})
  target_compile_options(account_${name} PRIVATE ${ACCOUNT_WARNINGS})
  if(arg_SMALL)
    target_compile_options(account_${name} PRIVATE ${ACCOUNT_SMALL})
  endif()
  target_include_directories(account_${name} PUBLIC
    ${PROJECT_SOURCE_DIR}/libaccount ${PROJECT_SOURCE_DIR}/libaccount/include
    ${PROJECT_BINARY_DIR}/generated)
  list(TRANSFORM arg_DEPENDS PREPEND account_)
  target_link_libraries(account_${name} PUBLIC ${arg_DEPENDS} Threads::Threads PRIVATE ${arg_LINK})
endfunction()

# Tests take longer to compile than to run.
set(ACCOUNT_TEST_OPTIMISATION $<IF:$<CONFIG:Debug>,-O0,-O1>)

# account_test(<name> SOURCES <file>... FOLDERS <folder>... [LINK <target>...]): a GoogleTest
# program that links only the named folders and what stands above them.
function(account_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;FOLDERS;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_compile_options(${name} PRIVATE ${ACCOUNT_WARNINGS} ${ACCOUNT_TEST_OPTIMISATION})
  list(TRANSFORM arg_FOLDERS PREPEND account_)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE ACCOUNT_TESTS_DIR="${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${arg_FOLDERS} ${arg_LINK} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
endfunction()

# account_embed(<file.cc> FILES <file>... HEADER <folder/file.h> NAMESPACE <namespace>
#               FUNCTION <name> [WHOLE_NAMES])
# Generates ${CMAKE_CURRENT_BINARY_DIR}/<file.cc>, which holds the files' bytes (cmake/embed.cmake).
function(account_embed output)
  cmake_parse_arguments(PARSE_ARGV 1 arg "WHOLE_NAMES" "HEADER;NAMESPACE;FUNCTION" "FILES")
  list(JOIN arg_FILES "," in_one_word)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/${output}
            "-DFILES=${in_one_word}" -DHEADER=${arg_HEADER} -DNAMESPACE=${arg_NAMESPACE}
            -DFUNCTION=${arg_FUNCTION} -DWHOLE_NAMES=${arg_WHOLE_NAMES} -P ${script}
    DEPENDS ${arg_FILES} ${script}
    COMMENT "Embedding ${output}"
    VERBATIM)
endfunction()
