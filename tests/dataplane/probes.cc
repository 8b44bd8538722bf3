// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <catch2/catch.hpp>

#include "userspace/bpf/tc.h"

namespace shunt::test {

RealEntry ProbeReal(ProbeEntry entry, uint32_t egress_ifindex) {
  const bool down = entry == kIpv4Down || entry == kIpv6Down || entry == kUnresolvedDown;
  const bool resolved = entry != kUnresolved && entry != kUnresolvedDown;
  const bool ipv6 = entry == kIpv6Real || entry == kIpv6Down;
  return MakeReal({.address = ipv6 ? "2001:db8:7::12" : "10.0.0.11",
                   .interface_index = egress_ifindex,
                   .source = ipv6 ? "2001:db8:9::" : "10.9.0.0",
                   .spread_bits = 16,
                   .ttl = 63,
                   .resolved = resolved,
                   .serves = !down});
}

std::unique_ptr<KernelDataplane> OpenForProbes(uint32_t egress_ifindex) {
  auto opened = KernelDataplane::OpenPrivate({.max_vips = 1, .max_reals = 16, .max_flows = 64});
  INFO((opened ? "" : opened.error().message));
  REQUIRE(opened);
  std::vector<RealWrite> writes;
  for (uint32_t entry = kIpv4Real; entry < kNoReal; ++entry)
    writes.push_back({entry, ProbeReal(ProbeEntry{entry}, egress_ifindex)});
  REQUIRE((*opened)->SetReals(writes));
  return std::move(*opened);
}

uint32_t IndexOf(const std::string& interface) { return if_nametoindex(interface.c_str()); }

void MustOpenTunnel(KernelDataplane& dataplane, const std::string& interface) {
  const uint32_t index = IndexOf(interface);
  const Status opened = dataplane.OpenProbeTunnel(std::span(&index, 1));
  INFO((opened ? "" : opened.error().message));
  REQUIRE(opened);
}

TcProgram ProgramOnEgress(const std::string& interface) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(IndexOf(interface));
  hook.attach_point = BPF_TC_EGRESS;
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const CapturedStderr quiet;  // libbpf's words where nothing is there
  if (bpf_tc_query(&hook, &options) != 0) return {};
  return {options.prog_id, UniqueFd(bpf_prog_get_fd_by_id(options.prog_id))};
}

}  // namespace shunt::test
