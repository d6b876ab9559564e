# PyTorch as two imported libraries and its headers. Not find_package(Torch): that wants a CUDA
# toolkit for a CUDA build of torch and sets flags for the whole project; counting needs neither.
# Includers test TARGET account_libtorch_cpu: with ACCOUNT_WITH_TORCH=AUTO there may be none.
set(account_torch_dir "${ACCOUNT_TORCH_DIR}")
if(NOT account_torch_dir)
  find_package(Python3 COMPONENTS Interpreter QUIET)
  if(Python3_FOUND)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
        "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '', end='')"
      OUTPUT_VARIABLE account_torch_dir ERROR_QUIET)
  endif()
endif()
if(NOT EXISTS "${account_torch_dir}/lib/libtorch_cpu.so")
  if(ACCOUNT_WITH_TORCH STREQUAL "AUTO")
    message(WARNING "No PyTorch to build against: this package will count nothing. With pip, use "
      "--no-build-isolation where torch is installed.")
    return()
  endif()
  message(FATAL_ERROR
    "PyTorch was not found (looked in '${account_torch_dir}'). Set -DACCOUNT_TORCH_DIR to the folder "
    "that python -c 'import torch; print(torch.__path__[0])' prints, or -DACCOUNT_WITH_TORCH=OFF.")
endif()

# The version that the headers belong to; install() compares it with the loaded library's.
foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS "${account_torch_dir}/include/${header}")
    file(STRINGS "${account_torch_dir}/include/${header}" account_torch_lines
      REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    if(account_torch_lines)
      break()
    endif()
  endif()
endforeach()
string(REGEX REPLACE "[^0-9]+([0-9]+)" "\\1." ACCOUNT_TORCH_VERSION "${account_torch_lines}")
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" ACCOUNT_TORCH_VERSION "${ACCOUNT_TORCH_VERSION}")
if(NOT ACCOUNT_TORCH_VERSION)
  message(FATAL_ERROR "${account_torch_dir}/include holds no torch version header; is it a full PyTorch?")
endif()
set(ACCOUNT_TORCH_VERSION "${ACCOUNT_TORCH_VERSION}" CACHE INTERNAL "torch of account::torch")
# An adapter serves one minor version, and each has a folder of its own.
string(REGEX MATCH "^[0-9]+\\.[0-9]+" account_torch_minor "${ACCOUNT_TORCH_VERSION}")
set(ACCOUNT_TORCH_FOLDER "torch-${account_torch_minor}" CACHE INTERNAL "folder of the adapter")
message(STATUS "PyTorch ${ACCOUNT_TORCH_VERSION} in ${account_torch_dir}")

foreach(library torch_cpu c10)
  add_library(account_lib${library} SHARED IMPORTED GLOBAL)
  set_target_properties(account_lib${library} PROPERTIES
    IMPORTED_LOCATION "${account_torch_dir}/lib/lib${library}.so"
    INTERFACE_COMPILE_OPTIONS "-fmacro-prefix-map=${account_torch_dir}/=torch/"
    # SYSTEM: torch's headers are not ours to warn about.
    INTERFACE_INCLUDE_DIRECTORIES
      "${account_torch_dir}/include;${account_torch_dir}/include/torch/csrc/api/include"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES
      "${account_torch_dir}/include;${account_torch_dir}/include/torch/csrc/api/include")
endforeach()
