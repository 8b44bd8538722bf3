// SPDX-License-Identifier: Apache-2.0
#include "tests/dataplane/harness.h"

#include <bpf/bpf.h>
#include <no_headroom.skel.h>
#include <shunt/abi_verdicts.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "userspace/bpf/object.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/dataplane/verdict.h"

namespace shunt::test {
namespace {

constexpr size_t kRoomBytes = 64;  // more than any outer header

template <class T>
T Must(Result<T> result) {
  INFO((result ? "" : result.error().message));
  REQUIRE(result);
  return std::move(*result);
}

void Must(const Status& status) {
  INFO((status ? "" : status.error().message));
  REQUIRE(status);
}

bool IsEncapsulated(uint32_t verdict) {
  return verdict == VERDICT_TX_ENCAPSULATED || verdict == VERDICT_REDIRECT_ENCAPSULATED;
}

}  // namespace

std::string_view NameOf(uint32_t verdict) { return VerdictOf(verdict).name; }

Harness::Harness(const Plan& plan, uint32_t max_vlan_tags, uint32_t flow_entries_per_second)
    : plan_(plan), tables_(TablesOf(plan)), max_vlan_tags_(max_vlan_tags) {
  kernel_ = Must(KernelDataplane::OpenPrivate(kCapacities, max_vlan_tags, flow_entries_per_second));
  program_fd_ = kernel_->program_fd();
  Must(Install(*kernel_, plan));
  counted_ = Must(kernel_->ReadVerdicts());
}

Walk Harness::RunModel(const Bytes& frame, uint32_t ingress_ifindex) {
  tables_.now_s = MonotonicSeconds();
  Walk walk = WalkFrame(tables_, frame, ingress_ifindex, max_vlan_tags_);
  Apply(walk, tables_);
  ++frames_;
  frame_bytes_ += frame.size();
  return walk;
}

uint32_t Harness::CountOne(size_t frame_bytes) {
  const auto before = std::exchange(counted_, Must(kernel_->ReadVerdicts()));
  uint32_t verdict = 0;
  for (size_t i = 0; i < counted_.size(); ++i) {
    if (counted_[i].packets == before[i].packets) continue;
    if (verdict != 0) FAIL("counted as " << NameOf(verdict) << " and as " << NameOf(counted_[i].verdict));
    if (counted_[i].packets != before[i].packets + 1 || counted_[i].bytes != before[i].bytes + frame_bytes) {
      FAIL(NameOf(counted_[i].verdict) << " did not grow by one frame of " << frame_bytes << " bytes");
    }
    verdict = counted_[i].verdict;
  }
  if (verdict == 0) FAIL("no verdict was counted");
  return verdict;
}

Harness::Both Harness::RunFast(const Bytes& frame, uint32_t ingress_ifindex) {
  Both both;
  both.model = RunModel(frame, ingress_ifindex);
  const TestRun run = Must(RunXdpProgram(program_fd_, std::as_bytes(std::span(frame)), ingress_ifindex, kRoomBytes));
  both.program.verdict = CountOne(frame.size());
  both.program.frame.resize(run.frame.size());
  std::memcpy(both.program.frame.data(), run.frame.data(), run.frame.size());
  return both;
}

void Harness::CheckTotals() {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  for (const VerdictCount& count : Must(kernel_->ReadVerdicts())) {
    packets += count.packets;
    bytes += count.bytes;
  }
  REQUIRE(packets == frames_);
  REQUIRE(bytes == frame_bytes_);
}

FrameResult Harness::Run(const Bytes& frame, uint32_t ingress_ifindex) {
  model_ = RunModel(frame, ingress_ifindex);
  FrameResult program = Must(kernel_->RunFrame(frame, ingress_ifindex));
  REQUIRE(NameOf(CountOne(frame.size())) == NameOf(program.verdict));
  CheckTotals();
  if (!IsEncapsulated(program.verdict)) REQUIRE(program.frame == frame);
  for (const WalkStep& step : model_.steps) UNSCOPED_INFO(step.stage << ": " << step.sentence);
  REQUIRE(NameOf(model_.verdict) == NameOf(program.verdict));
  REQUIRE(model_.frame == program.frame);
  return program;
}

uint32_t Harness::RunWithoutHeadroom(const Bytes& frame) {
  const std::unique_ptr<no_headroom_bpf, void (*)(no_headroom_bpf*)> wrapper(no_headroom_bpf__open_and_load(),
                                                                             no_headroom_bpf__destroy);
  REQUIRE(wrapper);
  const uint32_t first = 0;
  REQUIRE(bpf_map__update_elem(wrapper->maps.next, &first, sizeof(first), &program_fd_, sizeof(program_fd_), 0) == 0);
  Bytes out(frame.size() + 256);
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  options.data_out = out.data();
  options.data_size_out = static_cast<uint32_t>(out.size());
  REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(wrapper->progs.remove_headroom), &options) == 0);
  ++frames_;
  frame_bytes_ += frame.size();
  CheckTotals();
  return CountOne(frame.size());
}

void Harness::SetRing(const VipKey& vip, const Ring& ring) {
  GiveRing(plan_, vip, ring);
  const VipEntry& entry = plan_.vips.at(vip).entry;
  tables_.vips[vip] = entry;
  tables_.rings[entry.id] = plan_.vips.at(vip).ring;
  Must(kernel_->SetVips(plan_));
}

void Harness::SetSlots(const VipKey& vip, const Ring& ring) {
  const PlannedVip& planned = plan_.vips.at(vip);
  std::vector<uint32_t> changed;
  for (uint32_t slot = 0; slot < ring.size(); ++slot)
    if (ring[slot] != planned.ring->at(slot)) changed.push_back(slot);
  GiveRing(plan_, vip, ring);
  tables_.rings[planned.entry.id] = planned.ring;
  Must(kernel_->SetSlots(planned.entry.id, planned.ring, changed));
}

void Harness::SetReal(const VipKey& vip, uint16_t index, const RealEntry& real) {
  const RealWrite write{plan_.vips.at(vip).entry.real_base + index, real};
  tables_.reals[write.entry] = real;
  Must(kernel_->SetReals(std::span(&write, 1)));
}

void Harness::ClearReal(const VipKey& vip, uint16_t index) {
  const uint32_t entry = plan_.vips.at(vip).entry.real_base + index;
  tables_.reals.erase(entry);
  Must(kernel_->ClearReals(std::span(&entry, 1)));
}

Traffic Harness::VipTraffic(const VipKey& vip) {
  const uint32_t id = plan_.vips.at(vip).entry.id;
  return Must(kernel_->ReadVipTraffic(std::span(&id, 1))).front();
}

Traffic Harness::RealTraffic(const VipKey& vip, uint16_t index) {
  const uint32_t entry = plan_.vips.at(vip).entry.real_base + index;
  return Must(kernel_->ReadRealTraffic(std::span(&entry, 1))).front();
}

}  // namespace shunt::test
