// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/checker.h"

#include <glog/logging.h>
#include <pthread.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "userspace/health/event_loop.h"
#include "userspace/health/probe.h"
#include "userspace/health/probing.h"
#include "userspace/health/targets.h"
#include "userspace/health/tunnel_routes.h"
#include "userspace/net/netlink.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFollow{50};    // the snapshot is looked at so often
constexpr milliseconds kBreath{2};     // between two turns; what comes due meanwhile is started together
constexpr milliseconds kReport{1000};  // a report so often, but
constexpr int kReportPart = 20;        // no more than this part of the time is spent on them

}  // namespace

struct Checker::Impl {
  Impl(Controller& controller_in, CheckerOptions options_in, NetlinkClient netlink_in,
       std::unique_ptr<EventLoop> loop_in);

  Probing::Environment Environment();
  void Run();
  void Turn();
  void Follow(SteadyTime now);
  void Publish(SteadyTime now);
  void TurnAt(SteadyTime when);

  Controller& controller;
  const CheckerOptions options;
  NetlinkClient netlink;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<ProbeShared> shared;
  TunnelRoutes routes;
  Probing probing;
  std::thread thread;

  // The checker's thread's.
  std::optional<uint64_t> generation;  // of the snapshot that is followed
  std::set<IpAddress> tunnelled_vips;
  EventLoop::TimerId turn = 0;
  SteadyTime turn_at = SteadyTime::max();
  SteadyTime follow_at, report_at;
};

Checker::Impl::Impl(Controller& controller_in, CheckerOptions options_in, NetlinkClient netlink_in,
                    std::unique_ptr<EventLoop> loop_in)
    : controller(controller_in),
      options(std::move(options_in)),
      netlink(std::move(netlink_in)),
      loop(std::move(loop_in)),
      shared(ProbeShared::Create(*loop, options.programs)),
      routes([this](std::span<const IpAddress> vips) { return LookUpRoutes(netlink, vips); },
             [this](std::span<const uint32_t> interfaces) -> Status {
               if (options.open_tunnel) return options.open_tunnel(interfaces);
               return Fail(ErrorKind::kSystem, "this data plane has none");
             }),
      probing(Environment()) {}

Probing::Environment Checker::Impl::Environment() {
  return {.max_in_flight = options.max_in_flight,
          .seed = std::random_device{}(),
          .now = Moment::Now,
          .make_prober = [this](const ProbeTarget& target,
                                OnOutcome done) { return MakeProber(target, *loop, *shared, std::move(done)); },
          .tunnel_problem = [this](const IpAddress& vip) { return routes.ProblemOf(vip); },
          .on_news = [this] { TurnAt(std::chrono::steady_clock::now()); }};
}

void Checker::Impl::Run() {
  pthread_setname_np(pthread_self(), "checker");
  Turn();
  loop->Run();
}

void Checker::Impl::Turn() {
  turn_at = SteadyTime::max();
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now >= follow_at) Follow(now);
  const bool all_started = probing.Turn();
  if (auto changes = probing.TakeChanges(); !changes.empty()) controller.NoteHealth(std::move(changes));
  if (now >= report_at) Publish(now);
  const SteadyTime due = probing.next_due().value_or(SteadyTime::max());
  const SteadyTime then = std::chrono::steady_clock::now();
  TurnAt(all_started ? std::max(std::min({due, follow_at, report_at}), then + kBreath) : then);
}

void Checker::Impl::TurnAt(SteadyTime when) {
  if (turn_at <= when) return;
  loop->Cancel(turn);
  turn_at = when;
  turn = loop->At(when, [this] { Turn(); });
}

void Checker::Impl::Follow(SteadyTime now) {
  follow_at = now + kFollow;
  const auto snapshot = controller.snapshot();
  const bool is_new = generation != snapshot->generation;
  if (is_new) {
    generation = snapshot->generation;
    probing.Follow(MakeTargets(*snapshot), snapshot->liveness);
    tunnelled_vips = probing.tunnelled_vips();
  }
  routes.Follow(tunnelled_vips, is_new, now);
}

void Checker::Impl::Publish(SteadyTime now) {
  controller.PublishHealth(std::make_shared<const HealthReport>(probing.Report()));
  const auto took = std::chrono::steady_clock::now() - now;
  report_at = now + std::max<SteadyTime::duration>(kReport, took * kReportPart);
}

Checker::Checker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Checker>> Checker::Start(Controller& controller, CheckerOptions options) {
  auto netlink = NetlinkClient::Open();
  if (!netlink) return Context("starting the health checks", netlink.error());
  auto loop = EventLoop::Create();
  if (!loop) return Context("starting the health checks", loop.error());
  auto impl = std::make_unique<Impl>(controller, std::move(options), std::move(*netlink), std::move(*loop));
  Impl& running = *impl;
  impl->thread = std::thread([&running] { running.Run(); });
  return std::unique_ptr<Checker>(new Checker(std::move(impl)));
}

Checker::~Checker() {
  impl_->loop->Stop();
  impl_->thread.join();
}

}  // namespace shunt
