// SPDX-License-Identifier: Apache-2.0
// For the tests of userspace/control: desired states to play with, a data plane that watches every write and can
// fail, next hops that change on command.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/forwarding_dataplane.h"
#include "userspace/base/unique_fd.h"
#include "userspace/control/liveness.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/model/desired_state.h"
#include "userspace/net/next_hop_source.h"

namespace shunt::testing {

IpAddress Address(const std::string& text);
VipKey Key(const std::string& text);

// A hash key, rings of 13 slots and no slow start.
DesiredState SmallState();
// SmallState() with one VIP and its reals 10.0.0.1 to 10.0.0.`count`.
DesiredState WithReals(const VipKey& vip, int count);

// A next hop for every real.
NextHopTable NextHopsOf(const DesiredState& state);

// The plan with a next hop for every real, and nobody climbing.
Result<Plan> PlanFrom(const Plan& current, const DesiredState& state, const Capacities& capacities, SteadyTime now,
                      const Liveness& liveness = {});

// A few VIPs and reals that come, go, drain, fail and change, so that every kind of change meets every other.
class RandomChanges {
 public:
  explicit RandomChanges(uint32_t seed) : random_(seed) {}
  void ChangeOneThing(DesiredState& state);
  // Carries the liveness along with a change, all new reals up; now and then some real goes down or comes up.
  void FollowHealth(const DesiredState& before, const DesiredState& after, Liveness& liveness);
  uint32_t UpTo(uint32_t max) { return std::uniform_int_distribution<uint32_t>(0, max)(random_); }

 private:
  void ChangeVip(Vip& vip);
  std::mt19937 random_;
};

// Empty: both hold the same. Otherwise the first difference.
std::string Difference(const Plan& a, const Plan& b);

// Passes everything on to a MemoryDataplane. Beside it keeps the tables from the calls alone, and after each checks
// that every VIP serves from a whole ring, whose reals all stand in the VIP's own entries.
class WatchedDataplane final : public ForwardingDataplane {
 public:
  using ForwardingDataplane::ForwardingDataplane;

  // Writes number `first` to `last`, counted from 1 from now on, fail. What the sweeper does by itself is not counted.
  void FailWrites(size_t first, size_t last);
  void FailWrite(size_t number) { FailWrites(number, number); }
  void FailNone() { FailWrites(0, 0); }
  size_t writes() const { return writes_; }  // since the last Fail…()
  void FailSlots(bool fail) { fail_slots_ = fail; }
  size_t slot_writes() const { return slot_writes_; }
  std::vector<std::string> violations() const;  // so far
  void BeforeEachWrite(std::function<void()> action) { before_write_ = std::move(action); }

  Status SetReals(std::span<const RealWrite> reals) override;
  Status ClearReals(std::span<const uint32_t> entries) override;
  Status SetVips(const Plan& plan) override;
  Status SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring, std::span<const uint32_t> slots) override;
  Status ForgetFlowsExcept(const Plan& plan) override;
  Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) override;
  Status CarryTraffic(uint32_t from, uint32_t to) override;

 private:
  Status Write(const std::string& name, const std::function<Status()>& pass_on, const std::function<void()>& note);
  void CheckVip(const VipKey& key, const PlannedVip& vip, const std::string& after);

  std::function<void()> before_write_;
  std::atomic<size_t> writes_ = 0;
  std::atomic<size_t> slot_writes_ = 0;
  std::atomic<bool> fail_slots_ = false;
  std::atomic<size_t> fail_first_ = 0;
  std::atomic<size_t> fail_last_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::map<uint32_t, RealEntry> reals_;
  std::map<VipKey, PlannedVip> vips_;
  std::map<std::pair<VipKey, uint16_t>, IpAddress> served_by_;  // what an index of a VIP stood for last
  std::vector<std::string> violations_;
};

// Every real has a next hop until it is said otherwise; fd() tells of it.
class FakeNextHops final : public NextHopSource {
 public:
  FakeNextHops();
  void Set(const IpAddress& real, NextHopState state);
  void FailResolve(bool fail);
  std::set<IpAddress> followed() const;
  size_t resolved_times() const;

  int fd() const override { return event_.get(); }
  Result<bool> Changed() override;
  Result<NextHopTable> Resolve(const std::set<IpAddress>& reals) override;

 private:
  void Signal();
  void Drain();

  UniqueFd event_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<IpAddress, NextHopState> said_;
  std::set<IpAddress> followed_;
  size_t resolved_times_ = 0;
  bool fail_ = false;
};

// No log lines from now on. (A test that included glog would get its CHECK in place of Catch's.)
void LogNothing();

// Polls until it holds; false after ten seconds.
bool Eventually(const std::function<bool()>& condition);

}  // namespace shunt::testing
