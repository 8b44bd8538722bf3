// SPDX-License-Identifier: Apache-2.0
// Echo requests of all ICMP probers over one raw socket per family: the mark that leads a request into a tunnel goes
// with the message, and the kernel hands over only answers to our own. Called by probe_icmp.cc alone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"
#include "userspace/health/event_loop.h"
#include "userspace/net/address.h"

namespace shunt {

class IcmpSockets {
 public:
  using Answered = std::function<void()>;
  using Ticket = uint32_t;  // never 0

  explicit IcmpSockets(EventLoop& loop);
  ~IcmpSockets();
  IcmpSockets(const IcmpSockets&) = delete;
  IcmpSockets& operator=(const IcmpSockets&) = delete;

  // Sends an echo request; `answered` is called once when its answer has come, which may destroy anything but this.
  Result<Ticket> Send(const IpAddress& to, uint32_t mark, Answered answered);
  void Forget(Ticket ticket);  // one that was answered is no error

 private:
  static constexpr size_t kTokenBytes = 16;
  using Token = std::array<uint8_t, kTokenBytes>;  // in the payload: who cannot see the request cannot answer it
  struct Waiting {
    IpAddress to;
    Token token;
    Answered answered;
  };

  Result<int> Socket(Family family);
  void Receive(Family family);
  void Take(const IpAddress& from, uint16_t sequence, const uint8_t* payload, size_t bytes);

  EventLoop& loop_;
  UniqueFd ipv4_, ipv6_;  // opened when first needed
  uint16_t identifier_ = 0;
  uint16_t last_sequence_ = 0;
  std::unordered_map<uint16_t, Waiting> waiting_;  // by sequence number
};

}  // namespace shunt
