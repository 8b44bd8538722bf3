// SPDX-License-Identifier: Apache-2.0
// KernelDataplane's counters and flow sketches, and running one frame through the program.
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <optional>

#include "userspace/dataplane/flow_estimate.h"
#include "userspace/dataplane/kernel_dataplane_impl.h"
#include "userspace/dataplane/verdict.h"

namespace shunt {
namespace {

constexpr size_t kRoomBytes = 64;  // more than any outer header

Traffic Decode(const shunt_traffic& traffic) { return {traffic.packets, traffic.bytes, traffic.new_flows}; }

void Add(shunt_traffic& sum, const shunt_traffic& traffic) {
  sum.packets += traffic.packets;
  sum.bytes += traffic.bytes;
  sum.new_flows += traffic.new_flows;
}

// What was counted here and, before it moved, elsewhere.
Result<std::vector<shunt_traffic>> TotalTraffic(const PerCpuArrayMap<shunt_traffic>& counters,
                                                const ArrayMap<shunt_traffic>& carried_map,
                                                std::span<const uint32_t> entries) {
  auto totals = counters.Read(entries);
  if (!totals) return totals;
  auto carried = carried_map.Read(entries);
  if (!carried) return carried;
  for (size_t i = 0; i < totals->size(); ++i) Add((*totals)[i], (*carried)[i]);
  return totals;
}

std::vector<Traffic> DecodeAll(std::span<const shunt_traffic> traffic) {
  std::vector<Traffic> decoded(traffic.size());
  std::ranges::transform(traffic, decoded.begin(), Decode);
  return decoded;
}

// The highest rank of each register in either generation.
std::array<uint8_t, SHUNT_SKETCH_REGISTERS> RanksOf(const shunt_flow_sketch& sketch) {
  std::array<uint8_t, SHUNT_SKETCH_REGISTERS> ranks{};
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (const auto& generation : sketch.registers) {
      const auto rank = static_cast<uint8_t>(generation[i / 2] >> (i % 2 * 4) & SHUNT_SKETCH_MAX_RANK);
      ranks[i] = std::max(ranks[i], rank);
    }
  }
  return ranks;
}

Status CheckNumbers(std::string_view what, std::span<const uint32_t> numbers, size_t end) {
  for (const uint32_t number : numbers) {
    if (number < end) continue;
    return Fail(ErrorKind::kInvalid, fmt::format("{} {}: there are {}", what, number, end));
  }
  return {};
}

// The verdict whose count alone rose, by one; absent if that is not so.
std::optional<uint32_t> OneMore(std::span<const VerdictCount> before, std::span<const VerdictCount> after) {
  std::optional<uint32_t> verdict;
  for (size_t i = 0; i < after.size(); ++i) {
    const uint64_t more = after[i].packets - before[i].packets;
    if (more == 0) continue;
    if (more > 1 || verdict) return std::nullopt;
    verdict = after[i].verdict;
  }
  return verdict;
}

std::vector<uint8_t> BytesOf(std::span<const std::byte> frame) {
  std::vector<uint8_t> bytes(frame.size());
  std::ranges::transform(frame, bytes.begin(), [](std::byte byte) { return std::to_integer<uint8_t>(byte); });
  return bytes;
}

}  // namespace

Status KernelDataplane::ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) {
  const auto refusals = impl_->vip_refusals.values();
  const auto sketches = impl_->flow_sketches.values();
  if (auto valid = CheckNumbers("resetting the counters of VIP id", vip_ids, refusals.size()); !valid) return valid;
  if (auto valid = CheckNumbers("resetting the counters of real", entries, sketches.size()); !valid) return valid;
  if (auto reset = impl_->vip_counters.Reset(vip_ids); !reset) return reset;
  if (auto reset = impl_->real_counters.Reset(entries); !reset) return reset;
  for (const uint32_t id : vip_ids) {
    std::atomic_ref(refusals[id].last_s).store(0, std::memory_order_relaxed);
    std::atomic_ref(refusals[id].count).store(0, std::memory_order_relaxed);
  }
  for (const uint32_t entry : entries) sketches[entry] = {};
  if (auto reset = impl_->vip_carried.Update(vip_ids, std::vector<shunt_traffic>(vip_ids.size())); !reset) return reset;
  return impl_->real_carried.Update(entries, std::vector<shunt_traffic>(entries.size()));
}

Status KernelDataplane::CarryTraffic(uint32_t from, uint32_t to) {
  auto moved = TotalTraffic(impl_->real_counters, impl_->real_carried, std::span(&from, 1));
  if (!moved) return std::unexpected(moved.error());
  auto carried = impl_->real_carried.Read(std::span(&to, 1));
  if (!carried) return std::unexpected(carried.error());
  Add(carried->front(), moved->front());
  return impl_->real_carried.Update(std::span(&to, 1), *carried);
}

