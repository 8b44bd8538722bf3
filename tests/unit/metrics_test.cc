// SPDX-License-Identifier: Apache-2.0
// Metrics for Prometheus: the families of a small balancer letter by letter, and a scrape over HTTP from a data plane
// in memory.
#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include "tests/unit/controller_testing.h"  // Catch2, behind glog, whose CHECK must not stand
#include "tests/unit/forwarding_dataplane.h"
#include "tests/unit/http_testing.h"
#include "userspace/dataplane/packet_model.h"
#include "userspace/dataplane/verdict.h"
#include "userspace/metrics/exporter.h"
#include "userspace/metrics/families.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;

const Endpoint kAnyPort{testing::Address("127.0.0.1"), 0};

std::string TextOf(const MetricFamilies& families) { return prometheus::TextSerializer().Serialize(families); }

// A TCP VIP with two reals, and a plain UDP VIP that was not observed yet.
Snapshot SmallSnapshot() {
  Snapshot snapshot;
  PlannedVip& web = snapshot.plan.vips[testing::kVip];
  web.reals[1].address = testing::kReal;
  web.reals[2].address = testing::Address("2001:db8:7::12");
  snapshot.plan.vips[testing::kOther].reals[1].address = testing::kReal;
  Observation observed;
  observed.slots[testing::kVip] = {
      .stable = 10, .moving = 2, .with_exceptions = 1, .remembered = 40, .refused = 5, .settles_in = {}};
  observed.activity[testing::kVip] = {.vip = {1234.5, 6}, .reals = {{1, {1000, 5}}, {9, {1, 1}}}};
  snapshot.observed = std::make_shared<const Observation>(observed);
  return snapshot;
}

TEST_CASE("traffic of VIPs and reals is told by name, and new flows only where packets tell them") {
  const Counters counters = {{testing::kVip, {.vip = {30, 3000, 3}, .reals = {{1, {20, 2000, 2}}, {2, {10, 1000, 1}}}}},
                             {testing::kOther, {.vip = {7, 700, 0}, .reals = {{1, {7, 700, 0}}}}}};
  CHECK(TextOf(TrafficFamilies(SmallSnapshot(), counters)) == R"(# HELP shunt_vip_packets_total Packets sent to reals.
# TYPE shunt_vip_packets_total counter
shunt_vip_packets_total{vip="203.0.113.10:443/tcp"} 30
shunt_vip_packets_total{vip="203.0.113.11:53/udp"} 7
# HELP shunt_vip_bytes_total Bytes of these packets, from their IP header on.
# TYPE shunt_vip_bytes_total counter
shunt_vip_bytes_total{vip="203.0.113.10:443/tcp"} 3000
shunt_vip_bytes_total{vip="203.0.113.11:53/udp"} 700
# HELP shunt_vip_new_flows_total Flows that began. Absent where packets do not tell: plain UDP, unless tracking is all.
# TYPE shunt_vip_new_flows_total counter
shunt_vip_new_flows_total{vip="203.0.113.10:443/tcp"} 3
# HELP shunt_real_packets_total Packets sent to reals.
# TYPE shunt_real_packets_total counter
shunt_real_packets_total{vip="203.0.113.10:443/tcp",real="10.0.0.11"} 20
shunt_real_packets_total{vip="203.0.113.10:443/tcp",real="2001:db8:7::12"} 10
shunt_real_packets_total{vip="203.0.113.11:53/udp",real="10.0.0.11"} 7
# HELP shunt_real_bytes_total Bytes of these packets, from their IP header on.
# TYPE shunt_real_bytes_total counter
shunt_real_bytes_total{vip="203.0.113.10:443/tcp",real="10.0.0.11"} 2000
shunt_real_bytes_total{vip="203.0.113.10:443/tcp",real="2001:db8:7::12"} 1000
shunt_real_bytes_total{vip="203.0.113.11:53/udp",real="10.0.0.11"} 700
# HELP shunt_real_new_flows_total Flows that began. Absent where packets do not tell: plain UDP, unless tracking is all.
# TYPE shunt_real_new_flows_total counter
shunt_real_new_flows_total{vip="203.0.113.10:443/tcp",real="10.0.0.11"} 2
shunt_real_new_flows_total{vip="203.0.113.10:443/tcp",real="2001:db8:7::12"} 1
)");
}

