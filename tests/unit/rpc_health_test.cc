// SPDX-License-Identifier: Apache-2.0
// Health and events as API messages, without a server: what is in force, what the checks saw, what a reader of events
// gets and what it is told that it missed.
#include <fmt/format.h>
#include <glog/logging.h>

#include <catch2/catch.hpp>
#include <chrono>

#include "userspace/rpc/convert.h"
#include "userspace/rpc/event_reader.h"
#include "userspace/rpc/health_convert.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr milliseconds kNoPatience{0};

VipKey Web() { return *VipKey::Parse("203.0.113.10:443/tcp"); }
VipKey Dns() { return *VipKey::Parse("203.0.113.11:53/udp"); }
IpAddress Address(const std::string& text) { return *IpAddress::Parse(text); }

system_clock::time_point At(int64_t unix_ms) { return system_clock::time_point(milliseconds(unix_ms)); }

// A checked VIP: .11 is up, .12 down, .13 climbs, .14 was not judged yet. And one without a check.
Snapshot CheckedSnapshot() {
  Snapshot snapshot;
  Vip& web = snapshot.desired.vips[Web()];
  web.health = HealthCheck{};
  web.health->kind = CheckKind::kHttp;
  web.health->path = "/healthz";
  web.active_group = "blue";
  web.reals[Address("10.0.0.11")].group = "blue";
  web.reals[Address("10.0.0.12")].backup = true;
  web.reals[Address("10.0.0.13")].canary_tenths = 5;
  web.reals[Address("10.0.0.14")] = {.state = RealState::kDrain, .drain_seconds = 300};
  auto& health = snapshot.liveness[Web()];
  health[Address("10.0.0.11")] = Health::kUp;
  health[Address("10.0.0.12")] = Health::kDown;
  health[Address("10.0.0.13")] = Health::kUp;
  health[Address("10.0.0.14")] = Health::kUnknown;
  VipWeights& weights = snapshot.weights[Web()];
  weights.reals.resize(4);
  weights.reals[2].climb_percent = 40;
  weights.healthy_percent = 75;
  PlannedVip& planned = snapshot.plan.vips[Web()];
  planned.ring = std::make_shared<const Ring>(Ring{{1, 0}, {3, 0}});
  for (uint16_t index = 1; index <= 4; ++index) {
    planned.reals[index].address = Address(fmt::format("10.0.0.{}", 10 + index));
    planned.reals[index].serves = index != 2;
  }
  Vip& dns = snapshot.desired.vips[Dns()];
  dns.reals[Address("10.0.0.11")];
  snapshot.plan.vips[Dns()].ring = std::make_shared<const Ring>(Ring{{1, 0}});
  snapshot.plan.vips[Dns()].reals[1].address = Address("10.0.0.11");
  return snapshot;
}

Counters CountersOf(const Snapshot& snapshot) {
  Counters counters;
  for (const auto& [key, vip] : snapshot.plan.vips) {
    for (const auto& [index, real] : vip.reals) counters[key].reals[index] = {index, 0, 0};
  }
  return counters;
}

v1::State StateOf(const Snapshot& snapshot) { return ToState(snapshot, Capacities{1, 2, 3}, CountersOf(snapshot)); }

HealthReport SmallReport() {
  HealthReport report;
  report.vips[Web()][Address("10.0.0.12")] = {.health = Health::kDown,
                                              .since = At(1000),
                                              .checked_at = At(5000),
                                              .last_passed = false,
                                              .last_cause = "status 503, expected 200-399",
                                              .in_row = 4,
                                              .rise_needed = 8,
                                              .passed = 20,
                                              .failed = 7,
                                              .flaps = 3,
                                              .latency = {1, 2, 3, 4, 5}};
  report.totals = {.targets = 4, .in_flight = 1, .sockets = 2, .started = 30, .passed = 20, .failed = 7};
  return report;
}

TEST_CASE("The state tells a VIP's mode and check, and of its reals health, climb and part in new flows", "[rpc]") {
  Snapshot snapshot = CheckedSnapshot();
  const v1::State state = StateOf(snapshot);
  const v1::VipState& web = state.vips(0);
  CHECK(web.mode() == "normal");
  CHECK(web.healthy_percent() == 75);
  CHECK(web.check() == "http");
  CHECK(web.active_group() == "blue");
  CHECK(web.reals(0).health() == "up");
  CHECK(web.reals(0).group() == "blue");
  CHECK_FALSE(web.reals(0).has_climb_percent());
  CHECK(web.reals(1).health() == "down");
  CHECK(web.reals(1).backup());
  CHECK(web.reals(1).traffic().packets() == 2);  // a real that is down stays, with what it counted
  CHECK(web.reals(2).climb_percent() == 40);
  CHECK(web.reals(2).canary_percent() == 0.5);
  CHECK(web.reals(3).health() == "unknown");
  CHECK(web.reals(3).drain_seconds() == 300);

  const v1::VipState& dns = state.vips(1);
  CHECK(dns.check() == "none");
  CHECK(dns.mode() == "normal");
  CHECK(dns.healthy_percent() == 100);
  CHECK(dns.reals(0).health() == "unchecked");
  CHECK_FALSE(dns.reals(0).has_canary_percent());
  CHECK_FALSE(dns.reals(0).has_drain_seconds());
}

