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

}  // namespace
}  // namespace account::sign
