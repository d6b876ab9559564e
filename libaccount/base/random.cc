// Randomness from the kernel.
#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace account {

std::string random_bytes(size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = getrandom(bytes.data() + done, size - done, 0);
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      std::abort();  // no kernel we run on lacks getrandom(2); going on would mean guessable keys
    }
  }
  return bytes;
}

}  // namespace account
