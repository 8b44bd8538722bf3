// SPDX-License-Identifier: Apache-2.0
// other_version BPFFS INTERFACE: attaches the balancer with another constant than shuntd's (VLAN tags), on the tables
// that are pinned there: to kernel and libxdp another version of the program. For dispatcher.sh, while no shuntd runs.
#include <cstdio>

#include "userspace/dataplane/default_capacities.h"
#include "userspace/dataplane/kernel_dataplane.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: other_version BPFFS INTERFACE\n");
    return 2;
  }
  shunt::KernelDataplaneOptions options;
  options.bpffs = argv[1];
  options.interfaces = {argv[2]};
  options.capacities = shunt::DefaultCapacities();  // as that shuntd has them
  options.max_vlan_tags = 1;
  auto dataplane = shunt::KernelDataplane::Open(options);
  if (!dataplane) {
    std::fprintf(stderr, "other_version: %s\n", dataplane.error().message.c_str());
    return 1;
  }
  auto attached = (*dataplane)->Attach();
  if (!attached) {
    std::fprintf(stderr, "other_version: %s\n", attached.error().message.c_str());
    return 1;
  }
  std::printf("%s\n", attached->front().was_there ? "took over" : "attached");
  return 0;
}
