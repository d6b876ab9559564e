// Locked files: what may be written while the gate is shut, since nobody reads it before the holder
// of a recovery key opens it. libaccount/doc/locked_format.md.
//
// Bytes are sealed as they stream: no plain byte of them reaches the disk. A data key a file,
// sealed in the file's header to each recovery key of the authority's root. Opening puts the data
// key beside the file, as `<file>.key`. Not thread-safe; different files are independent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "account/run.h"
#include "account/status.h"
#include "base/files.h"
#include "sign/sign.h"

namespace account::gate {

inline constexpr std::string_view kLockedSuffix = ".locked";
inline constexpr std::string_view kPartialSuffix = ".partial";  // while it is being written
inline constexpr std::string_view kKeySuffix = ".key";          // the opened data key's file

// What the header says; nobody vouches for it but the stream, which opens with no other header.
struct LockedHeader {
  struct Sealed {
    std::string key_id;  // of the recovery key
    std::string bytes;   // the data key, sealed to it
  };
  std::string id;  // 32 hex digits, random
  std::string run;
  sign::Digest order{};  // the stop that let it be written
  uint64_t step = 0;     // closed by this start of the job
  int rank = 0, world_size = 1;
  int64_t created_unix = 0;
  std::vector<Sealed> sealed;
};

// Writes `<path>.partial`, and gives it its name once it is whole.
class LockedWriter {
 public:
  // Fills in id and sealed keys. invalid_argument without recovery keys.
  static Result<LockedWriter> create(const std::string& path, LockedHeader about,
                                     const std::vector<sign::PublicKey>& recovery);
  Status write(std::string_view bytes);
  // Makes it whole, durable and named.
  Status commit();
  uint64_t bytes() const { return written_; }                      // of the file so far
  std::string sha256() { return sign::to_hex(digest_.finish()); }  // once, after commit()

 private:
  LockedWriter(std::string path, std::unique_ptr<AppendFile> file, sign::SealingStream stream,
               std::string bound);
  Status put(std::string_view bytes);
  Status put_piece(bool last);

  std::string path_;
  std::unique_ptr<AppendFile> file_;
  sign::SealingStream stream_;
  std::string bound_;  // what the next piece is bound to: the header, then nothing
  std::string piece_;  // plain, in memory only
  sign::Sha256 digest_;
  uint64_t written_ = 0;
};

// corrupt where it is no locked file or is cut short.
Result<LockedHeader> read_locked_header(const std::string& path);

// The data key, by the holder of a recovery key; unverified where it is sealed to another.
Result<std::string> unseal_key(const LockedHeader& header, const sign::SecretKey& recovery);

// The opened data key beside the file; unavailable until somebody has opened it.
Status write_opened_key(const std::string& path, const LockedHeader& header, std::string_view key);
Result<std::string> read_opened_key(const std::string& path, const LockedHeader& header);

// The plain bytes, in order. Nothing that the sink was given counts before this returns ok: a file
// that was changed or cut is noticed where it was.
Status read_locked(const std::string& path, std::string_view key, const Sink& sink);

}  // namespace account::gate
