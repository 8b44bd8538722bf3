// SPDX-License-Identifier: Apache-2.0
#include "userspace/bgp/announcer.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "userspace/base/unique_fd.h"
#include "userspace/bgp/announcements.h"
#include "userspace/bgp/arrival_check.h"
#include "userspace/bgp/self_test.h"
#include "userspace/control/log_once.h"
#include "userspace/net/links.h"
#include "userspace/net/route_table.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook{50};       // at the snapshot and the interfaces
constexpr milliseconds kTest{1000};     // between two turns of the self-test
constexpr size_t kTestsATurn = 100;     // at most, of those that were tested before: 1000 in ten turns
constexpr milliseconds kArrival{2000};  // between two counts of what arrived
constexpr milliseconds kMend{5000};     // between two looks at the table, which somebody may have changed

constexpr const char* kDoing = "announcing: ";

}  // namespace

struct Announcer::Impl {
  Impl(const AnnounceOptions& options_in, Controller& controller_in, Dataplane& dataplane_in, NetlinkClient links_in,
       UniqueFd stop_in)
      : options(options_in),
        controller(controller_in),
        dataplane(dataplane_in),
        links(std::move(links_in)),
        stop(std::move(stop_in)),
        self_test(dataplane_in) {}

  Status Begin(NetlinkClient client);
  void Run();
  void Turn();
  bool IsDue(SteadyTime now);
  HostView View(SteadyTime now);
  std::string InterfaceProblem() const;
  std::optional<uint32_t> AttachedInterface() const;
  bool TestsAreDue(SteadyTime now) const;
  void RunTests(SteadyTime now);
  void CountArrivals(SteadyTime now);
  void KeepRoutes(SteadyTime now);
  Status WriteRoutes();
  void Report();

  const AnnounceOptions options;
  Controller& controller;
  Dataplane& dataplane;
  NetlinkClient links;
  const UniqueFd stop;  // readable: the announcer is to stop
  std::optional<RouteTable> table;
  std::optional<Announcements> announcements;
  SelfTest self_test;
  ArrivalCheck arrivals;
  std::thread thread;
  std::atomic<bool> withdrawn{false};

  std::shared_ptr<const Snapshot> snapshot;  // as it was followed last
  InterfaceReport interfaces;
  HostPhase phase = HostPhase::kServing;
  SteadyTime graceful_until = SteadyTime::min();  // others are to take over by then
  SteadyTime test_at{};
  SteadyTime arrival_at{};
  SteadyTime mend_at{};
  SteadyTime follow_at{};  // at the latest
  std::string arrival_problem;
  std::vector<TableRoute> wanted;    // as it was decided last
  std::vector<TableRoute> standing;  // in the table, as far as is known
  std::string route_problem;
  std::map<Prefix, std::vector<std::string>> communities;  // as they were told last
};

Status Announcer::Impl::Begin(NetlinkClient client) {
  RouteTable routes(std::move(client), options.table, options.protocol);
  const auto others = routes.OtherTables();
  if (!others) return std::unexpected(others.error());
  for (const uint32_t other : *others) {
    LOG(WARNING) << fmt::format(
        "announcing: routes of protocol {0} stand in routing table {1}, which is not this shuntd's (--announce_table); "
        "if nobody keeps them, remove them: ip route flush table {1} proto {0}, and the same with ip -6",
        options.protocol, other);
  }
  if (options.table != 0) {
    auto read = routes.Read();
    if (!read) return std::unexpected(read.error());
    standing = std::move(*read);
    if (!standing.empty())
      LOG(INFO) << fmt::format("announcing: {} routes of an earlier run stand in routing table {}", standing.size(),
                               options.table);
    table.emplace(std::move(routes));
  }
  announcements.emplace(standing);
  phase = controller.snapshot()->host;
  return {};
}

void Announcer::Impl::Run() {
  for (;;) {
    pollfd waiting{.fd = stop.get(), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, static_cast<int>(kLook.count())) < 0) continue;
    if (waiting.revents != 0) return;
    Turn();
  }
}

void Announcer::Impl::Turn() {
  const SteadyTime now = steady_clock::now();
  const bool due = IsDue(now);
  if (table && now >= arrival_at) CountArrivals(now);
  if (due) {
    if (table) RunTests(now);
    for (Event& event : announcements->Follow(*snapshot, View(now), now)) {
      if (table) controller.events().Add(std::move(event));  // else nobody announces
    }
    follow_at = announcements->due_at().value_or(SteadyTime::max());
    if (graceful_until > now) follow_at = std::min(follow_at, graceful_until);
    wanted = announcements->routes();
  }
  if (table) KeepRoutes(now);
  if (due) Report();
}

// Something is to be decided anew. Takes what is looked at.
bool Announcer::Impl::IsDue(SteadyTime now) {
  auto current = controller.snapshot();
  auto links_now = controller.interfaces();
  const bool changed = current != snapshot || links_now != interfaces;
  snapshot = std::move(current);
  interfaces = std::move(links_now);
  if (snapshot->host != phase) {
    // Who drained by preference may leave later; what is on its way out already gets no more time.
    const auto attracts = [](const auto& entry) { return entry.second.announcing >= Announcing::kLowered; };
    if (std::ranges::any_of(announcements->prefixes(), attracts)) graceful_until = now + options.graceful;
    phase = snapshot->host;
  }
  return changed || now >= follow_at || (table && (now >= arrival_at || TestsAreDue(now)));
}

HostView Announcer::Impl::View(SteadyTime now) {
  HostView view{.phase = phase, .graceful = now < graceful_until, .problem = InterfaceProblem()};
  if (view.problem.empty()) view.problem = arrival_problem;
  view.tests = table.has_value();
  view.self_test = self_test.problems();
  return view;
}