TEST_CASE("Every mode of a VIP has its name", "[rpc]") {
  const auto [mode, name] = GENERATE(table<VipMode, const char*>({{VipMode::kNormal, "normal"},
                                                                  {VipMode::kPanicOpen, "panic_open"},
                                                                  {VipMode::kPanicClosed, "panic_closed"},
                                                                  {VipMode::kWithdrawn, "withdrawn"}}));
  Snapshot snapshot = CheckedSnapshot();
  snapshot.weights[Web()].mode = mode;
  snapshot.weights[Web()].backups_used = true;
  CHECK(StateOf(snapshot).vips(0).mode() == name);
  CHECK(StateOf(snapshot).vips(0).backups_used());
  CHECK(ToHealth(snapshot, {}, {}).vips(0).mode() == name);
  CHECK(ToHealth(snapshot, {}, {}).vips(0).backups_used());
}

TEST_CASE("Health is told of VIPs with a check, with the settings in force and what the checks saw", "[rpc]") {
  const v1::HealthState health = ToHealth(CheckedSnapshot(), SmallReport(), {});
  REQUIRE(health.vips_size() == 1);
  const v1::VipHealth& web = health.vips(0);
  CHECK(web.vip() == "203.0.113.10:443/tcp");
  CHECK(web.check().kind() == v1::CHECK_KIND_HTTP);
  CHECK(web.check().path() == "/healthz");
  CHECK(web.check().via() == v1::PROBE_VIA_TUNNEL);
  CHECK(web.check().interval_ms() == 2000);
  CHECK(web.check().failing_interval_ms() == 2000);
  CHECK(web.check().timeout_ms() == 1000);
  CHECK(web.check().rise() == 2);
  CHECK(web.check().fall() == 3);
  CHECK(web.healthy_percent() == 75);
  REQUIRE(web.reals_size() == 4);
  CHECK(web.reals(0).health() == "up");
  CHECK(web.reals(0).checked_at_ms() == 0);  // in force, and not probed yet since the start of shuntd
  const v1::RealHealth& down = web.reals(1);
  CHECK(down.address() == "10.0.0.12");
  CHECK(down.health() == "down");
  CHECK(down.since_ms() == 1000);
  CHECK(down.checked_at_ms() == 5000);
  CHECK_FALSE(down.last_passed());
  CHECK(down.last_cause() == "status 503, expected 200-399");
  CHECK(down.in_row() == 4);
  CHECK(down.rise_needed() == 8);
  CHECK(down.flaps() == 3);
  CHECK(down.passed() == 20);
  CHECK(down.failed() == 7);
  CHECK(down.latency_last_us() == 1);
  CHECK(down.latency_average_us() == 2);
  CHECK(down.latency_p50_us() == 3);
  CHECK(down.latency_p90_us() == 4);
  CHECK(down.latency_p99_us() == 5);
  CHECK(health.totals().targets() == 4);
  CHECK(health.totals().failed() == 7);
}

TEST_CASE("Health that has not taken effect yet is told as it is in force, without a time", "[rpc]") {
  Snapshot snapshot = CheckedSnapshot();
  snapshot.liveness[Web()][Address("10.0.0.12")] = Health::kUp;
  const v1::RealHealth real = ToHealth(snapshot, SmallReport(), {}).vips(0).reals(1);
  CHECK(real.health() == "up");
  CHECK(real.since_ms() == 0);
  CHECK(real.checked_at_ms() == 5000);
}

TEST_CASE("Health can be asked of one VIP, and of one without a check there is none", "[rpc]") {
  CHECK(ToHealth(CheckedSnapshot(), SmallReport(), Web()).vips_size() == 1);
  CHECK(ToHealth(CheckedSnapshot(), SmallReport(), Dns()).vips_size() == 0);
}

TEST_CASE("What explain says of health: who is down, what panic means, and whether the packet goes to such a one",
          "[rpc]") {
  Snapshot snapshot = CheckedSnapshot();
  CHECK(HealthSentence(snapshot, Dns(), Address("10.0.0.11")).empty());
  CHECK(HealthSentence(snapshot, Web(), Address("10.0.0.11")) == "1 of 4 reals down; 1 of 4 reals not judged yet");
  snapshot.weights[Web()].mode = VipMode::kPanicOpen;
  snapshot.weights[Web()].healthy_percent = 25;
  CHECK(HealthSentence(snapshot, Web(), Address("10.0.0.12")) ==
        "PANIC: 25 % of the weight is healthy, less than 50 %: all reals that were ever judged take traffic, down or "
        "not; 1 of 4 reals down; 1 of 4 reals not judged yet; 10.0.0.12, which it goes to, is down");
  snapshot.weights[Web()] = {};
  for (auto& [address, health] : snapshot.liveness[Web()]) health = Health::kUp;
  CHECK(HealthSentence(snapshot, Web(), Address("10.0.0.12")).empty());
}

