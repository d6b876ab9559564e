# Every dependency of the core, found on the system; nothing is fetched.
set(ACCOUNT_APT_HINT
  "apt-get install libsodium-dev libssl-dev libfmt-dev nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev")

macro(account_require package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found. Install it: ${ACCOUNT_APT_HINT}")
  endif()
endmacro()

account_require(fmt)
# fmt's own code is compiled once, in base/fmt.cc, and not in every file that formats, which would
# double the time to compile one. What that file does not know is used header-only.
add_library(account_fmt INTERFACE)
if(fmt_VERSION VERSION_GREATER_EQUAL 9.1 AND fmt_VERSION VERSION_LESS 10)
  target_include_directories(account_fmt SYSTEM INTERFACE
    $<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>)
else()
  target_link_libraries(account_fmt INTERFACE fmt::fmt-header-only)
endif()
account_require(nlohmann_json)
account_require(CLI11)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Cryptography is linked statically and kept out of our exports, so that it cannot meet another copy in
# the same process (PyNaCl carries a libsodium, Python's ssl a libcrypto).
macro(account_static_library name library header)
  find_path(${name}_INCLUDE_DIR ${header})
  find_library(${name}_LIBRARY ${library})
  if(NOT ${name}_INCLUDE_DIR OR NOT ${name}_LIBRARY)
    message(FATAL_ERROR "${library} with its headers was not found. Install it: ${ACCOUNT_APT_HINT}")
  endif()
  add_library(${name} STATIC IMPORTED)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION "${${name}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${${name}_INCLUDE_DIR}")
endmacro()

account_static_library(account_sodium libsodium.a sodium.h)
# For SHA-256 alone, by the CPU's own instructions; a linker takes nothing else out of it.
account_static_library(account_crypto libcrypto.a openssl/sha.h)

if(ACCOUNT_BUILD_TESTS)
  account_require(GTest)
endif()
if(ACCOUNT_BUILD_BENCHMARKS)
  account_require(benchmark)
endif()
