// SPDX-License-Identifier: Apache-2.0
// A network namespace with one veth pair for `shunt-bench wire`, and the CPU on which its inner end receives. One
// thread, which lives in that namespace from then on.
#pragma once

#include <cstdint>

#include "userspace/base/result.h"

namespace shunt::bench {

//     generator CPU                    receiver CPU
//   live frames ─► outside ────────► inside ─► program under test
//          sink ◄─ outside ◄──────── inside ◄─ XDP_TX
class WireLab {
 public:
  // In this thread's network namespace, which is nobody else's (LeaveNetwork()). It gets a /sys of its own.
  static Result<WireLab> Make(uint32_t generator_cpu, uint32_t receiver_cpu);

  // The thread that receives at the inner end runs on its CPU from now on. Call it when a program was attached there:
  // the kernel makes a new thread then.
  Status MoveReceiver() const;

  uint32_t outside_ifindex() const { return outside_ifindex_; }
  uint32_t balancer_ifindex() const { return inside_ifindex_; }
  uint32_t generator_cpu() const { return generator_cpu_; }

 private:
  uint32_t outside_ifindex_ = 0;
  uint32_t inside_ifindex_ = 0;
  uint32_t generator_cpu_ = 0;
  uint32_t receiver_cpu_ = 0;
};

}  // namespace shunt::bench