Result<std::vector<Traffic>> KernelDataplane::ReadVipTraffic(std::span<const uint32_t> vip_ids) {
  auto traffic = TotalTraffic(impl_->vip_counters, impl_->vip_carried, vip_ids);
  if (!traffic) return std::unexpected(traffic.error());
  return DecodeAll(*traffic);
}

Result<std::vector<Traffic>> KernelDataplane::ReadRealTraffic(std::span<const uint32_t> entries) {
  auto traffic = TotalTraffic(impl_->real_counters, impl_->real_carried, entries);
  if (!traffic) return std::unexpected(traffic.error());
  return DecodeAll(*traffic);
}

Result<std::vector<VerdictCount>> KernelDataplane::ReadVerdicts() {
  std::array<uint32_t, VERDICT_COUNT - 1> numbers{};
  std::iota(numbers.begin(), numbers.end(), 1u);  // 0 is CONTINUE
  auto counts = impl_->verdict_counters.Read(numbers);
  if (!counts) return std::unexpected(counts.error());
  auto carried = impl_->verdict_carried.Read(numbers);
  if (!carried) return std::unexpected(carried.error());
  std::vector<VerdictCount> verdicts;
  for (size_t i = 0; i < numbers.size(); ++i) {
    verdicts.push_back(
        {numbers[i], (*counts)[i].packets + (*carried)[i].packets, (*counts)[i].bytes + (*carried)[i].bytes});
  }
  return verdicts;
}

Result<std::vector<double>> KernelDataplane::ReadFlowEstimates(std::span<const uint32_t> entries) {
  const auto sketches = impl_->flow_sketches.values();
  if (auto valid = CheckNumbers("estimating the flows of real", entries, sketches.size()); !valid)
    return std::unexpected(valid.error());
  std::vector<double> estimates;
  for (const uint32_t entry : entries) estimates.push_back(EstimateFlows(RanksOf(sketches[entry])));
  return estimates;
}

// Nothing is noted in the generation that is emptied, and in the one that is left nothing more: it stays as the
// interval that ended.
Status KernelDataplane::TurnFlowEstimates() {
  const std::scoped_lock lock(impl_->tables_mutex);
  const std::atomic_ref<__u32> generation(impl_->control.values()[0].sketch_generation);
  const uint32_t next = 1 - generation.load(std::memory_order_relaxed) % 2;
  for (const auto& [id, vip] : impl_->installed) {
    for (shunt_flow_sketch& sketch :
         impl_->flow_sketches.values().subspan(vip.entry.real_base, vip.entry.real_capacity))
      std::ranges::fill(sketch.registers[next], uint8_t{0});
  }
  generation.store(next, std::memory_order_release);
  return {};
}

// The kernel tells the XDP action, of which several verdicts share one; so the verdict is the counter that rose.
// That needs silence otherwise: with packets coming in at the same time this fails and says so.
Result<FrameResult> KernelDataplane::RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) {
  if (frame.size() < kEthernetBytes) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("running the program on a frame of {} bytes: an Ethernet header has {}", frame.size(),
                            kEthernetBytes));
  }
  const std::scoped_lock lock(impl_->run_mutex);
  auto before = ReadVerdicts();
  if (!before) return std::unexpected(before.error());
  auto run = RunXdpProgram(impl_->program.fd.get(), std::as_bytes(frame), ingress_ifindex, kRoomBytes);
  if (!run) return std::unexpected(run.error());
  auto after = ReadVerdicts();
  if (!after) return std::unexpected(after.error());
  const auto verdict = OneMore(*before, *after);
  if (!verdict) {
    return Fail(ErrorKind::kSystem,
                "running the program on a frame: not exactly one verdict was counted, so other "
                "packets came in meanwhile; try again without traffic");
  }
  return FrameResult{*verdict, BytesOf(run->frame)};
}

Result<std::optional<std::vector<uint8_t>>> KernelDataplane::Forward(std::span<const uint8_t> frame,
                                                                     uint32_t ingress_ifindex) {
  const std::scoped_lock lock(impl_->run_mutex);  // RunFrame() counts what others run
  const auto run = RunXdpProgram(impl_->program.fd.get(), std::as_bytes(frame), ingress_ifindex, kRoomBytes);
  if (!run) return std::unexpected(run.error());
  if (run->action != XDP_TX && run->action != XDP_REDIRECT) return std::nullopt;
  return BytesOf(run->frame);
}

}  // namespace shunt
