// Signed notes and checkpoints: the published example, and everything that must be refused.
#include "unit/sign/support.h"

namespace account::sign {
namespace {

constexpr std::string_view kDash = "\u2014 ";

// The example of C2SP signed-note, whose keys stand in golang.org/x/mod/sumdb/note.
TEST(NoteTest, SignsThePublishedExampleByteForByte) {
  const std::string text =
      "If you think cryptography is the answer to your problem,\n"
      "then you don't know what your problem is.\n";
  const std::string note = text +
                           "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGU"
                           "gYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  const std::string typed_seed =
      from_base64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").value();
  const SecretKey key =
      SecretKey::from_seed(typed_seed.substr(1), SecretAccess::i_know_what_i_am_doing()).value();
  EXPECT_EQ(sign_note(text, "PeterNeumann", key).value(), note);
  EXPECT_EQ(verify_note(note, "PeterNeumann", key.public_key()).value(), text);
  EXPECT_EQ(verify_note(note, "PeterNewmann", key.public_key()).status().code(), Code::unverified);
  EXPECT_EQ(verify_note(note, "PeterNeumann", fixed_key(1).public_key()).status().code(),
            Code::unverified);
}

Checkpoint example() {
  MerkleTree tree;
  tree.append("a");
  return {"account/run-1/1f00ba5e", tree.size(), tree.root()};
}

TEST(CheckpointTest, ReadsBackWhatItWrites) {
  const SecretKey key = fixed_key(7);
  const std::string note = write_checkpoint(example(), key).value();
  const auto read = verify_checkpoint(note, key.public_key());
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->origin, example().origin);
  EXPECT_EQ(read->size, 1u);
  EXPECT_EQ(read->root, example().root);
}

TEST(CheckpointTest, RefusesEveryFlippedBitAndEveryTruncation) {
  const SecretKey key = fixed_key(7);
  const std::string note = write_checkpoint(example(), key).value();
  for (size_t bit = 0; bit < note.size() * 8; ++bit) {
    std::string flipped = note;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(verify_checkpoint(flipped, key.public_key()).ok()) << flipped;
  }
  for (size_t size = 0; size < note.size(); ++size) {
    EXPECT_FALSE(verify_checkpoint(note.substr(0, size), key.public_key()).ok()) << size;
  }
}

TEST(CheckpointTest, RefusesAForeignKey) {
  const std::string note = write_checkpoint(example(), fixed_key(7)).value();
  EXPECT_EQ(verify_checkpoint(note, fixed_key(8).public_key()).status().code(), Code::unverified);
}

TEST(CheckpointTest, RefusesOtherShapes) {
  const SecretKey key = fixed_key(7);
  const std::string root = to_base64(std::string(32, 'r'));
  const std::string bad[] = {
      "o\n1\n",                 // no root
      "o\n01\n" + root + "\n",  // leading zero
      "o\n+1\n" + root + "\n",  // sign
      "o\n18446744073709551616\n" + root + "\n",
      "o\n1\nYQ==\n",                     // a short root
      "o\n1\n" + root + "\nextension\n",  // lines that nobody would check
      "o\n1\n" + root + "\n\n",
      "\n1\n" + root + "\n",
  };
  for (const std::string& text : bad) {
    const std::string note = sign_note(text, "o", key).value();
    EXPECT_EQ(verify_checkpoint(note, key.public_key()).status().code(), Code::corrupt) << note;
  }
  // A good text signed under another name than its origin, and a note with two signatures.
  const std::string good = "o\n1\n" + root + "\n";
  const std::string other = sign_note(good, "other", key).value();
  EXPECT_EQ(verify_checkpoint(other, key.public_key()).status().code(), Code::unverified);
  const std::string note = sign_note(good, "o", key).value();
  ASSERT_TRUE(verify_checkpoint(note, key.public_key()).ok());
  const std::string line = note.substr(note.rfind(kDash));
  EXPECT_EQ(verify_checkpoint(note + line, key.public_key()).status().code(), Code::corrupt);
}

TEST(NoteTest, RefusesNamesThatWouldNotParse) {
  const SecretKey key = fixed_key(7);
  for (const char* name : {"", "a b", "a+b", "a\n", "\u00e9"}) {
    EXPECT_FALSE(sign_note("text\n", name, key).ok()) << name;
  }
  EXPECT_FALSE(sign_note("no line feed", "a", key).ok());
  EXPECT_FALSE(sign_note("", "a", key).ok());
}

// The worked example of doc/anchor_format.md.
constexpr std::string_view kAnchor =
    "account/run-1/1f00ba5e\n1\nAippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=\n\n"
    "\u2014 account/run-1/1f00ba5e JcS2lRvBWb634f9PvMtlwGXy/kJMHnf+yHKi+JOQzjFrRymJszpqVKrG0PlX"
    "LoaU3phwm5wSyWwbWMEdMy+ijyMHRgE=\n"
    "\u2014 witness.example 2DG88QAAAABrSdIBewSH08A+XPYAqRlUD8pbZOVS+oteH9WvlFDEtbShc82865Zs3CuY"
    "xDHa2qd+dLXa3obfW/fwZ2ww1vsZ98EhAA==\n";

TEST(CosignatureTest, IsThePublishedExampleByteForByte) {
  const SecretKey key = fixed_key(7);
  const std::string note = write_checkpoint(example(), key).value();
  EXPECT_EQ(cosign_checkpoint(note, "witness.example", 1'800'000'001, key).value(), kAnchor);
  const CosignedCheckpoint read = parse_cosigned(kAnchor).value();
  EXPECT_EQ(read.note, note);
  EXPECT_EQ(read.witness, "witness.example");
  EXPECT_EQ(read.unix_s, 1'800'000'001);
  EXPECT_EQ(read.checkpoint.size, 1u);
  EXPECT_TRUE(verify_cosignature(read, key.public_key()).ok());
  EXPECT_EQ(verify_cosignature(read, fixed_key(8).public_key()).code(), Code::unverified);
}

TEST(CosignatureTest, IsNoPlainSignatureAndTakesNoOther) {
  const SecretKey key = fixed_key(7);
  const std::string note = write_checkpoint(example(), key).value();
  EXPECT_FALSE(parse_cosigned(note).ok());
  EXPECT_FALSE(parse_checkpoint(kAnchor).ok());
  EXPECT_FALSE(cosign_checkpoint(kAnchor, "witness.example", 1, key).ok());
  EXPECT_FALSE(cosign_checkpoint(note, "two words", 1, key).ok());
  EXPECT_FALSE(cosign_checkpoint(note, "witness.example", -1, key).ok());
  // The keeper's own signature, twice, is no cosignature.
  EXPECT_FALSE(parse_cosigned(note + note.substr(note.rfind("\u2014"))).ok());
}

}  // namespace
}  // namespace account::sign