TEST_CASE("Which events a reader wants is read strictly, and both problems are told", "[rpc]") {
  v1::EventsRequest request;
  request.set_vip("[2001:DB8::0]:443/tcp");
  request.set_real("2001:DB8::0");
  CHECK(FilterOf(request)->vip == "[2001:db8::]:443/tcp");
  CHECK(FilterOf(request)->real == "2001:db8::");
  request.set_vip("203.0.113.10");
  request.set_real("10.0.0.300");
  const auto wrong = FilterOf(request);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == ErrorKind::kInvalid);
  CHECK(std::ranges::count(wrong.error().message, '\n') == 1);
}

// ---- a reader of events

void AddEvents(EventLog& log, uint64_t first, uint64_t last) {
  FLAGS_minloglevel = google::GLOG_FATAL;
  for (uint64_t i = first; i <= last; ++i) {
    Event event;
    event.kind = i % 2 == 0 ? "real_up" : "real_down";
    event.vip = "203.0.113.10:443/tcp";
    event.real = fmt::format("10.0.0.{}", 1 + i % 10);
    log.Add(std::move(event));
  }
}

std::vector<uint64_t> Ids(const std::vector<v1::Event>& events) {
  std::vector<uint64_t> ids;
  for (const v1::Event& event : events) ids.push_back(event.id());
  return ids;
}

TEST_CASE("An event keeps all that it says", "[rpc]") {
  const v1::Event event = ToMessage({7, At(1234), "real_down", "203.0.113.10:443/tcp", "10.0.0.11", "why"});
  CHECK(event.id() == 7);
  CHECK(event.at_ms() == 1234);
  CHECK(event.kind() == "real_down");
  CHECK(event.vip() == "203.0.113.10:443/tcp");
  CHECK(event.real() == "10.0.0.11");
  CHECK(event.cause() == "why");
}

TEST_CASE("Of the events kept a reader gets the newest of those it wants, the oldest first", "[rpc]") {
  EventLog log;
  AddEvents(log, 1, 40);
  CHECK(KeptEvents(log, {}, 0, 0).size() == 40);
  CHECK(Ids(KeptEvents(log, {}, 0, 3)) == std::vector<uint64_t>{38, 39, 40});
  CHECK(Ids(KeptEvents(log, {}, 38, 0)) == std::vector<uint64_t>{39, 40});
  CHECK(Ids(KeptEvents(log, {.vip = "", .real = "10.0.0.5"}, 0, 2)) == std::vector<uint64_t>{24, 34});
  CHECK(KeptEvents(log, {.vip = "203.0.113.11:443/tcp", .real = ""}, 0, 0).empty());
  CHECK(KeptEvents(log, {}, 41, 0).size() == 40);  // an id of an earlier shuntd
}

TEST_CASE("A reader that follows gets what is kept, and then each event once", "[rpc]") {
  EventLog log;
  AddEvents(log, 1, 5);
  v1::EventsRequest request;
  request.set_limit(2);
  EventReader reader(log, {}, request);
  AddEvents(log, 6, 6);
  CHECK(Ids(reader.Next(kNoPatience)) == std::vector<uint64_t>{4, 5});
  CHECK(Ids(reader.Next(kNoPatience)) == std::vector<uint64_t>{6});
  CHECK(reader.Next(kNoPatience).empty());
  AddEvents(log, 7, 8);
  CHECK(Ids(reader.Next(kNoPatience)) == std::vector<uint64_t>{7, 8});

  request.set_only_new(true);
  EventReader only_new(log, {.vip = "", .real = "10.0.0.1"}, request);
  CHECK(only_new.Next(kNoPatience).empty());
  AddEvents(log, 9, 10);
  CHECK(Ids(only_new.Next(kNoPatience)) == std::vector<uint64_t>{10});
}

TEST_CASE("A reader that fell behind is told how many events it missed, and goes on with the oldest kept", "[rpc]") {
  EventLog log;
  AddEvents(log, 1, 2);
  EventReader reader(log, {}, {});
  CHECK(reader.Next(kNoPatience).size() == 2);
  AddEvents(log, 3, 2 + EventLog::kKept + 5);
  const auto events = reader.Next(kNoPatience);
  REQUIRE(events.size() > 2);
  CHECK(events[0].kind() == kEventsMissed);
  CHECK(events[0].cause().starts_with("5 events went by unread"));
  CHECK(events[0].id() == 7);
  CHECK(events[1].id() == 8);
  CHECK(reader.Next(kNoPatience).front().kind() != kEventsMissed);

  // One that comes back asks from where it was.
  v1::EventsRequest request;
  request.set_after_id(4);
  CHECK(EventReader(log, {}, request).Next(kNoPatience).front().cause().starts_with("3 events went by unread"));
  request.set_after_id(7);
  CHECK(EventReader(log, {}, request).Next(kNoPatience).front().id() == 8);
  request.set_after_id(0);  // all that are kept; nobody missed any
  CHECK(EventReader(log, {}, request).Next(kNoPatience).front().id() == 8);
}

}  // namespace
}  // namespace shunt
