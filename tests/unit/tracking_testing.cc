// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/tracking_testing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <variant>

#include "tests/unit/control_testing.h"
#include "userspace/control/planner.h"
#include "userspace/control/sweeper.h"
#include "userspace/control/weights.h"
#include "userspace/control/writes.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt::testing {
namespace {

using std::chrono::milliseconds;

constexpr int kTickMs = 250;
constexpr uint32_t kReals = 12;
constexpr size_t kShownBroken = 5;

// What clients send. All addresses are IPv4, so that every field stands where it always does.
constexpr size_t kSourceAt = 14 + 12;
constexpr size_t kSourcePortAt = 14 + 20;
constexpr size_t kTcpFlagsAt = 14 + 20 + 13;
constexpr size_t kUdpPayloadAt = 14 + 20 + 8;
constexpr size_t kOuterDestinationAt = 14 + 16;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kQuicShortHeader = 0x40;

using RealAddress = std::array<uint8_t, 4>;

struct Flow {
  RealAddress first_real{};
  int64_t opened_ms = 0;
  int64_t ends_ms = 0;
  bool repeats_opening = false;  // its next packet is the opening one once more
  bool is_confirmed = false;     // it sent a packet that opens nothing
  bool lost_its_real = false;    // its client opens it anew
};

class World {
 public:
  explicit World(const WorldOptions& options);
  WorldResult Run();

 private:
  uint32_t UpTo(uint32_t max) { return std::uniform_int_distribution<uint32_t>(0, max)(random_); }
  int64_t Within(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(random_); }
  bool Chance(double probability) { return std::bernoulli_distribution(probability)(random_); }
  SteadyTime now() const { return SteadyTime() + milliseconds(now_ms_); }
  Vip& vip() { return desired_.vips[vip_key_]; }
  IpAddress RealOf(uint32_t real) const { return Address(fmt::format("10.0.0.{}", real + 1)); }
  int64_t LongestPauseMs(bool is_confirmed) const {
    const int64_t idle_ms = options_.idle_seconds * 1000 - 2 * kTickMs;
    return is_confirmed ? idle_ms : std::min<int64_t>(idle_ms, 28000);
  }
  bool TakesNewFlows() const;

  void ChangeSomething();
  void NoteLostReals();
  void SendBetweenWrites(bool is_cleared);
  void Write();
  void Tend();
  void OpenFlows();
  void Open(uint32_t id);
  void Flood();
  void SendDue();
  void SendNext(uint32_t id);
  std::optional<RealAddress> Send(uint32_t flow, bool opens, bool resets = false);
  void Broke(uint32_t flow, const std::string& what);

