# Every dependency of the core, found on the system; nothing is fetched.
set(ACCOUNT_APT_HINT
  "apt-get install libsodium-dev libfmt-dev nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev")

macro(account_require package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found. Install it: ${ACCOUNT_APT_HINT}")
  endif()
endmacro()

account_require(fmt)
account_require(nlohmann_json)
account_require(CLI11)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# libsodium comes without a CMake package. Linked statically and kept out of our exports, so that it
# cannot meet another copy in the same process (PyNaCl carries one).
find_path(SODIUM_INCLUDE_DIR sodium.h)
find_library(SODIUM_STATIC_LIBRARY libsodium.a)
if(NOT SODIUM_INCLUDE_DIR OR NOT SODIUM_STATIC_LIBRARY)
  message(FATAL_ERROR "libsodium (header and libsodium.a) was not found. Install it: ${ACCOUNT_APT_HINT}")
endif()
add_library(account_sodium STATIC IMPORTED)
set_target_properties(account_sodium PROPERTIES
  IMPORTED_LOCATION "${SODIUM_STATIC_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${SODIUM_INCLUDE_DIR}")

if(ACCOUNT_BUILD_TESTS)
  account_require(GTest)
endif()
if(ACCOUNT_BUILD_BENCHMARKS)
  account_require(benchmark)
endif()
