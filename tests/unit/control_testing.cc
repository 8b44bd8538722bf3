// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control_testing.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <chrono>
#include <thread>

#include "userspace/control/planner.h"
#include "userspace/control/weights.h"
#include "userspace/net/static_next_hops.h"

namespace shunt::testing {
namespace {

constexpr uint32_t kVips = 5;
constexpr uint32_t kReals = 9;
constexpr uint32_t kRingSizes[] = {13, 17, 19};
constexpr Tracking kTrackings[] = {Tracking::kMoving, Tracking::kAll, Tracking::kNone};

StaticNextHops AnyNextHops() {
  return StaticNextHops({.local_mac = *MacAddress::Parse("02:00:00:00:00:01"),
                         .gateway_mac = *MacAddress::Parse("02:00:00:00:00:02"),
                         .ipv4_source = Address("10.0.0.1"),
                         .ipv6_source = Address("2001:db8:7::1")});
}

}  // namespace

IpAddress Address(const std::string& text) { return IpAddress::Parse(text).value(); }
VipKey Key(const std::string& text) { return VipKey::Parse(text).value(); }

DesiredState SmallState() {
  DesiredState state;
  state.hash_key = {1, 2, 3};
  state.defaults.ring_size = 13;
  state.defaults.slow_start_seconds = 0;
  return state;
}

DesiredState WithReals(const VipKey& vip, int count) {
  DesiredState state = SmallState();
  for (int i = 1; i <= count; ++i) state.vips[vip].reals[Address(fmt::format("10.0.0.{}", i))] = {};
  return state;
}

NextHopTable NextHopsOf(const DesiredState& state) {
  std::set<IpAddress> reals;
  for (const auto& [key, vip] : state.vips) {
    for (const auto& [address, real] : vip.reals) reals.insert(address);
  }
  return AnyNextHops().Resolve(reals).value();
}

Result<Plan> PlanFrom(const Plan& current, const DesiredState& state, const Capacities& capacities, SteadyTime now,
                      const Liveness& liveness) {
  const NextHopTable next_hops = NextHopsOf(state);
  const WeightTable weights = WeighVips(state, liveness, {}, now);
  return MakePlan({.desired = state, .weights = weights, .next_hops = next_hops, .capacities = capacities, .now = now},
                  current);
}

void RandomChanges::ChangeOneThing(DesiredState& state) {
  const uint32_t number = UpTo(kVips - 1);
  const VipKey key = Key(fmt::format("203.0.113.{}:{}/{}", 10 + number / 2, 80 + number, number % 2 ? "udp" : "tcp"));
  switch (UpTo(11)) {
    case 0:
      state.vips.erase(key);
      break;
    case 1:
      state.defaults.ring_size = kRingSizes[UpTo(2)];
      break;
    case 2:
      state.hash_key[0] = static_cast<uint8_t>(UpTo(255));
      break;
    case 3:
      state.outer_source.ipv4 = Prefix::Parse(UpTo(1) ? "10.9.0.0/16" : "10.8.0.0/24").value();
      break;
    default:
      ChangeVip(state.vips[key]);
  }
}

void RandomChanges::FollowHealth(const DesiredState& before, const DesiredState& after, Liveness& liveness) {
  liveness = CarryLiveness(before, liveness, after);
  for (auto& [key, reals] : liveness) {
    for (auto& [address, health] : reals) {
      if (health == Health::kUnknown) health = Health::kUp;
      if (UpTo(7) == 0) health = health == Health::kUp ? Health::kDown : Health::kUp;
    }
  }
}

void RandomChanges::ChangeVip(Vip& vip) {
  const uint32_t number = UpTo(kReals - 1);
  const IpAddress address =
      Address(number % 3 == 0 ? fmt::format("2001:db8:7::{}", number + 1) : fmt::format("10.0.0.{}", number + 11));
  switch (UpTo(7)) {
    case 0:
      vip.ring_size = kRingSizes[UpTo(2)];
      break;
    case 1:
      vip.tracking = kTrackings[UpTo(2)];
      break;
    case 2:
      vip.reals.erase(address);
      break;
    case 3:
      vip.reals.clear();
      break;
    case 4:
      vip.reals[address].state = RealState::kDrain;
      break;
    default:
      vip.reals[address] = {.weight = UpTo(3), .state = RealState::kActive};
  }
}

std::string Difference(const Plan& a, const Plan& b) {
  for (const auto& [key, vip] : a.vips) {
    const auto found = b.vips.find(key);
    if (found == b.vips.end()) return key.ToString() + " is only in the first";
    if (vip.entry != found->second.entry) return key.ToString() + " has another entry";
    if (*vip.ring != *found->second.ring) return key.ToString() + " has another ring";
    if (vip.reals != found->second.reals) return key.ToString() + " has other reals";
  }
  for (const auto& [key, vip] : b.vips) {
    if (!a.vips.contains(key)) return key.ToString() + " is only in the second";
  }
  return {};
}

void WatchedDataplane::FailWrites(size_t first, size_t last) {
  writes_ = 0;
  fail_first_ = first;
  fail_last_ = last;
}

std::vector<std::string> WatchedDataplane::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}

