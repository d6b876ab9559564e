// The Merkle tree of RFC 6962, section 2.1, as it grows.
#include <bit>

#include "sign/sign.h"

namespace account::sign {
namespace {

// RFC 6962, section 2.1: the prefixes keep an inner node from being taken for an entry.
constexpr std::string_view kLeafPrefix("\x00", 1);
constexpr std::string_view kNodePrefix("\x01", 1);

Digest node_hash(const Digest& left, const Digest& right) {
  std::string bytes(kNodePrefix);
  bytes.append(as_bytes(left)).append(as_bytes(right));
  return sha256(bytes);
}

}  // namespace

Digest leaf_hash(std::string_view entry) {
  Sha256 hash;
  hash.update(kLeafPrefix);
  hash.update(entry);
  return hash.finish();
}

// A tree of n entries is a row of full subtrees, one for each set bit of n; adding an entry is
// adding 1 to n, and each carry joins two subtrees of equal size.
void MerkleTree::append(std::string_view entry) {
  Digest digest = leaf_hash(entry);
  for (int carries = std::countr_one(size_); carries > 0; --carries) {
    digest = node_hash(peaks_.back(), digest);
    peaks_.pop_back();
  }
  peaks_.push_back(digest);
  ++size_;
}

Digest MerkleTree::root() const {
  if (peaks_.empty()) return sha256("");
  Digest digest = peaks_.back();
  for (size_t i = peaks_.size() - 1; i > 0; --i) digest = node_hash(peaks_[i - 1], digest);
  return digest;
}

}  // namespace account::sign
