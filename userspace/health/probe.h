// SPDX-License-Identifier: Apache-2.0
// One probe: what is asked of whom, how it gets there, what came of it; and the interface that every kind of prober has
// (probe_*.cc, made by MakeProber). Not here: when to ask (schedule.h), what follows (judgement.h).
// Everything runs on the checker's thread, in a process that ignores SIGPIPE.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "userspace/health/event_loop.h"
#include "userspace/model/health_check.h"
#include "userspace/net/address.h"

namespace shunt {

class ProgramStarter;

// The identity of a probe: VIPs that need the same share it. `check` has its kind and what belongs to the kind; all
// about time and judgement, `port` and `via` are as in HealthCheck{}.
struct ProbeTarget {
  IpAddress real;
  IpAddress destination;  // the VIP's address through the tunnel and for exec, else the real's own
  uint16_t port = 0;      // 0: icmp
  ProbeVia via = ProbeVia::kDirect;
  HealthCheck check;
  auto operator<=>(const ProbeTarget&) const = default;
};

// What may change between two probes of one target.
struct ProbeRoute {
  uint32_t mark = 0;             // SO_MARK that takes the packets through the tunnel; 0: none
  uint32_t max_inner_bytes = 0;  // longest IP packet the tunnel carries; 0: no limit of ours. TCP: sets TCP_MAXSEG
  bool operator==(const ProbeRoute&) const = default;
};

struct Outcome {
  bool passed = false;
  std::chrono::microseconds took{};  // from the start to the answer; the timeout if there was none
  std::string cause{};               // "connect: Connection refused", "status 503, expected 200-399"; empty if passed
};

class Prober {
 public:
  virtual ~Prober() = default;  // gives up what is under way; no outcome follows

  // Begins a probe; its outcome is told once, never from within this call. Not while one is under way.
  virtual void Start(const ProbeRoute& route, std::chrono::milliseconds timeout) = 0;

  // Descriptors it holds open now, kept connections among them.
  virtual uint32_t sockets() const = 0;
};

using OnOutcome = std::function<void(Outcome)>;

// What probers of all targets share: libcurl's multi handle, the ICMP sockets, who starts programs and the like.
class ProbeShared {
 public:
  // `programs` starts programs and outlives this; null: the probers start them.
  static std::unique_ptr<ProbeShared> Create(EventLoop& loop, ProgramStarter* programs = nullptr);
  ~ProbeShared();  // after all probers

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit ProbeShared(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

std::unique_ptr<Prober> MakeProber(const ProbeTarget& target, EventLoop& loop, ProbeShared& shared, OnOutcome done);

}  // namespace shunt