Status WatchedDataplane::Write(const std::string& name, const std::function<Status()>& pass_on,
                               const std::function<void()>& note) {
  if (before_write_) before_write_();
  const size_t number = ++writes_;
  if (number >= fail_first_ && number <= fail_last_) {
    return Fail(ErrorKind::kSystem, fmt::format("{}: write {} was made to fail", name, number));
  }
  if (auto passed = pass_on(); !passed) return passed;
  const std::lock_guard lock(mutex_);
  note();
  for (const auto& [key, vip] : vips_) CheckVip(key, vip, name);
  return {};
}

void WatchedDataplane::CheckVip(const VipKey& key, const PlannedVip& vip, const std::string& after) {
  const auto violation = [&](const std::string& what) {
    violations_.push_back(fmt::format("after {}: {} {}", after, key.ToString(), what));
  };
  if (vip.ring->size() != vip.entry.ring_slots) return violation("has a ring of another size");
  for (const RingSlot& slot : *vip.ring) {
    for (const uint16_t index : {slot.current_real, slot.previous_real}) {
      if (index == 0) continue;
      if (index >= vip.entry.real_capacity) return violation("leaves its range");
      const auto real = reals_.find(vip.entry.real_base + index);
      if (real == reals_.end()) return violation("names a real that is not there");
      if (!real->second.serves) return violation("names a real that does not serve");
      const auto [served_by, is_new] = served_by_.try_emplace({key, index}, real->second.address);
      if (!is_new && served_by->second != real->second.address) return violation("names another real by an index");
    }
  }
}

Status WatchedDataplane::SetReals(std::span<const RealWrite> reals) {
  return Write(
      "SetReals", [&] { return memory().SetReals(reals); },
      [&] {
        for (const auto& [entry, real] : reals) reals_[entry] = real;
      });
}

Status WatchedDataplane::ClearReals(std::span<const uint32_t> entries) {
  return Write(
      "ClearReals", [&] { return memory().ClearReals(entries); },
      [&] {
        for (const uint32_t entry : entries) reals_.erase(entry);
      });
}

Status WatchedDataplane::SetVips(const Plan& plan) {
  return Write(
      "SetVips", [&] { return memory().SetVips(plan); },
      [&] {
        vips_ = plan.vips;
        std::erase_if(served_by_, [&](const auto& entry) { return !vips_.contains(entry.first.first); });
      });
}

Status WatchedDataplane::SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring,
                                  std::span<const uint32_t> slots) {
  if (fail_slots_) return Fail(ErrorKind::kSystem, "writing slots: was made to fail");
  ++slot_writes_;
  if (auto passed = memory().SetSlots(vip_id, ring, slots); !passed) return passed;
  const std::lock_guard lock(mutex_);
  for (auto& [key, vip] : vips_) {
    if (vip.entry.id == vip_id) vip.ring = ring;
    CheckVip(key, vip, "SetSlots");
  }
  return {};
}

Status WatchedDataplane::ForgetFlowsExcept(const Plan& plan) {
  // Nothing names an index that was freed any more: it may stand for another real from now on.
  return Write(
      "ForgetFlowsExcept", [&] { return memory().ForgetFlowsExcept(plan); },
      [&] {
        std::erase_if(served_by_, [&](const auto& entry) {
          const auto vip = plan.vips.find(entry.first.first);
          return vip == plan.vips.end() || !vip->second.reals.contains(entry.first.second);
        });
      });
}

Status WatchedDataplane::ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) {
  return Write("ResetTraffic", [&] { return memory().ResetTraffic(vip_ids, entries); }, [] {});
}

Status WatchedDataplane::CarryTraffic(uint32_t from, uint32_t to) {
  return Write("CarryTraffic", [&] { return memory().CarryTraffic(from, to); }, [] {});
}

FakeNextHops::FakeNextHops() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void FakeNextHops::Set(const IpAddress& real, NextHopState state) {
  const std::lock_guard lock(mutex_);
  said_[real] = std::move(state);
  Signal();
}

void FakeNextHops::FailResolve(bool fail) {
  const std::lock_guard lock(mutex_);
  fail_ = fail;
  Signal();
}

std::set<IpAddress> FakeNextHops::followed() const {
  const std::lock_guard lock(mutex_);
  return followed_;
}

size_t FakeNextHops::resolved_times() const {
  const std::lock_guard lock(mutex_);
  return resolved_times_;
}

Result<bool> FakeNextHops::Changed() {
  const std::lock_guard lock(mutex_);
  Drain();
  return true;
}

Result<NextHopTable> FakeNextHops::Resolve(const std::set<IpAddress>& reals) {
  const std::lock_guard lock(mutex_);
  Drain();
  ++resolved_times_;
  if (fail_) return Fail(ErrorKind::kSystem, "resolving next hops: was made to fail");
  followed_ = reals;
  NextHopTable table = AnyNextHops().Resolve(reals).value();
  for (const auto& [real, state] : said_) {
    if (table.contains(real)) table[real] = state;
  }
  return table;
}

void FakeNextHops::Signal() { static_cast<void>(eventfd_write(event_.get(), 1)); }

void FakeNextHops::Drain() {
  eventfd_t ignored = 0;
  static_cast<void>(eventfd_read(event_.get(), &ignored));
}

void LogNothing() { FLAGS_minloglevel = google::GLOG_FATAL; }

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

}  // namespace shunt::testing
