// SPDX-License-Identifier: Apache-2.0
// Captures: any file is refused with a message or read to its end or an error, frame by frame; what is written from it
// reads as the same frames. Files live in memory.
#include "tools/shuntctl/capture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzzing.h"

namespace shunt {
namespace {

// A file of these bytes, or an empty one, by its path.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(memfd_create(name, MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }
  void Fill(const uint8_t* data, size_t size) const {
    Require(ftruncate(fd_, 0) == 0 && pwrite(fd_, data, size, 0) == static_cast<ssize_t>(size), "memory is a file");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

using Frames = std::vector<std::vector<uint8_t>>;

Frames ReadAll(ctl::CaptureReader& reader, ctl::CaptureWriter* copy) {
  Frames frames;
  for (;;) {
    const auto frame = reader.Next();
    if (!frame) Require(!frame.error().message.empty(), "an error says why");
    if (!frame || !*frame) return frames;
    frames.emplace_back((*frame)->bytes.begin(), (*frame)->bytes.end());
    if (copy != nullptr) copy->Write((*frame)->time, (*frame)->bytes);
  }
}

}  // namespace
}  // namespace shunt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  static const MemoryFile in("in");
  static const MemoryFile out("out");
  in.Fill(data, size);
  auto reader = ctl::CaptureReader::Open(in.path());
  if (!reader) {
    Require(!reader.error().message.empty(), "a refusal says why");
    return 0;
  }
  out.Fill(nullptr, 0);
  auto writer = ctl::CaptureWriter::Open(out.path(), in.path(), reader->nanoseconds());
  Require(writer.has_value(), "a copy can be opened", writer ? "" : writer.error().message);
  const Frames frames = ReadAll(*reader, &*writer);
  Require(writer->Finish().has_value(), "the copy is written");
  auto copied = ctl::CaptureReader::Open(out.path());
  Require(copied.has_value(), "the copy can be read", copied ? "" : copied.error().message);
  Require(ReadAll(*copied, nullptr) == frames, "and has the same frames");
  return 0;
}
