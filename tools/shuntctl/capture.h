// SPDX-License-Identifier: Apache-2.0
// Captures of Ethernet frames: pcap and pcapng in, pcap out, by libpcap. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "userspace/base/result.h"

struct pcap;
struct pcap_dumper;

namespace shunt::ctl {

struct FrameTime {
  int64_t seconds = 0;
  int64_t fraction = 0;  // nano- or microseconds, as the capture has them
};

struct CapturedFrame {
  FrameTime time;
  std::span<const uint8_t> bytes;  // as captured; valid until the next one is read
};

struct PcapCloser {
  void operator()(pcap* handle) const;
  void operator()(pcap_dumper* dumper) const;
};

class CaptureReader {
 public:
  static Result<CaptureReader> Open(const std::string& path);
  bool nanoseconds() const { return nanoseconds_; }
  Result<std::optional<CapturedFrame>> Next();  // unset at the end

 private:
  CaptureReader(std::string path, bool nanoseconds, pcap* handle)
      : path_(std::move(path)), nanoseconds_(nanoseconds), handle_(handle) {}
  std::string path_;
  bool nanoseconds_;
  std::unique_ptr<pcap, PcapCloser> handle_;
};

class CaptureWriter {
 public:
  // Replaces what `path` held. `reading` must be another file.
  static Result<CaptureWriter> Open(const std::string& path, const std::string& reading, bool nanoseconds);
  void Write(const FrameTime& time, std::span<const uint8_t> bytes);
  Status Finish();  // whether everything written reached the file

 private:
  CaptureWriter(std::string path, pcap* handle, pcap_dumper* dumper)
      : path_(std::move(path)), handle_(handle), dumper_(dumper) {}
  std::string path_;
  std::unique_ptr<pcap, PcapCloser> handle_;
  std::unique_ptr<pcap_dumper, PcapCloser> dumper_;
};

}  // namespace shunt::ctl