  const WorldOptions options_;
  std::mt19937 random_;
  const VipKey vip_key_;
  int64_t now_ms_ = 0;
  MemoryDataplane dataplane_;
  Sweeper sweeper_;
  DesiredState desired_;
  Liveness liveness_;
  WeightTable weights_;
  Plan plan_;
  std::vector<uint8_t> frame_;
  const uint8_t quic_opening_;      // first byte of the payload
  std::map<uint32_t, Flow> flows_;  // by number, which is their source as well
  using Due = std::pair<int64_t, uint32_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  uint32_t next_flow_ = 0;
  uint32_t next_stranger_ = 1u << 31;  // of a flood
  WorldResult result_;
};

VipKey VipOf(Load load) { return Key(load == Load::kTcp ? "203.0.113.10:443/tcp" : "203.0.113.10:443/udp"); }

World::World(const WorldOptions& options)
    : options_(options),
      random_(options.seed),
      vip_key_(VipOf(options.traffic)),
      dataplane_({.max_vips = 8, .max_reals = 4096, .max_flows = options.max_flows}, 0,
                 [this] { return static_cast<uint32_t>(1000 + now_ms_ / 1000); }),
      // Small, so that a pass takes several steps.
      sweeper_(dataplane_, 997),
      frame_(FirstFrame({Address("198.51.100.7"), 40000}, {vip_key_.address, vip_key_.port}, vip_key_.protocol)),
      quic_opening_(frame_[kUdpPayloadAt]) {
  dataplane_.set_flow_entries_per_second(options.entries_per_second);
  desired_ = SmallState();
  desired_.defaults.ring_size = options.ring_size;
  desired_.defaults.udp_idle_seconds = options.idle_seconds;
  desired_.defaults.tcp_settle_seconds = options.idle_seconds;
  vip().quic = options.traffic == Load::kQuic;
  vip().tracking = options.begins_with_all ? Tracking::kAll : Tracking::kMoving;
  vip().health = HealthCheck{.kind = CheckKind::kTcp, .initially_up = true};
  vip().panic_action = options.seed % 2 == 0 ? PanicAction::kFailOpen : PanicAction::kFailClosed;
  for (uint32_t real = 0; real < 5; ++real) vip().reals[RealOf(real)] = {};
  liveness_ = CarryLiveness({}, {}, desired_);
  weights_ = WeighVips(desired_, liveness_, {}, now());
  Write();
}

bool World::TakesNewFlows() const {
  return std::ranges::any_of(weights_.at(vip_key_).reals, [](const RealWeight& real) { return real.weight > 0; });
}

// One real comes, goes, drains, wakes up, goes down, comes up, changes its weight; or all do one of that. When many are
// down the VIP panics.
void World::ChangeSomething() {
  auto& reals = vip().reals;
  const IpAddress real = RealOf(UpTo(kReals - 1));
  const DesiredState before = desired_;
  auto& health = liveness_[vip_key_];
  switch (UpTo(17)) {
    case 12:
    case 13:
    case 14:
      if (health.contains(real)) health[real] = Health::kDown;
      break;
    case 15:
      for (auto& [address, state] : health) state = Chance(0.7) ? Health::kDown : Health::kUp;
      break;
    case 16:
    case 17:
      for (auto& [address, state] : health) state = Health::kUp;
      break;
    case 0:
    case 1:
      if (reals.size() > 2) reals.erase(real);
      break;
    case 2:
    case 3:
      if (reals.contains(real)) reals[real].state = RealState::kDrain;
      break;
    case 4:
      for (auto& [address, other] : reals) other.state = RealState::kDrain;
      break;
    case 5:
    case 6:
      for (auto& [address, other] : reals) other.state = RealState::kActive;
      break;
    case 7:
      if (reals.contains(real)) reals[real].weight = UpTo(20);
      break;
    default:
      reals.try_emplace(real);
      reals[real].state = RealState::kActive;
  }
  if (options_.begins_with_all && now_ms_ > options_.seconds * 333) vip().tracking = Tracking::kMoving;
  liveness_ = CarryLiveness(before, liveness_, desired_);
  weights_ = WeighVips(desired_, liveness_, {}, now());
  // The planner's answer takes effect write by write, and packets come in between.
  NoteLostReals();
  Write();
  NoteLostReals();
  ++result_.changes;
}

void World::NoteLostReals() {
  std::set<RealAddress> serving;
  size_t position = 0;
  for (const auto& [address, real] : vip().reals) {
    if (!weights_.at(vip_key_).reals[position++].serves) continue;
    RealAddress bytes{};
    std::ranges::copy(std::span(address.bytes()).subspan(12), bytes.begin());
    serving.insert(bytes);
  }
  for (auto& [id, flow] : flows_) flow.lost_its_real |= !serving.contains(flow.first_real);
}

// Clients that lost their real go on sending, and once it is cleared some begin anew.
void World::SendBetweenWrites(bool is_cleared) {
  std::vector<uint32_t> lost;
  for (const auto& [id, flow] : flows_) {
    if (flow.lost_its_real && Chance(0.2)) lost.push_back(id);
  }
  for (const uint32_t id : lost) {
    if (is_cleared) {
      flows_.erase(id);
      Open(id);
    } else {
      Send(id, false);
    }
  }
}

void World::Write() {
  const NextHopTable next_hops = NextHopsOf(desired_);
  auto next = MakePlan({.desired = desired_,
                        .weights = weights_,
                        .next_hops = next_hops,
                        .capacities = dataplane_.capacities(),
                        .now = now()},
                       plan_);
  if (!next) return Broke(0, next.error().message);
  bool is_in_force = false;
  for (const shunt::Write& write : OrderWrites(plan_, *next)) {
    if (auto written = Execute({write}, *next, dataplane_); !written) return Broke(0, written.error().message);
    is_in_force |= std::holds_alternative<write::SetVips>(write);
    SendBetweenWrites(is_in_force && (std::holds_alternative<write::ClearReals>(write) ||
                                      std::holds_alternative<write::SetReals>(write)));
  }
  plan_ = *std::move(next);
  sweeper_.NotePlan(now());
}

void World::Tend() {
  if (now() < sweeper_.due_at()) return;
  auto step = sweeper_.Step(desired_, plan_, now());
  if (!step) return Broke(0, step.error().message);
  for (SlotChanges& change : step->changes) {
    if (auto set = dataplane_.SetSlots(change.vip_id, change.ring, change.slots); !set)
      return Broke(0, set.error().message);
    PlannedVip& vip = plan_.vips.at(change.vip);
    vip.ring = change.ring;
    vip.unsettled = std::move(change.unsettled);
    result_.settled += change.slots.size();
  }
}

void World::Broke(uint32_t flow, const std::string& what) {
  if (result_.broken.size() < kShownBroken) {
    result_.broken.push_back(fmt::format("at {} ms, flow {}: {}", now_ms_, flow, what));
  }
}

// Unset: dropped.
std::optional<RealAddress> World::Send(uint32_t flow, bool opens, bool resets) {
  for (size_t i = 0; i < 4; ++i) frame_[kSourceAt + i] = static_cast<uint8_t>(flow >> (8 * (3 - i)));
  frame_[kSourcePortAt] = static_cast<uint8_t>(4 + flow % 200);
  if (options_.traffic == Load::kTcp) frame_[kTcpFlagsAt] = opens ? kSyn : resets ? kRst : kAck;
  if (options_.traffic == Load::kQuic) frame_[kUdpPayloadAt] = opens ? quic_opening_ : kQuicShortHeader;
  const auto sent = dataplane_.RunFrame(frame_, 1);
  ++result_.packets;
  if (!sent || sent->frame.size() == frame_.size()) return std::nullopt;
  RealAddress real{};
  std::copy_n(sent->frame.begin() + kOuterDestinationAt, real.size(), real.begin());
  return real;
}

void World::OpenFlows() {
  const uint32_t count = options_.new_flows_per_second * kTickMs / 1000;
  for (uint32_t i = 0; i < count; ++i) Open(++next_flow_);
}

void World::Open(uint32_t id) {
  const auto real = Send(id, true);
  if (!real) {
    if (TakesNewFlows()) Broke(id, "an opening packet was dropped");
    return;
  }
  ++result_.flows;
  // Most are short, some outlive many changes.
  const int64_t life_ms = Chance(0.7) ? Within(500, 8000) : Within(5000, options_.idle_seconds * 8000);
  const bool repeats = options_.traffic != Load::kUdp && Chance(0.2);
  // A client may think before it confirms the handshake, but repeats what it heard no answer to at once.
  const int64_t next_ms = now_ms_ + (repeats || Chance(0.8) ? Within(50, 2500) : Within(50, LongestPauseMs(false)));
  flows_[id] = {.first_real = *real, .opened_ms = now_ms_, .ends_ms = now_ms_ + life_ms, .repeats_opening = repeats};
  due_.emplace(next_ms, id);
}

void World::Flood() {
  if ((now_ms_ / 1000) % 60 > 12) return;
  for (uint32_t i = 0; i < options_.flood_per_second * kTickMs / 1000; ++i) Send(++next_stranger_, Chance(0.5));
}

void World::SendDue() {
  while (!due_.empty() && due_.top().first <= now_ms_) {
    const auto [at, id] = due_.top();
    due_.pop();
    if (flows_.contains(id)) SendNext(id);
  }
}

void World::SendNext(uint32_t id) {
  Flow& flow = flows_[id];
  if (flow.lost_its_real) {
    flows_.erase(id);
    return Open(id);
  }
  const bool opens = options_.traffic == Load::kUdp || (flow.repeats_opening && now_ms_ - flow.opened_ms < 3000);
  const bool ends = now_ms_ >= flow.ends_ms, resets = ends && !opens && Chance(0.5);
  const auto real = Send(id, opens, resets);
  // An opening packet that comes again may be dropped while no real takes new flows.
  const bool may_drop = flow.repeats_opening && !TakesNewFlows();
  const bool is_broken = real ? *real != flow.first_real : !may_drop;
  if (is_broken) {
    Broke(id, real ? fmt::format("went to 10.0.0.{}, not to 10.0.0.{}", (*real)[3], flow.first_real[3])
                   : "was dropped although its real serves");
  }
  if (ends || is_broken) {
    flows_.erase(id);
    if (resets && Chance(0.5)) Open(id);  // the client comes back to its port
    return;
  }
  flow.repeats_opening = false;
  // Pauses come close to what a flow may afford.
  flow.is_confirmed |= !opens;
  const int64_t longest_ms = LongestPauseMs(flow.is_confirmed);
  const int64_t next_ms = now_ms_ + (Chance(0.3) ? Within(longest_ms / 2, longest_ms) : Within(50, longest_ms));
  due_.emplace(next_ms, id);
}

WorldResult World::Run() {
  for (; now_ms_ < options_.seconds * 1000; now_ms_ += kTickMs) {
    // Quiet times, in which everything settles, and busy ones.
    const bool is_busy = (now_ms_ / 1000) % 150 < 70;
    if (Chance(is_busy ? 0.08 : 0.001)) ChangeSomething();
    Tend();
    OpenFlows();
    Flood();
    SendDue();
  }
  const uint32_t id = plan_.vips.at(vip_key_).entry.id;
  result_.refused = dataplane_.ReadRefusals(std::array{id}).value()[0].count;
  return result_;
}

}  // namespace

WorldResult RunWorld(const WorldOptions& options) { return World(options).Run(); }

}  // namespace shunt::testing
