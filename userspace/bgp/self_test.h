// SPDX-License-Identifier: Apache-2.0
// Asks the program that is attached what it does with a packet for each VIP, by a test run: it must leave in an outer
// header for one of the VIP's reals, and be in it what it was. The packets count like others, as from 192.0.2.1 and
// 2001:db8::192:0:2:1. Called by the announcer, on its thread. Not here: whether packets reach the program
// (arrival_check.h).
#pragma once

#include <map>
#include <string>

#include "userspace/control/writer.h"
#include "userspace/dataplane/dataplane.h"

namespace shunt {

class SelfTest {
 public:
  explicit SelfTest(Dataplane& dataplane) : dataplane_(dataplane) {}

  // Tests VIPs with a ring: all that never were, and of the others the next ones in turn, at most so many.
  // `interface_index`: one that has the program.
  void Test(const Snapshot& snapshot, uint32_t interface_index, size_t again);

  // By VIP, of those that were tested and are there still: what is wrong; empty: nothing.
  const std::map<VipKey, std::string>& problems() const { return problems_; }
  bool has_tested_all(const Snapshot& snapshot) const;
  uint64_t packets() const { return packets_; }  // of all tests

 private:
  std::string TestVip(const Plan& plan, const VipKey& key, uint32_t interface_index);

  Dataplane& dataplane_;
  std::map<VipKey, std::string> problems_;
  VipKey last_{};        // that had its turn again
  uint64_t rounds_ = 0;  // how often all of them had their turn again
  uint64_t packets_ = 0;
};

}  // namespace shunt
