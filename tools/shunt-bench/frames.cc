// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/frames.h"

#include <initializer_list>

namespace shunt::bench {
namespace {

constexpr size_t kFrameBytes = 80;
constexpr size_t kTcpBytes = 20;
constexpr size_t kUdpBytes = 18;  // with ten bytes of payload
constexpr uint8_t kTtl = 64;

class Bytes {
 public:
  void Add(std::initializer_list<size_t> bytes) {
    for (const size_t byte : bytes) bytes_.push_back(static_cast<std::byte>(byte));
  }
  void AddWord(size_t word) { Add({word >> 8 & 0xff, word & 0xff}); }
  template <class Range>
  void AddAll(const Range& range) {
    for (const uint8_t byte : range) Add({byte});
  }
  std::vector<std::byte> Padded() && {
    bytes_.resize(kFrameBytes);
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

void AddIp(Bytes& frame, const VipKey& vip, size_t segment_bytes) {
  const auto protocol = static_cast<uint8_t>(vip.protocol);
  if (vip.address.family() == Family::kIpv4) {
    frame.AddWord(0x0800);
    frame.AddWord(0x4500);
    frame.AddWord(20 + segment_bytes);
    frame.Add({0, 0, 0x40, 0, kTtl, protocol, 0, 0, 10, 0, 0, 0});
    frame.AddAll(vip.address.ipv4());
  } else {
    frame.AddWord(0x86dd);
    frame.Add({0x60, 0, 0, 0});
    frame.AddWord(segment_bytes);
    frame.Add({protocol, kTtl, 0x20, 0x01, 0x0d, 0xb8, 0, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    frame.AddAll(vip.address.bytes());
  }
}

}  // namespace

std::vector<std::byte> MakeFrame(const VipKey& vip, PacketKind kind) {
  const bool tcp = vip.protocol == Protocol::kTcp;
  const size_t segment_bytes = tcp ? kTcpBytes : kUdpBytes;
  Bytes frame;
  frame.Add({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
  AddIp(frame, vip, segment_bytes);
  frame.AddWord(1024);
  frame.AddWord(vip.port);
  if (tcp) {
    const size_t flags = kind == PacketKind::kSyn ? 0x02 : 0x10;
    frame.Add({0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0});
  } else {
    frame.AddWord(segment_bytes);
    frame.AddWord(0);
  }
  return std::move(frame).Padded();
}

}  // namespace shunt::bench
