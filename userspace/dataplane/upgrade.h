// SPDX-License-Identifier: Apache-2.0
// What can be done to a balancer's data plane from outside, with or without a shuntd that runs: putting this build's
// program in the place of the one that is attached, and taking everything away. In terms of pins and interfaces; called
// by shuntctl, as root, in the network namespace of the interfaces.
#pragma once

#include <string>
#include <vector>

#include "userspace/base/result.h"

namespace shunt {

struct UpgradeReport {
  struct OnInterface {
    std::string interface;
    std::string how;  // a sentence: what is done there, or was
  };
  std::string maps{};     // a sentence: whether this build works on the maps that are pinned
  std::string program{};  // a sentence: whether its program is another one
  std::vector<OnInterface> interfaces{};
  bool hitless = true;      // no packet is lost or counted twice by it
  bool maps_stay = true;    // else it is for a restart of shuntd, which copies them
  bool is_upgrade = false;  // the program is another one
};

// Loads this build's program on the pinned maps, so that the verifier has seen it, and unless it is a dry run replaces
// the attached one: in one step for each interface, or for all together in dispatchers. On an error the old one goes
// on. kNotFound: no balancer is pinned in `bpffs`.
Result<UpgradeReport> Upgrade(const std::string& bpffs, bool dry_run);

// Takes the balancer's programs off all interfaces, closes the tunnel of probes and removes every pin, of whatever
// version; returns what it removed, one sentence each. kExists: shuntd runs.
Result<std::vector<std::string>> DetachEverything(const std::string& bpffs);

}  // namespace shunt