TEST_CASE("what was observed is told, and nothing of what was not or is gone") {
  const std::string text = TextOf(ObservedFamilies(SmallSnapshot()));
  CHECK_THAT(text, Contains("# TYPE shunt_vip_flows gauge\nshunt_vip_flows{vip=\"203.0.113.10:443/tcp\"} 1234.5\n"));
  CHECK_THAT(text, Contains("shunt_real_flows{vip=\"203.0.113.10:443/tcp\",real=\"10.0.0.11\"} 1000\n"));
  CHECK_THAT(text, Contains("# TYPE shunt_vip_slots gauge\n"
                            "shunt_vip_slots{vip=\"203.0.113.10:443/tcp\",state=\"stable\"} 10\n"
                            "shunt_vip_slots{vip=\"203.0.113.10:443/tcp\",state=\"moving\"} 2\n"
                            "shunt_vip_slots{vip=\"203.0.113.10:443/tcp\",state=\"with_exceptions\"} 1\n"));
  CHECK_THAT(text, Contains("shunt_vip_remembered_flows{vip=\"203.0.113.10:443/tcp\"} 40\n"));
  CHECK_THAT(text, Contains("# TYPE shunt_vip_refused_flows_total counter\n"
                            "shunt_vip_refused_flows_total{vip=\"203.0.113.10:443/tcp\"} 5\n"));
  CHECK_THAT(text, !Contains("203.0.113.11:53/udp"));
  CHECK(std::ranges::count(text, '{') == 7);  // no real with index 9
}

TEST_CASE("health is told of checked VIPs: who is up, how long probes take, and what happened") {
  Snapshot snapshot = SmallSnapshot();
  snapshot.liveness[testing::kVip] = {{testing::kReal, Health::kUp},
                                      {testing::Address("10.0.0.12"), Health::kDown},
                                      {testing::Address("10.0.0.13"), Health::kUnknown}};
  snapshot.weights[testing::kVip].mode = VipMode::kPanicOpen;
  snapshot.weights[testing::kVip].healthy_percent = 25;
  snapshot.weights[testing::kOther];
  HealthReport report;
  auto& reals = report.vips[testing::kVip];
  reals[testing::kReal].passed = 9;
  reals[testing::kReal].latency = {1, 2, 1000, 2000, 2500000};
  reals[testing::Address("10.0.0.12")].failed = 3;               // nothing measured
  reals[testing::Address("10.0.0.99")] = reals[testing::kReal];  // gone
  report.totals = {.targets = 3,
                   .in_flight = 1,
                   .sockets = 7,
                   .started = 13,
                   .passed = 9,
                   .failed = 3,
                   .late_p50_us = 100,
                   .late_p99_us = 2000,
                   .late_max_us = 30000};
  CHECK(TextOf(HealthFamilies(snapshot, report, {{"real_down", 2}})) ==
        R"(# HELP shunt_real_up 1: the real's check passes; 0: it does not, or never has. Absent without a check.
# TYPE shunt_real_up gauge
shunt_real_up{vip="203.0.113.10:443/tcp",real="10.0.0.11"} 1
shunt_real_up{vip="203.0.113.10:443/tcp",real="10.0.0.12"} 0
shunt_real_up{vip="203.0.113.10:443/tcp",real="10.0.0.13"} 0
# HELP shunt_vip_healthy_ratio Healthy part of the weight of the VIP's reals.
# TYPE shunt_vip_healthy_ratio gauge
shunt_vip_healthy_ratio{vip="203.0.113.10:443/tcp"} 0.25
# HELP shunt_vip_panic 1: less of the weight is healthy than panic_percent.
# TYPE shunt_vip_panic gauge
shunt_vip_panic{vip="203.0.113.10:443/tcp"} 1
# HELP shunt_probe_seconds How long the last 128 passed probes took.
# TYPE shunt_probe_seconds untyped
shunt_probe_seconds{vip="203.0.113.10:443/tcp",real="10.0.0.11",quantile="0.5"} 0.001
shunt_probe_seconds{vip="203.0.113.10:443/tcp",real="10.0.0.11",quantile="0.9"} 0.002
shunt_probe_seconds{vip="203.0.113.10:443/tcp",real="10.0.0.11",quantile="0.99"} 2.5
# HELP shunt_probes_total Probes that ended.
# TYPE shunt_probes_total counter
shunt_probes_total{result="passed"} 9
shunt_probes_total{result="failed"} 3
# HELP shunt_probe_targets Different probes; VIPs that need the same share it.
# TYPE shunt_probe_targets gauge
shunt_probe_targets 3
# HELP shunt_probe_sockets Sockets that probes hold open, kept connections among them.
# TYPE shunt_probe_sockets gauge
shunt_probe_sockets 7
# HELP shunt_probe_late_seconds How late probes of the last ten seconds began.
# TYPE shunt_probe_late_seconds untyped
shunt_probe_late_seconds{quantile="0.5"} 0.0001
shunt_probe_late_seconds{quantile="0.99"} 0.002
shunt_probe_late_seconds{quantile="1"} 0.03
# HELP shunt_events_total Changes of state, by kind; those without any are absent.
# TYPE shunt_events_total counter
shunt_events_total{kind="real_down"} 2
)");
}

