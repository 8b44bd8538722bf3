// SPDX-License-Identifier: Apache-2.0
// shunt-bench control: how long the control plane takes, step by step, and how soon packets follow it.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "maglev/ring.h"
#include "tools/shunt-bench/frames.h"
#include "tools/shunt-bench/instance.h"
#include "tools/shunt-bench/options.h"
#include "tools/shunt-bench/wrapper.h"

namespace shunt::bench {
namespace {

using std::chrono::steady_clock;

constexpr uint32_t kRingSlots = 65537;
constexpr uint16_t kReals = 1000;  // of the one VIP whose ring is built and published
constexpr uint16_t kVips = 1000;   // of the large state
constexpr uint16_t kRealsPerVip = 10;
constexpr uint64_t kFlows = 1000000;
constexpr uint32_t kPacketsPerCall = 100000;
constexpr uint16_t kLeaving = 1;  // the real that is removed under load
constexpr InstanceOptions kLarge{.capacities = {.max_vips = 4096, .max_reals = 65536, .max_flows = 65536}};

enum Measure : uint8_t {
  kBuild,
  kPublish,
  kBuildAndPublish,
  kPublishAmongMany,
  kSynchronize,
  kApplyMany,
  kChangeOneOfMany,
  kRemove,
  kLastPacket,
  kMeasures
};

double MillisecondsSince(steady_clock::time_point begun) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begun).count();
}

Result<double> Timed(const std::function<Status()>& work) {
  const auto begun = steady_clock::now();
  if (auto done = work(); !done) return std::unexpected(done.error());
  return MillisecondsSince(begun);
}

DesiredState LargeState() {
  DesiredState desired = FreshState();
  for (uint16_t number = 1; number <= kVips; ++number) {
    desired.vips[NumberedVip(number)] = VipWithReals(kRealsPerVip, Tracking::kMoving);
  }
  return desired;
}

Result<double> BuildOnce() {
  std::vector<maglev::Real> reals;
  for (uint16_t number = 1; number <= kReals; ++number) {
    reals.push_back({.id = NumberedReal(number).bytes(), .weight = kDefaultWeight});
  }
  return Timed([&reals]() -> Status {
    const auto ring = maglev::BuildRing(reals, kRingSlots);
    if (!ring) return Fail(ErrorKind::kInvalid, ring.error());
    return {};
  });
}

// An instance and two plans for it, which differ in the ring of its first VIP.
class Alternating {
 public:
  static Result<Alternating> Make(const InstanceOptions& options, DesiredState desired) {
    Alternating made;
    auto instance = Instance::Open(options);
    if (!instance) return std::unexpected(instance.error());
    made.instance_ = std::move(*instance);
    for (Plan& plan : made.plans_) {
      if (auto applied = made.instance_->Apply(desired); !applied) return std::unexpected(applied.error());
      plan = made.instance_->plan();
      desired.vips.at(NumberedVip(1)).reals.at(NumberedReal(1)).state = RealState::kDrain;
    }
    // Else the first one to publish would wait for what was replaced just now.
    if (auto settled = made.instance_->dataplane().Synchronize(); !settled) return std::unexpected(settled.error());
    return made;
  }
  Result<double> Publish() {
    const Plan& plan = plans_[next_];
    next_ = 1 - next_;
    return Timed([this, &plan] { return instance_->dataplane().SetVips(plan); });
  }
  Result<double> Synchronize() {
    return Timed([this] { return instance_->dataplane().Synchronize(); });
  }

 private:
  std::unique_ptr<Instance> instance_;
  std::array<Plan, 2> plans_;
  size_t next_ = 0;
};

// Packets on a CPU of their own, until it goes; notes when one was sent to the watched real last. An ordinary thread: a
// real-time one would keep the kernel from noticing that no packet is under way, as no driver does.
class Traffic {
 public:
  Traffic(Wrapper& wrapper, int program_fd, uint32_t cpu)
      : thread_([this, &wrapper, program_fd, cpu] {
          status_ = TakeCpu(cpu, CpuUse::kOrdinary);
          if (status_) status_ = wrapper.SetSubject(program_fd);
          const Load load{.frame = MakeFrame(NumberedVip(1), PacketKind::kAck), .flows = kFlows, .watched = kLeaving};
          while (status_ && !stop_) {
            const auto seen_ns = wrapper.SendWatching(load, kPacketsPerCall);
            if (!seen_ns) status_ = std::unexpected(seen_ns.error());
            if (seen_ns && *seen_ns != 0) last_ns_ = *seen_ns;
          }
        }) {}
  ~Traffic() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  uint64_t last_ns() const { return last_ns_; }  // CLOCK_MONOTONIC; 0: never yet
  Status Stop() {
    stop_ = true;
    thread_.join();
    return status_;
  }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> last_ns_ = 0;
  Status status_;
  std::thread thread_;
};

