// Finding and hashing weights.
#include "record/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <thread>

#include "base/files.h"
#include "record/safetensors.h"
#include "sign/sign.h"

namespace account::record {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::array<std::string_view, 13> kOthers = {
    ".pt",  ".pth", ".bin", ".ckpt", ".distcp",  ".gguf", ".onnx",
    ".npz", ".npy", ".h5",  ".pkl",  ".msgpack", ".pte"};
// The optimizer's and the trainer's state beside weights, as Transformers' Trainer names it.
constexpr std::array<std::string_view, 6> kNoWeights = {
    "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "training_args.bin", "rng_state"};
constexpr std::string_view kDcpMetadata = ".metadata";  // of torch.distributed.checkpoint
constexpr std::string_view kTensorsHead = "account-tensors/1\n";
constexpr size_t kReadBytes = size_t{1} << 20;
constexpr auto kProgressPause = std::chrono::milliseconds(200);

bool is_no_weights(std::string_view name) {
  return std::any_of(kNoWeights.begin(), kNoWeights.end(),
                     [&](std::string_view word) { return name.starts_with(word); });
}

bool is_other(std::string_view name) {
  if (name == kDcpMetadata) return true;
  if (is_no_weights(name)) return false;
  return std::any_of(kOthers.begin(), kOthers.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

Status walk(const std::string& folder, Weights& weights) {
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, error), end;
  while (!error && entries != end) {
    const std::string name = entries->path().filename().string();
    std::error_code ignored;
    if (entries->is_directory(ignored)) {
      if (name.starts_with('.')) entries.disable_recursion_pending();
    } else if (entries->is_regular_file(ignored)) {
      if (name.ends_with(kSafetensors)) weights.safetensors.push_back(entries->path().string());
      if (is_other(name)) weights.others.push_back(entries->path().string());
    }
    entries.increment(error);
  }
  if (!error) return Status();
  return {Code::io, fmt::format("cannot read the folder {}: {}", folder, error.message()),
          "check its permissions"};
}

// A stretch of a file that is hashed by one thread.
struct Stretch {
  const ReadFile* file;
  uint64_t begin, end;
  std::string digest;  // hex, once hashed
  Status status;
};

Status hash(Stretch& stretch, std::atomic<uint64_t>& done) {
  sign::Sha256 sum;
  std::string buffer(kReadBytes, '\0');
  for (uint64_t at = stretch.begin; at < stretch.end;) {
    const size_t size = std::min<uint64_t>(buffer.size(), stretch.end - at);
    ACCOUNT_RETURN_IF_ERROR(stretch.file->read_at(at, buffer.data(), size));
    sum.update(std::string_view(buffer).substr(0, size));
    at += size;
    done.fetch_add(size, std::memory_order_relaxed);
  }
  stretch.digest = sign::to_hex(sum.finish());
  return Status();
}

Status hash_all(std::vector<Stretch>& stretches, const Progress& progress) {
  std::vector<size_t> order(stretches.size());
  uint64_t total = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    total += stretches[i].end - stretches[i].begin;
  }
  // The longest first, so that none is left for one thread at the end.
  const auto length = [&](size_t i) { return stretches[i].end - stretches[i].begin; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return length(a) > length(b); });
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done{0};
  std::atomic<unsigned> running{0};
  const auto work = [&] {
    for (size_t i = next++; i < order.size(); i = next++) {
      Stretch& stretch = stretches[order[i]];
      stretch.status = hash(stretch, done);
    }
    --running;
  };
  std::vector<std::thread> threads;
  const size_t cores = std::max(1U, std::thread::hardware_concurrency());
  running = static_cast<unsigned>(std::min(cores, stretches.size()));
  for (unsigned i = running; i > 0; --i) threads.emplace_back(work);
  auto told = std::chrono::steady_clock::now();
  while (running > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (progress == nullptr || std::chrono::steady_clock::now() - told < kProgressPause) continue;
    told = std::chrono::steady_clock::now();
    progress(done, total);
  }
  for (std::thread& thread : threads) thread.join();
  for (const Stretch& stretch : stretches) ACCOUNT_RETURN_IF_ERROR(stretch.status);
  if (progress != nullptr) progress(total, total);
  return Status();
}

std::string name_in(const Weights& weights, const std::string& path) {
  if (!weights.is_folder) return base_name(path);
  return fs::path(path).lexically_relative(weights.path).generic_string();
}

// "<hex> <dtype> [2,3] <name as JSON>\n"
std::string tensor_line(const Tensor& tensor, const std::string& digest) {
  return fmt::format("{} {} [{}] {}\n", digest, tensor.dtype, fmt::join(tensor.shape, ","),
                     Json(tensor.name).dump());
}

// All tensors of all safetensors files, in the order of their names.
Result<std::string> digest_of_tensors(std::vector<std::pair<Tensor, std::string>> tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.first.name < b.first.name; });
  sign::Sha256 sum;
  sum.update(kTensorsHead);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [tensor, digest] = tensors[i];
    if (i > 0 && tensors[i - 1].first.name == tensor.name) {
      return Status(Code::corrupt,
                    fmt::format("two of the safetensors files have a tensor '{}'", tensor.name),
                    "put different models into different folders");
    }
    sum.update(tensor_line(tensor, digest));
  }
  return sign::to_hex(sum.finish());
}

}  // namespace

