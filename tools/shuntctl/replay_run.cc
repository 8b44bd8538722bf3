// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/replay_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include "tools/shuntctl/json.h"
#include "userspace/control/planner.h"
#include "userspace/control/writes.h"
#include "userspace/dataplane/verdict.h"
#include "userspace/net/static_next_hops.h"

namespace shunt::ctl {
namespace {

constexpr uint32_t kInterface = 1;  // the loopback: what the kernel's test run takes without an interface of ours
constexpr uint32_t kMaxVlanTags = 2;
constexpr uint32_t kMaxFlows = 65536;
constexpr size_t kEthernetBytes = 14;
// Of the one page a driver has for a frame, 256 bytes lie in front of it and 320 behind (struct skb_shared_info).
// The kernel's test run takes more, but shows the program only what is in the page.
constexpr long kAroundFrameBytes = 256 + 320;

// Sources where the configuration has no outer_source: addresses for documentation (RFC 5737, RFC 3849).
constexpr std::array<uint8_t, 4> kIpv4Source = {192, 0, 2, 1};
constexpr IpAddress::Bytes kIpv6Source = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

ReplayedFrame Failed(uint64_t number, std::string_view why) {
  return {ToLine({{"frame", number}, {"error", why}}), std::nullopt, true};
}

}  // namespace

Capacities CapacitiesFor(const DesiredState& desired) {
  Capacities needed{static_cast<uint32_t>(desired.vips.size()) + 1, 1, kMaxFlows};
  for (const auto& [key, vip] : desired.vips) needed.max_reals += RealCapacity(vip.reals.size());
  return needed;
}

Result<Replay> Replay::Prepare(const DesiredState& desired, const ReplayOptions& options,
                               std::unique_ptr<Dataplane> dataplane) {
  std::set<IpAddress> reals;
  for (const auto& [key, vip] : desired.vips) {
    for (const auto& [address, real] : vip.reals) reals.insert(address);
  }
  StaticNextHops source({.local_mac = options.local_mac,
                         .gateway_mac = options.gateway_mac,
                         .ipv4_source = IpAddress::FromIpv4(kIpv4Source),
                         .ipv6_source = IpAddress(kIpv6Source),
                         .interface_index = kInterface,
                         .mtu_bytes = options.mtu_bytes});
  const auto next_hops = source.Resolve(reals);
  if (!next_hops) return std::unexpected(next_hops.error());
  const SteadyTime now = std::chrono::steady_clock::now();
  const WeightTable weights = WeighVips(desired, {}, {}, now);  // every real counts as healthy
  const auto plan = MakePlan({desired, weights, *next_hops, dataplane->capacities(), now}, Plan{});
  if (!plan) return std::unexpected(plan.error());
  if (const auto status = Execute(OrderWrites(Plan{}, *plan), *plan, *dataplane); !status) {
    return std::unexpected(status.error());
  }
  return Replay(std::move(dataplane), TablesOf(*plan));
}

ReplayedFrame Replay::Run(std::span<const uint8_t> frame) {
  const uint64_t number = ++frame_number_;
  if (frame.size() < kEthernetBytes) {
    return Failed(number,
                  fmt::format("{} bytes are no Ethernet frame; it has at least {}", frame.size(), kEthernetBytes));
  }
  const auto longest = static_cast<size_t>(sysconf(_SC_PAGESIZE) - kAroundFrameBytes);
  if (frame.size() > longest) {
    return Failed(number, fmt::format("{} bytes do not fit the one page that XDP has for a frame; it holds {}",
                                      frame.size(), longest));
  }
  const auto result = dataplane_->RunFrame(frame, kInterface);
  if (!result) return Failed(number, result.error().message);
  const Walk walk = WalkFrame(tables_, frame, kInterface, kMaxVlanTags, Steps::kOmit);
  const VerdictInfo& verdict = VerdictOf(result->verdict);
  if (walk.verdict != result->verdict) {
    return Failed(number, fmt::format("the program says {}, the model {}: a defect of Shunt, please report it",
                                      verdict.name, VerdictOf(walk.verdict).name));
  }
  const bool leaves = verdict.action == "XDP_TX" || verdict.action == "XDP_REDIRECT";
  if (leaves && walk.frame != result->frame) {
    return Failed(number, fmt::format("{}, but the program and the model make different frames: a defect of Shunt, "
                                      "please report it",
                                      verdict.name));
  }
  Apply(walk, tables_);

  Json line = {{"frame", number}, {"verdict", verdict.name}, {"action", verdict.action}};
  if (walk.vip) line["vip"] = walk.vip->ToString();
  if (const auto real = tables_.reals.find(walk.real_entry); walk.real_index != 0 && real != tables_.reals.end()) {
    line["real"] = real->second.address.ToString();
  }
  if (!leaves) return {ToLine(line), std::nullopt, false};
  line["out_len"] = result->frame.size();
  return {ToLine(line), result->frame, false};
}

}  // namespace shunt::ctl
