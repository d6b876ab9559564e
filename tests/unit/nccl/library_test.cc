// The real libnccl: loads and answers without a GPU, and says what is missing.
#include <dlfcn.h>
#include <gmock/gmock.h>

#include "account/nccl.h"
#include "nccl/api.h"
#include "support/matchers.h"

namespace account::nccl {
namespace {

using ::testing::HasSubstr;

// ctest builds this only where nccl.h is; the wheel that has the header has the library.
TEST(LibraryTest, IsOfTheVersionThatItsHeaderSays) {
  const auto version = library_version(ACCOUNT_NCCL_LIBRARY);
  ASSERT_THAT(version, testing::IsOk());
  EXPECT_EQ(*version, built_for());
}

// Without a driver the API is refused with one sentence; with one it is whole, and a communicator
// that is none is an error and no crash.
TEST(LibraryTest, LoadsWholeOrSaysWhatIsMissing) {
  const auto api = load_api(ACCOUNT_NCCL_LIBRARY);
  if (void* driver = dlopen("libcuda.so.1", RTLD_NOW); driver == nullptr) {
    ASSERT_FALSE(api.ok());
    EXPECT_EQ(api.status().code(), Code::unavailable);
    EXPECT_THAT(api.status().to_string(), HasSubstr("the CUDA driver cannot be loaded"));
  } else {
    ASSERT_THAT(api, testing::IsOk());
    EXPECT_FALSE((*api)->ranks_of(nullptr).ok());
    dlclose(driver);
  }
}

TEST(LibraryTest, ALibraryThatIsNotThereIsNamed) {
  const auto api = load_api("/no/such/libnccl.so");
  ASSERT_FALSE(api.ok());
  EXPECT_THAT(api.status().to_string(), HasSubstr("/no/such/libnccl.so"));
}

}  // namespace
}  // namespace account::nccl
