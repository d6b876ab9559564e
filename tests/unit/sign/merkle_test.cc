// The Merkle tree against RFC 6962's definition and published roots.
#include "unit/sign/support.h"

namespace account::sign {
namespace {

// RFC 6962, section 2.1, word for word: split at the largest power of two below n.
Digest recursive_root(const std::vector<std::string>& entries, size_t begin, size_t end) {
  if (begin == end) return sha256("");
  if (end - begin == 1) return sha256(std::string(1, '\x00') + entries[begin]);
  size_t split = 1;
  while (split * 2 < end - begin) split *= 2;
  const Digest left = recursive_root(entries, begin, begin + split);
  const Digest right = recursive_root(entries, begin + split, end);
  return sha256(std::string(1, '\x01').append(as_bytes(left)).append(as_bytes(right)));
}

TEST(MerkleTreeTest, GrowsAsTheRecursiveDefinitionSays) {
  std::vector<std::string> entries;
  MerkleTree tree;
  for (size_t n = 0; n <= 257; ++n) {
    EXPECT_EQ(tree.size(), n);
    ASSERT_EQ(to_hex(tree.root()), to_hex(recursive_root(entries, 0, n))) << n;
    entries.push_back("entry " + std::to_string(n));
    tree.append(entries.back());
  }
}

TEST(MerkleTreeTest, AgreesWithPublishedRoots) {
  // Google's certificate-transparency test data: eight entries and the root after each.
  const std::pair<const char*, const char*> steps[] = {
      {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
      {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
      {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
      {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
      {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
      {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
      {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
      {"606162636465666768696a6b6c6d6e6f",
       "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
  };
  MerkleTree tree;
  EXPECT_EQ(to_hex(tree.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const auto& [entry, root] : steps) {
    tree.append(unhex(entry));
    EXPECT_EQ(to_hex(tree.root()), root);
  }
}

TEST(MerkleTreeTest, KeepsALeafApartFromANode) {
  MerkleTree pair;
  pair.append("a");
  pair.append("b");
  MerkleTree forged;  // one entry that spells the pair's two leaf hashes
  forged.append(std::string(as_bytes(leaf_hash("a"))).append(as_bytes(leaf_hash("b"))));
  EXPECT_NE(pair.root(), forged.root());
}

}  // namespace
}  // namespace account::sign
