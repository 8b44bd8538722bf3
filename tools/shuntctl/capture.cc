// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/capture.h"

#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace shunt::ctl {
namespace {

constexpr int kLongestFrame = 262144;                                       // libpcap's own limit
constexpr std::array<uint8_t, 4> kMicroseconds = {0xa1, 0xb2, 0xc3, 0xd4};  // a classic pcap, in either byte order

// What is written has the precision of what is read, so that plain pcap files stay plain. All but the classic
// format have, or may have, nanoseconds.
Result<bool> HasNanoseconds(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    return Fail(ErrorKind::kInvalid, FailErrno(fmt::format("reading capture {}", path), errno).error().message);
  }
  std::array<uint8_t, 4> magic{};
  const size_t got = std::fread(magic.data(), 1, magic.size(), file);
  std::fclose(file);
  const std::array<uint8_t, 4> swapped = {magic[3], magic[2], magic[1], magic[0]};
  return got < magic.size() || (magic != kMicroseconds && swapped != kMicroseconds);
}

unsigned Precision(bool nanoseconds) { return nanoseconds ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO; }

bool IsSameFile(const std::string& one, const std::string& other) {
  struct stat first{};
  struct stat second{};
  return stat(one.c_str(), &first) == 0 && stat(other.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino && S_ISREG(first.st_mode);
}

}  // namespace

void PcapCloser::operator()(pcap* handle) const { pcap_close(handle); }
void PcapCloser::operator()(pcap_dumper* dumper) const { pcap_dump_close(dumper); }

Result<CaptureReader> CaptureReader::Open(const std::string& path) {
  const auto nanoseconds = HasNanoseconds(path);
  if (!nanoseconds) return std::unexpected(nanoseconds.error());
  char why[PCAP_ERRBUF_SIZE] = "";
  pcap_t* handle = pcap_open_offline_with_tstamp_precision(path.c_str(), Precision(*nanoseconds), why);
  if (handle == nullptr) {
    return Fail(ErrorKind::kInvalid, fmt::format("reading capture {}: {}; expected pcap or pcapng", path, why));
  }
  CaptureReader reader(path, *nanoseconds, handle);
  if (const int link_type = pcap_datalink(handle); link_type != DLT_EN10MB) {
    const char* name = pcap_datalink_val_to_name(link_type);
    return Fail(ErrorKind::kInvalid, fmt::format("reading capture {}: its link type is {}; expected Ethernet (EN10MB)",
                                                 path, name != nullptr ? name : std::to_string(link_type)));
  }
  return reader;
}

Result<std::optional<CapturedFrame>> CaptureReader::Next() {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  const int got = pcap_next_ex(handle_.get(), &header, &bytes);
  if (got == PCAP_ERROR_BREAK) return std::nullopt;
  if (got != 1) {
    return Fail(ErrorKind::kSystem, fmt::format("reading capture {}: {}", path_, pcap_geterr(handle_.get())));
  }
  return CapturedFrame{{header->ts.tv_sec, header->ts.tv_usec}, {bytes, header->caplen}};
}

Result<CaptureWriter> CaptureWriter::Open(const std::string& path, const std::string& reading, bool nanoseconds) {
  if (IsSameFile(path, reading)) {
    return Fail(ErrorKind::kInvalid, fmt::format("writing capture {}: it is the one that is read; give --out another "
                                                 "name",
                                                 path));
  }
  pcap_t* handle = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kLongestFrame, Precision(nanoseconds));
  if (handle == nullptr) return Fail(ErrorKind::kSystem, fmt::format("writing capture {}: out of memory", path));
  CaptureWriter writer(path, handle, nullptr);
  writer.dumper_.reset(pcap_dump_open(handle, path.c_str()));
  if (!writer.dumper_) {
    return Fail(ErrorKind::kInvalid, fmt::format("writing capture: {}", pcap_geterr(handle)));
  }
  return writer;
}

void CaptureWriter::Write(const FrameTime& time, std::span<const uint8_t> bytes) {
  pcap_pkthdr header{};
  header.ts.tv_sec = time.seconds;
  header.ts.tv_usec = time.fraction;
  header.caplen = static_cast<bpf_u_int32>(bytes.size());
  header.len = header.caplen;
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, bytes.data());
}

Status CaptureWriter::Finish() {
  errno = 0;
  if (pcap_dump_flush(dumper_.get()) == 0 && std::ferror(pcap_dump_file(dumper_.get())) == 0) return {};
  return FailErrno(fmt::format("writing capture {}", path_), errno == 0 ? EIO : errno);
}

}  // namespace shunt::ctl
