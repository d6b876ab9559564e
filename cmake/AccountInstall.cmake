# What `cmake --install` puts where, and the package that find_package(account) reads.
#
#   runtime       libaccount.so and the account command
#   development   headers and the CMake package
#   torch, nccl   account::torch and account::nccl: library, header and export set of each; found only
#                 when asked for
#
# A wheel holds `python` (bindings/python) and all of these but `runtime`, so that the installed Python
# package is at once a prefix for find_package(account).
include(CMakePackageConfigHelpers)

set(account_library_dir ${CMAKE_INSTALL_LIBDIR})
if(SKBUILD)
  set(account_library_dir lib)
endif()
set(account_package_dir ${account_library_dir}/cmake/account)

install(TARGETS account EXPORT accountTargets
  LIBRARY DESTINATION ${account_library_dir} COMPONENT runtime NAMELINK_COMPONENT development)
if(TARGET account_cli)
  install(TARGETS account_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
endif()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/accountConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/accountConfig.cmake
  INSTALL_DESTINATION ${account_package_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/package/accountConfigVersion.cmake COMPATIBILITY SameMinorVersion)

list(TRANSFORM ACCOUNT_PUBLIC_HEADERS PREPEND ${PROJECT_SOURCE_DIR}/libaccount/include/account/
  OUTPUT_VARIABLE account_header_files)
install(FILES ${account_header_files} ${PROJECT_BINARY_DIR}/generated/account/version.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/account COMPONENT development)
install(FILES
  ${PROJECT_BINARY_DIR}/package/accountConfig.cmake
  ${PROJECT_BINARY_DIR}/package/accountConfigVersion.cmake
  DESTINATION ${account_package_dir} COMPONENT development)
install(EXPORT accountTargets NAMESPACE account::
  DESTINATION ${account_package_dir} COMPONENT development)

# account_install_part(<part> <word> <folder below the library folder> <path from there to it>)
function(account_install_part part word folder path)
  if(NOT TARGET account_${part})
    return()
  endif()
  set_property(TARGET account_${part} PROPERTY INSTALL_RPATH "$ORIGIN${path}")
  install(TARGETS account_${part} EXPORT account${word}Targets
    LIBRARY DESTINATION ${account_library_dir}${folder} COMPONENT ${part})
  install(FILES ${PROJECT_SOURCE_DIR}/libaccount/include/account/${part}.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/account COMPONENT ${part})
  install(EXPORT account${word}Targets NAMESPACE account::
    DESTINATION ${account_package_dir} COMPONENT ${part})
endfunction()
account_install_part(torch Torch "/${ACCOUNT_TORCH_FOLDER}" "/..")
account_install_part(nccl Nccl "" "")