// A real is removed while packets are sent to it: until the call returned, and until the last packet.
Status RemoveUnderLoad(Wrapper& wrapper, uint32_t cpu, std::vector<Row>& rows) {
  constexpr std::chrono::milliseconds kPoll{5}, kQuiet{50};
  auto instance = Instance::Open({});
  if (!instance) return std::unexpected(instance.error());
  DesiredState desired = FreshState();
  desired.vips[NumberedVip(1)] = VipWithReals(kRealsPerVip, Tracking::kMoving);
  if (auto applied = (*instance)->Apply(desired); !applied) return applied;
  desired.vips.at(NumberedVip(1)).reals.erase(NumberedReal(kLeaving));

  Traffic traffic(wrapper, (*instance)->program_fd(), cpu);
  const auto deadline = steady_clock::now() + std::chrono::seconds(5);
  while (traffic.last_ns() == 0 && steady_clock::now() < deadline) std::this_thread::sleep_for(kPoll);
  const auto begun = steady_clock::now();
  const auto removed_ms = Timed([&] { return (*instance)->Apply(desired); });
  if (!removed_ms) return std::unexpected(removed_ms.error());
  std::this_thread::sleep_for(kQuiet);  // long enough for a packet that should not be to be seen
  if (auto sent = traffic.Stop(); !sent) return sent;
  const auto last = steady_clock::time_point(std::chrono::nanoseconds(traffic.last_ns()));
  rows[kRemove].samples.push_back(*removed_ms);
  rows[kLastPacket].samples.push_back(std::chrono::duration<double, std::milli>(last - begun).count());
  return {};
}

Status ApplyMany(std::vector<Row>& rows) {
  DesiredState desired = LargeState();
  auto instance = Instance::Open(kLarge);
  if (!instance) return std::unexpected(instance.error());
  const auto apply = [&] { return (*instance)->Apply(desired); };
  const auto all_ms = Timed(apply);
  if (!all_ms) return std::unexpected(all_ms.error());
  desired.vips.at(NumberedVip(1)).reals.erase(NumberedReal(1));
  const auto one_ms = Timed(apply);
  if (!one_ms) return std::unexpected(one_ms.error());
  rows[kApplyMany].samples.push_back(*all_ms);
  rows[kChangeOneOfMany].samples.push_back(*one_ms);
  return {};
}

std::vector<Row> EmptyRows() {
  const auto at_most = [](double limit) { return Target{Target::Bound::kAtMost, limit}; };
  std::vector<Row> rows(kMeasures);
  rows[kBuild] = {.name = "build a ring of 65537 slots, 1000 reals", .unit = "ms"};
  rows[kPublish] = {.name = "publish it", .unit = "ms", .target = at_most(0.5)};
  rows[kBuildAndPublish] = {.name = "build and publish", .unit = "ms", .target = at_most(5)};
  rows[kPublishAmongMany] = {.name = "publish one ring among 1000 VIPs", .unit = "ms"};
  rows[kSynchronize] = {.name = "wait for packets under way", .unit = "ms"};
  rows[kApplyMany] = {.name = "apply 1000 VIPs of 10 reals, from nothing", .unit = "ms"};
  rows[kChangeOneOfMany] = {.name = "remove one real of these", .unit = "ms"};
  rows[kRemove] = {.name = "remove a real under load: the whole change", .unit = "ms"};
  rows[kLastPacket] = {.name = "remove a real under load: until its last packet", .unit = "ms"};
  return rows;
}

Status MeasureRings(Alternating& one, Alternating& many, std::vector<Row>& rows) {
  const auto build = BuildOnce();
  if (!build) return std::unexpected(build.error());
  const auto publish = one.Publish();
  if (!publish) return std::unexpected(publish.error());
  const auto synchronize = one.Synchronize();
  if (!synchronize) return std::unexpected(synchronize.error());
  const auto among_many = many.Publish();
  if (!among_many) return std::unexpected(among_many.error());
  if (auto settled = many.Synchronize(); !settled) return std::unexpected(settled.error());
  rows[kBuild].samples.push_back(*build);
  rows[kPublish].samples.push_back(*publish);
  rows[kBuildAndPublish].samples.push_back(*build + *publish);
  rows[kSynchronize].samples.push_back(*synchronize);
  rows[kPublishAmongMany].samples.push_back(*among_many);
  return {};
}

}  // namespace

Result<Report> MeasureControl(const Options& options) {
  auto wrapper = Wrapper::Open();
  if (!wrapper) return std::unexpected(wrapper.error());
  DesiredState state = FreshState();
  state.vips[NumberedVip(1)] = VipWithReals(kReals, Tracking::kMoving);
  auto one = Alternating::Make({}, state);
  if (!one) return std::unexpected(one.error());
  auto many = Alternating::Make(kLarge, LargeState());
  if (!many) return std::unexpected(many.error());

  Report report{.verb = "control", .machine = options.machine, .rows = EmptyRows()};
  const Progress progress;
  for (uint32_t round = 0; round < options.rounds; ++round) {
    progress.Show(fmt::format("round {} of {}", round + 1, options.rounds));
    const uint32_t other_cpu = options.cpu == 0 ? 1 : 0;
    if (auto done = MeasureRings(*one, *many, report.rows); !done) return std::unexpected(done.error());
    if (auto done = ApplyMany(report.rows); !done) return std::unexpected(done.error());
    if (auto done = RemoveUnderLoad(*wrapper, other_cpu, report.rows); !done) return std::unexpected(done.error());
  }
  return report;
}

}  // namespace shunt::bench