Result<Weights> find_weights(const std::string& path) {
  std::error_code error;
  Weights weights;
  weights.path = path;
  weights.is_folder = fs::is_directory(path, error);
  if (weights.is_folder) {
    ACCOUNT_RETURN_IF_ERROR(walk(path, weights));
  } else if (!fs::is_regular_file(path, error)) {
    return Status(Code::not_found, fmt::format("there are no weights at {}", path),
                  "give a file of weights or their folder");
  } else {
    (path.ends_with(kSafetensors) ? weights.safetensors : weights.others).push_back(path);
  }
  if (weights.safetensors.empty() && weights.others.empty()) {
    return Status(Code::not_found, fmt::format("{} holds no weights", path),
                  fmt::format("known are files that end with {}, {}", kSafetensors,
                              fmt::join(kOthers, ", ")));
  }
  std::sort(weights.safetensors.begin(), weights.safetensors.end());
  std::sort(weights.others.begin(), weights.others.end());
  if (!weights.safetensors.empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(const Safetensors first, read_safetensors(weights.safetensors[0]));
    weights.model_metadata = first.metadata(kMetadataName).value_or("");
  }
  return weights;
}

Result<std::vector<Subject>> digest_weights(const Weights& weights, const Progress& progress) {
  std::vector<std::unique_ptr<ReadFile>> files;
  std::vector<Stretch> stretches;
  std::vector<Tensor> tensors;
  for (const std::string& path : weights.safetensors) {
    ACCOUNT_ASSIGN_OR_RETURN(const Safetensors parsed, read_safetensors(path));
    ACCOUNT_ASSIGN_OR_RETURN(auto file, open_read(path));
    files.push_back(std::move(file));
    for (const Tensor& tensor : parsed.tensors) {
      stretches.push_back({files.back().get(), tensor.begin, tensor.end, "", Status()});
      tensors.push_back(tensor);
    }
  }
  for (const std::string& path : weights.others) {
    ACCOUNT_ASSIGN_OR_RETURN(auto file, open_read(path));
    files.push_back(std::move(file));
    stretches.push_back({files.back().get(), 0, files.back()->size(), "", Status()});
  }
  ACCOUNT_RETURN_IF_ERROR(hash_all(stretches, progress));

  std::vector<Subject> subjects;
  if (!weights.safetensors.empty()) {
    std::vector<std::pair<Tensor, std::string>> hashed;
    for (size_t i = 0; i < tensors.size(); ++i) {
      hashed.emplace_back(tensors[i], stretches[i].digest);
    }
    ACCOUNT_ASSIGN_OR_RETURN(std::string digest, digest_of_tensors(std::move(hashed)));
    subjects.push_back({"tensors", std::string(kTensorsAlgorithm), std::move(digest)});
  }
  for (size_t i = 0; i < weights.others.size(); ++i) {
    subjects.push_back(
        {name_in(weights, weights.others[i]), "sha256", stretches[tensors.size() + i].digest});
  }
  std::sort(subjects.begin(), subjects.end());
  return subjects;
}

}  // namespace account::record
