// SPDX-License-Identifier: Apache-2.0
// Whether packets that come in by the interfaces reach the program: what the kernel says that the links received,
// against what the program counted. Pure; fed by the announcer. Not here: whether the program does right with them
// (self_test.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace shunt {

class ArrivalCheck {
 public:
  // Sums since some beginning: received packets by interface, and the program's verdicts without those of packets that
  // no interface received. What is wrong since the last call, as a sentence; empty: nothing, or too few packets came to
  // tell.
  std::string Note(const std::map<std::string, uint64_t>& received, uint64_t verdicts);

 private:
  std::map<std::string, uint64_t> received_;
  uint64_t verdicts_ = 0;
  bool begun_ = false;
};

}  // namespace shunt