// One interface that balances is enough.
std::string Announcer::Impl::InterfaceProblem() const {
  if (AttachedInterface()) return {};
  std::string problem;
  for (const InterfaceStatus& interface : interfaces) {
    const std::string why = !interface.attached ? interface.problem : "the link is down";
    problem += fmt::format("{}{}: {}", problem.empty() ? "" : "; ", interface.name, why);
  }
  return problem.empty() ? "no interface" : problem;
}

std::optional<uint32_t> Announcer::Impl::AttachedInterface() const {
  const auto works = [](const InterfaceStatus& interface) { return interface.attached && interface.carrier; };
  const auto found = std::ranges::find_if(interfaces, works);
  return found == interfaces.end() ? std::nullopt : std::optional(found->index);
}

// Not again while the host drains or leaves: somebody waits until no packet comes any more, and these count like
// others.
bool Announcer::Impl::TestsAreDue(SteadyTime now) const {
  if (!AttachedInterface()) return false;
  return !self_test.has_tested_all(*snapshot) || (now >= test_at && phase == HostPhase::kServing);
}

void Announcer::Impl::RunTests(SteadyTime now) {
  if (!TestsAreDue(now)) return;
  // A turn takes all that is new, since it is not announced until then, and a tenth of the others, so that each is
  // asked every ten seconds.
  const bool turn = now >= test_at && phase == HostPhase::kServing;
  const size_t again = turn ? std::min(self_test.problems().size() / 10 + 1, kTestsATurn) : 0;
  self_test.Test(*snapshot, *AttachedInterface(), again);
  if (turn) test_at = now + kTest;
}

void Announcer::Impl::CountArrivals(SteadyTime now) {
  arrival_at = now + kArrival;
  std::vector<uint32_t> indexes;
  std::vector<std::string> names;
  for (const InterfaceStatus& interface : interfaces) {
    if (!interface.attached) continue;
    indexes.push_back(interface.index);
    names.push_back(interface.name);
  }
  const auto packets = ReadReceivedPackets(links, indexes);
  const auto verdicts = dataplane.ReadVerdicts();
  if (!packets || !verdicts) return;  // told by who needs them more
  std::map<std::string, uint64_t> received;
  for (size_t i = 0; i < names.size(); ++i) {
    if ((*packets)[i]) received[names[i]] = *(*packets)[i];
  }
  uint64_t counted = 0;
  for (const VerdictCount& verdict : *verdicts) counted += verdict.packets;
  LogOnce(kDoing, arrivals.Note(received, counted - std::min(counted, self_test.packets())), arrival_problem);
}

// Without a change, too, now and then: somebody may have removed one.
void Announcer::Impl::KeepRoutes(SteadyTime now) {
  if (now >= mend_at) {
    mend_at = now + kMend;
    if (auto read = table->Read(); read) standing = std::move(*read);
  }
  LogOnce(kDoing, wanted == standing ? Status{} : WriteRoutes(), route_problem);
  withdrawn = standing.empty();
}

// What attracts less goes first; of a route whose metric changes the new one comes before the old one goes.
Status Announcer::Impl::WriteRoutes() {
  std::vector<TableRoute> added, removed, withdrawn_now, replaced;
  std::ranges::set_difference(wanted, standing, std::back_inserter(added));
  std::ranges::set_difference(standing, wanted, std::back_inserter(removed));
  for (const TableRoute& route : removed) {
    const bool stays = std::ranges::binary_search(wanted, route.prefix, {}, &TableRoute::prefix);
    (stays ? replaced : withdrawn_now).push_back(route);
  }
  std::ranges::stable_sort(added, std::ranges::greater(), &TableRoute::metric);
  Status done = table->Remove(withdrawn_now);
  if (const Status put = table->Add(added); !put) done = put;
  if (const Status taken = table->Remove(replaced); !taken) done = taken;
  if (done) {
    standing = wanted;
  } else if (auto read = table->Read(); read) {
    standing = std::move(*read);
  }
  return done;
}

void Announcer::Impl::Report() {
  AnnounceReport report{.table = options.table, .protocol = options.protocol, .problem = route_problem};
  report.prefixes = announcements->prefixes();
  report.vips = announcements->vips();
  std::map<Prefix, std::vector<std::string>> now;
  for (const auto& [prefix, seen] : report.prefixes) {
    if (!seen.communities.empty()) now[prefix] = seen.communities;
  }
  controller.PublishAnnouncements(std::move(report));
  if (table && now != communities) {
    communities = std::move(now);
    controller.events().Add(
        {.kind = "communities_changed", .cause = "the speaker needs them anew: shuntctl announce filter"});
  }
}

Announcer::Announcer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Announcer>> Announcer::Start(const AnnounceOptions& options, Controller& controller,
                                                    Dataplane& dataplane) {
  constexpr const char* kStarting = "announcing";
  auto client = NetlinkClient::OpenForDumps();
  if (!client) return Context(kStarting, client.error());
  auto links = NetlinkClient::Open();
  if (!links) return Context(kStarting, links.error());
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return FailErrno(kStarting, errno);
  auto impl = std::make_unique<Impl>(options, controller, dataplane, std::move(*links), std::move(stop));
  if (const auto begun = impl->Begin(std::move(*client)); !begun) return Context(kStarting, begun.error());
  impl->Turn();
  Impl& running = *impl;
  impl->thread = std::thread([&running] { running.Run(); });
  pthread_setname_np(impl->thread.native_handle(), "announcer");
  return std::unique_ptr<Announcer>(new Announcer(std::move(impl)));
}

Announcer::~Announcer() {
  static_cast<void>(eventfd_write(impl_->stop.get(), 1));
  impl_->thread.join();
}

bool Announcer::has_withdrawn() const { return impl_->withdrawn; }

}  // namespace shunt
