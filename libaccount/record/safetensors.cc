// Reading and rewriting the headers of safetensors files.
#include "record/safetensors.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace account::record {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr uint64_t kLengthBytes = 8;
// The cap of the reference implementation (safetensors/src/tensor.rs, MAX_HEADER_SIZE).
constexpr uint64_t kHeaderCapBytes = 100'000'000;
// The header is padded with spaces to this, as the reference implementation does.
constexpr uint64_t kAlignment = 8;
constexpr size_t kCopyBytes = size_t{4} << 20;

Status corrupt(const std::string& path, std::string_view fault) {
  return {Code::corrupt, fmt::format("{} is no safetensors file: {}", path, fault),
          "write it again, or fetch it again"};
}

Result<uint64_t> whole_number(const Json& json) {
  if (json.kind() != Json::Kind::integer || json.as_integer() < 0) {
    return Status(Code::corrupt, "a size is no whole number");
  }
  return static_cast<uint64_t>(json.as_integer());
}

Result<Tensor> parse_tensor(const std::string& name, const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"dtype", "shape", "data_offsets"}));
  Tensor tensor{name, "", {}, 0, 0};
  ACCOUNT_ASSIGN_OR_RETURN(tensor.dtype, json.get_string("dtype"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* shape, json.get_array("shape"));
  for (const Json& item : shape->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(const uint64_t extent, whole_number(item));
    tensor.shape.push_back(extent);
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* offsets, json.get_array("data_offsets"));
  if (offsets->items().size() != 2) return Status(Code::corrupt, "it has not two offsets");
  ACCOUNT_ASSIGN_OR_RETURN(tensor.begin, whole_number(offsets->items()[0]));
  ACCOUNT_ASSIGN_OR_RETURN(tensor.end, whole_number(offsets->items()[1]));
  return tensor;
}

// Sorts by bytes and checks that every byte of the data belongs to exactly one tensor.
Status check_cover(std::vector<Tensor>& tensors, uint64_t data_bytes) {
  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t due = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor.begin != due || tensor.end < tensor.begin) {
      return {Code::corrupt,
              fmt::format("tensor '{}' does not begin where the one before it ends", tensor.name)};
    }
    due = tensor.end;
  }
  if (due == data_bytes) return Status();
  return {Code::corrupt,
          fmt::format("its tensors have {} bytes, and the file holds {}", due, data_bytes)};
}

Result<Safetensors> parse(const ReadFile& file) {
  char raw[kLengthBytes];
  ACCOUNT_RETURN_IF_ERROR(file.read_at(0, raw, sizeof(raw)));
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<uint64_t>(static_cast<uint8_t>(raw[i])) << (8 * i);
  }
  if (length > kHeaderCapBytes || length > file.size() - kLengthBytes) {
    return Status(Code::corrupt, "its header would be longer than the file");
  }
  std::string text(length, '\0');
  ACCOUNT_RETURN_IF_ERROR(file.read_at(kLengthBytes, text.data(), text.size()));
  Safetensors parsed;
  ACCOUNT_ASSIGN_OR_RETURN(parsed.header, Json::parse(text, kHeaderCapBytes));
  if (parsed.header.kind() != Json::Kind::object) {
    return Status(Code::corrupt, "its header is no object");
  }
  parsed.data_begin = kLengthBytes + length;
  for (const auto& [name, member] : parsed.header.members()) {
    if (name == kMetadata) continue;
    auto tensor = parse_tensor(name, member);
    if (!tensor.ok()) return tensor.status().with_context(fmt::format("tensor '{}'", name));
    parsed.tensors.push_back(std::move(tensor).value());
  }
  ACCOUNT_RETURN_IF_ERROR(check_cover(parsed.tensors, file.size() - parsed.data_begin));
  for (Tensor& tensor : parsed.tensors) {
    tensor.begin += parsed.data_begin;
    tensor.end += parsed.data_begin;
  }
  return parsed;
}

std::string header_bytes(const Json& header) {
  std::string text = header.dump();
  while ((kLengthBytes + text.size()) % kAlignment != 0) text += ' ';
  std::string bytes(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes[i] = static_cast<char>((text.size() >> (8 * i)) & 0xFF);
  }
  return bytes + text;
}

Status copy_data(const ReadFile& from, uint64_t begin, AppendFile& to) {
  std::string buffer(kCopyBytes, '\0');
  while (begin < from.size()) {
    const size_t size = std::min<uint64_t>(buffer.size(), from.size() - begin);
    ACCOUNT_RETURN_IF_ERROR(from.read_at(begin, buffer.data(), size));
    ACCOUNT_RETURN_IF_ERROR(to.append(std::string_view(buffer).substr(0, size)));
    begin += size;
  }
  return to.sync();
}

Status write_copy(const ReadFile& from, const Safetensors& parsed, const Json& header,
                  const std::string& to) {
  ACCOUNT_ASSIGN_OR_RETURN(const auto copy, FileSystem::real().open_append(to));
  ACCOUNT_RETURN_IF_ERROR(copy->append(header_bytes(header)));
  return copy_data(from, parsed.data_begin, *copy);
}

Status replace(const std::string& temporary, const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) == 0) (void)::chmod(temporary.c_str(), about.st_mode & 07777);
  return put_in_place(temporary, path);
}

}  // namespace

std::optional<std::string> Safetensors::metadata(std::string_view name) const {
  const Json* all = header.find(kMetadata);
  const Json* found = all == nullptr ? nullptr : all->find(name);
  if (found == nullptr || found->kind() != Json::Kind::string) return std::nullopt;
  return found->as_string();
}

Result<Safetensors> read_safetensors(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(const auto file, open_read(path));
  if (file->size() < kLengthBytes) return corrupt(path, "it is shorter than 8 bytes");
  auto parsed = parse(*file);
  if (!parsed.ok()) return corrupt(path, parsed.status().fault());
  return parsed;
}

Status set_metadata(const std::string& path, std::string_view name, const std::string& text) {
  ACCOUNT_ASSIGN_OR_RETURN(const Safetensors parsed, read_safetensors(path));
  ACCOUNT_ASSIGN_OR_RETURN(const auto file, open_read(path));
  Json header = parsed.header;
  const Json* known = header.find(kMetadata);
  Json metadata = known == nullptr ? Json::object() : *known;
  metadata.set(name, text);
  header.set(kMetadata, std::move(metadata));
  const std::string target = absolute_path(path);  // through links: what they point to is rewritten
  const std::string temporary = fmt::format("{}.{}.tmp", target, ::getpid());
  (void)::unlink(temporary.c_str());
  Status status = write_copy(*file, parsed, header, temporary);
  if (status.ok()) status = replace(temporary, target);
  if (!status.ok()) (void)::unlink(temporary.c_str());
  return status;
}

}  // namespace account::record
