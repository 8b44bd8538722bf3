// SPDX-License-Identifier: Apache-2.0
// What two balancers of the same VIPs must have alike, short enough to compare: each VIP's ring and settings, and the
// hash key. Equal rings send every flow to the same real, whichever balancer ECMP chooses. Handed out by the controller
// to rpc and metrics; any thread. Not here: comparing (tools/shuntctl).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "userspace/control/writer.h"

namespace shunt {

struct VipDigest {
  uint64_t ring = 0;  // of the address of each slot's current real; ids and indices, a host's own, are no part of it
  uint64_t settings = 0;      // of what an operator said of the VIP and its reals, and of the defaults
  uint32_t moving_slots = 0;  // their former reals still get old flows, here
  bool operator==(const VipDigest&) const = default;
};

// Tells hash keys apart and nothing else about them: the hash of one flow that nobody has.
uint32_t HashKeyId(const HashKey& key);

// Remembers the rings' digests: one is computed anew only when its ring is another.
class Digests {
 public:
  std::map<VipKey, VipDigest> Of(const Snapshot& snapshot);

 private:
  struct Known {
    std::shared_ptr<const Ring> ring;  // what it was computed from
    uint64_t digest = 0;
  };
  std::mutex mutex_;
  std::map<VipKey, Known> known_;  // guarded by it
};

}  // namespace shunt
