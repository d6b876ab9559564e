# nccl.h, of the nvidia-nccl-cu12 (or -cu13) wheel or of a system package. Nothing is linked: the
# library is loaded at run time. No CUDA toolkit is needed (libaccount/nccl/names/cuda_runtime.h).
# Includers test account_nccl_include: with ACCOUNT_WITH_NCCL=AUTO there may be none.
set(account_nccl_include "")
set(account_nccl_hints "${ACCOUNT_NCCL_DIR}/include")
if(NOT ACCOUNT_NCCL_DIR)
  find_package(Python3 COMPONENTS Interpreter QUIET)
  if(Python3_FOUND)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
        "import importlib.util as u; s = u.find_spec('nvidia'); print(';'.join(p + '/nccl/include' for p in s.submodule_search_locations) if s else '', end='')"
      OUTPUT_VARIABLE account_nccl_hints ERROR_QUIET)
  endif()
endif()
find_path(account_nccl_found nccl.h HINTS ${account_nccl_hints} NO_CACHE)
if(account_nccl_found)
  set(account_nccl_include "${account_nccl_found}")
  file(STRINGS "${account_nccl_found}/nccl.h" account_nccl_lines
    REGEX "#define NCCL_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9]+([0-9]+)" "\\1." account_nccl_version "${account_nccl_lines}")
  message(STATUS "nccl.h ${account_nccl_version} in ${account_nccl_found}")
elseif(NOT ACCOUNT_WITH_NCCL STREQUAL "AUTO")
  message(FATAL_ERROR
    "nccl.h was not found. Install it (pip install --no-deps -r requirements/nccl.txt), set "
    "-DACCOUNT_NCCL_DIR to a folder that has include/nccl.h, or -DACCOUNT_WITH_NCCL=OFF.")
endif()