// ---- over HTTP

// A controller with one TCP VIP of one real, on `Plane`.
template <class Plane>
struct Daemon {
  testing::Folder folder;
  Plane dataplane{testing::kFewCapacities};
  testing::FakeNextHops next_hops;
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Exporter> exporter;

  Daemon() {
    testing::LogNothing();
    auto started = Controller::Start(folder.store(), dataplane, next_hops);
    REQUIRE(started);
    controller = std::move(*started);
    DesiredState wanted = testing::SmallState();
    wanted.vips[testing::kVip].reals[testing::kReal] = {};
    REQUIRE(controller->Apply(wanted, false));
    auto listening = Exporter::Start(kAnyPort, "1.2.3", *controller, dataplane);
    INFO((listening ? "" : listening.error().message));
    REQUIRE(listening);
    exporter = std::move(*listening);
  }

  std::string Get(const std::string& path) const { return testing::HttpGet(exporter->port(), path); }
};

TEST_CASE("a scrape tells what packets did, and that every one of them has a verdict") {
  Daemon<MemoryDataplane> daemon;
  const auto frame =
      FirstFrame(*Endpoint::Parse("198.51.100.7:40000"), *Endpoint::Parse("203.0.113.10:443"), Protocol::kTcp);
  REQUIRE(daemon.dataplane.RunFrame(frame, 1));
  REQUIRE(daemon.dataplane.RunFrame(frame, 1));
  Event event;
  event.kind = "real_up";
  daemon.controller->events().Add(std::move(event));
  const std::string text = daemon.Get("/metrics");
  CHECK_THAT(text, Contains("HTTP/1.1 200 OK"));
  CHECK_THAT(text, Contains("\nshunt_vip_packets_total{vip=\"203.0.113.10:443/tcp\"} 2\n"));
  CHECK_THAT(text, Contains("\nshunt_real_packets_total{vip=\"203.0.113.10:443/tcp\",real=\"10.0.0.11\"} 2\n"));
  CHECK_THAT(text, Contains("\nshunt_build_info{version=\"1.2.3\"} 1\n"));
  CHECK_THAT(text, Contains("\nshunt_scrape_errors 0\n"));
  CHECK_THAT(text, Contains("\nshunt_probe_targets 0\n"));
  CHECK_THAT(text, Contains("\nshunt_events_total{kind=\"real_up\"} 1\n"));
  for (const VerdictInfo& verdict : AllVerdicts()) {
    CHECK_THAT(text, Contains(fmt::format("\nshunt_verdict_packets_total{{verdict=\"{}\",action=\"{}\"}} {}\n",
                                          verdict.name, verdict.action, verdict.name == "TX_ENCAPSULATED" ? 2 : 0)));
  }
  CHECK_THAT(daemon.Get("/"), Contains("404"));
}

// Counters cannot be read.
class Unreadable final : public testing::ForwardingDataplane {
 public:
  using ForwardingDataplane::ForwardingDataplane;
  Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) override {
    if (unreadable) return Fail(ErrorKind::kSystem, "reading map real_traffic: Bad file descriptor");
    return ForwardingDataplane::ReadRealTraffic(entries);
  }
  std::atomic<bool> unreadable = false;
};

TEST_CASE("a scrape that cannot read counters says so, and tells the rest") {
  Daemon<Unreadable> daemon;
  daemon.dataplane.unreadable = true;
  const std::string text = daemon.Get("/metrics");
  CHECK_THAT(text, Contains("\nshunt_scrape_errors 1\n"));
  CHECK_THAT(text, !Contains("shunt_vip_packets_total"));
  CHECK_THAT(text, Contains("shunt_verdict_packets_total{"));
}

TEST_CASE("a port that is taken is told with the remedy, and so is an address of another host") {
  Daemon<MemoryDataplane> daemon;
  const auto start = [&](const std::string& address, uint16_t port) {
    const auto second =
        Exporter::Start({testing::Address(address), port}, "1.2.3", *daemon.controller, daemon.dataplane);
    REQUIRE_FALSE(second);
    return second.error().message;
  };
  const uint16_t taken = daemon.exporter->port();
  CHECK(start("127.0.0.1", taken) ==
        fmt::format("metrics on 127.0.0.1:{}: Address already in use; stop what listens there, or choose another port "
                    "with --metrics_listen",
                    taken));
  CHECK_THAT(start("203.0.113.1", 9871), Contains("metrics on 203.0.113.1:9871: Cannot assign requested address"));
  CHECK_THAT(start("::1", 9871), Contains("metrics on [::1]:9871: expected an IPv4 address"));
}

}  // namespace
}  // namespace shunt
