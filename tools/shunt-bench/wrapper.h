// SPDX-License-Identifier: Apache-2.0
// The wrapper programs of bench.bpf.c, loaded: run any XDP program over many packets of many flows, and tell what
// one took. Not here: which programs and packets (prog.cc and the others).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "tools/shunt-bench/job.h"
#include "userspace/base/result.h"
#include "userspace/bpf/object.h"

namespace shunt::bench {

// Packets for a program. Flows are numbered from 0; each has a source address and port of its own.
struct Load {
  std::vector<std::byte> frame = {};  // from MakeFrame()
  std::vector<std::byte> ipv6_frame =
      {};                   // not empty: half of the packets, drawn by lot, are this one; `frame` is IPv4
  uint64_t flows = 1;       // at most 2^32
  bool sequential = false;  // from `first_flow` on, one after another; else drawn by lot
  uint64_t first_flow = 0;  // the lowest
  uint16_t watched = 0;     // SendWatching(): the low 16 bits of a real's address
  uint32_t subject = 0;     // from AddSubject(); 0: the one of SetSubject(), which alone is measured
  uint32_t vips = 1;        // destinations, drawn by lot: the frame's and the addresses behind it
};

// Runs go through the subject, the program under test. One at a time, from any thread.
class Wrapper {
 public:
  // `answers`: flows that SendNoting() can note. The wrapper is attached to the loopback interface, which must be one
  // of a namespace of our own: a test run of a program that is attached nowhere waits some ten milliseconds, twice.
  static Result<Wrapper> Open(uint32_t answers = 1);

  // From now on.
  Status SetSubject(int program_fd);
  // One more subject, for loads that name it.
  Result<uint32_t> AddSubject(int program_fd);

  // Nanoseconds per packet of the subject alone: it takes turns with a program that only drops, in slices too short to
  // be interrupted often; told is the median of their differences. At most 120 turns.
  Result<double> NetNs(const Load& load, uint32_t turns);

  Status Send(const Load& load, uint32_t packets);

  // The same; tells when a packet went to the watched real last, by CLOCK_MONOTONIC. 0: none did.
  Result<uint64_t> SendWatching(const Load& load, uint32_t packets);

  // Sends one packet of each flow of a sequential IPv4 load. Returns where they went, in their order: the low 16 bits
  // of the outer IPv4 destination, 0: nowhere.
  Result<std::vector<uint16_t>> SendNoting(const Load& load);

  // A program that sends the load's packets back out when it runs on live frames. Nothing else may run meanwhile.
  Result<int> PrepareGenerator(const Load& load);

  Result<int> Reference(const std::string& name) const { return object_.ProgramFd("reference_" + name); }
  Result<int> Sink() const { return object_.ProgramFd("sink"); }
  Result<uint64_t> ReadSunk() const;

 private:
  struct JobOptions {
    uint32_t packets = 0;
    uint32_t slice_packets = 0;  // 0: all of them go to the subject
    bool noting = false;
  };
  Status SetJob(const Load& load, const JobOptions& options);
  Result<bench_job> Run(const Load& load, const JobOptions& options);
  Result<bench_job> RunLocked(const Load& load, const JobOptions& options);

  Object object_;
  UniqueFd loop_link_;
  std::unique_ptr<std::mutex> running_ = std::make_unique<std::mutex>();
  uint32_t subjects_ = 0;  // added
  BpfMap jobs_, next_, sunk_;
  MappedArray<uint64_t> answers_;
  uint64_t random_ = 88172645463325252;  // of the random numbers; never 0
};

}  // namespace shunt::bench
