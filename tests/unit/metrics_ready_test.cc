// SPDX-License-Identifier: Apache-2.0
// Whether traffic should come here: /ready and /ready/VIP as answers and over HTTP, and what is announced as metrics.
#include "userspace/metrics/ready.h"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include "tests/unit/controller_testing.h"  // Catch2, behind glog, whose CHECK must not stand
#include "tests/unit/http_testing.h"
#include "userspace/metrics/exporter.h"
#include "userspace/metrics/families.h"

namespace shunt {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

const VipKey kSix = testing::Key("[2001:db8:1::10]:53/udp");

VipAnnouncing Vip(Announcing wanted, const std::string& cause, double percent = 100) {
  return {.wanted = wanted, .planned = false, .cause = cause, .healthy_reals = 3, .healthy_percent = percent};
}

AnnounceReport Report() {
  AnnounceReport report;
  report.vips[testing::kVip] = Vip(Announcing::kAnnounced, "3 healthy reals");
  report.vips[testing::kOther] = Vip(Announcing::kWithdrawn, "no real takes new flows", 0);
  report.vips[kSix] = Vip(Announcing::kLowered, "the host drains", 66.66);
  return report;
}

TEST_CASE("A VIP is ready while it should be announced as it is, and the share of healthy weight is told") {
  struct Row {
    const char* path;
    int status;
    std::string text;
  };
  for (const auto& [path, status, text] :
       {Row{"/203.0.113.10:443/tcp", 200, "203.0.113.10:443/tcp ready 100.0 % healthy: 3 healthy reals\n"},
        Row{"/203.0.113.11:53/udp", 503, "203.0.113.11:53/udp not-ready 0.0 % healthy: no real takes new flows\n"},
        Row{"/[2001:db8:1::10]:53/udp", 503, "[2001:db8:1::10]:53/udp not-ready 66.7 % healthy: the host drains\n"},
        Row{"/203.0.113.10:443/udp", 404, "no VIP 203.0.113.10:443/udp\n"}}) {
    INFO(path);
    const ReadyAnswer answer = AnswerReady(path, Report(), HostPhase::kServing);
    CHECK(answer.status == status);
    CHECK(answer.text == text);
  }
  for (const char* path : {"/203.0.113.10", "/203.0.113.10:443/tcp/", "/x", "//", "x203.0.113.10:443/tcp"}) {
    INFO(path);
    const ReadyAnswer answer = AnswerReady(path, Report(), HostPhase::kServing);
    CHECK(answer.status == 404);
    CHECK(answer.text.size() > 1);
  }
}

TEST_CASE("The host is ready while any of its VIPs is, and tells each") {
  const ReadyAnswer ready = AnswerReady("", Report(), HostPhase::kServing);
  CHECK(ready.status == 200);
  CHECK(ready.text ==
        "host ready serving\n"
        "203.0.113.10:443/tcp ready 100.0 % healthy: 3 healthy reals\n"
        "203.0.113.11:53/udp not-ready 0.0 % healthy: no real takes new flows\n"
        "[2001:db8:1::10]:53/udp not-ready 66.7 % healthy: the host drains\n");
  CHECK(AnswerReady("/", Report(), HostPhase::kServing).text == ready.text);
  AnnounceReport report = Report();
  report.vips.erase(testing::kVip);
  const ReadyAnswer none = AnswerReady("", report, HostPhase::kDraining);
  CHECK(none.status == 503);
  CHECK_THAT(none.text, StartsWith("host not-ready draining\n"));
  CHECK(AnswerReady("", {}, HostPhase::kServing).status == 503);
}

TEST_CASE("What is announced, and what balancers are compared by, is scraped") {
  AnnounceReport report = Report();
  report.vips.erase(kSix);
  const auto add = [&](const char* prefix, Announcing announcing, uint32_t metric) -> PrefixAnnouncing& {
    PrefixAnnouncing& added = report.prefixes[Prefix::Parse(prefix).value()];
    added.announcing = announcing;
    added.metric = metric;
    return added;
  };
  add("203.0.113.10/32", Announcing::kAnnounced, 100);
  add("203.0.113.11/32", Announcing::kWithdrawn, 0).held = std::chrono::seconds(4);
  add("203.0.113.12/32", Announcing::kLowered, 1100);
  add("203.0.113.13/32", Announcing::kGraceful, 2100);
  CHECK(prometheus::TextSerializer().Serialize(AnnounceFamilies(report)) ==
        R"(# HELP shunt_prefix_announced 1: announced; 0.5: less preferred; 0: withdrawn, or about to be.
# TYPE shunt_prefix_announced gauge
shunt_prefix_announced{prefix="203.0.113.10/32"} 1
shunt_prefix_announced{prefix="203.0.113.11/32"} 0
shunt_prefix_announced{prefix="203.0.113.12/32"} 0.5
shunt_prefix_announced{prefix="203.0.113.13/32"} 0
# HELP shunt_prefix_metric Metric of the prefix's route. Absent without one.
# TYPE shunt_prefix_metric gauge
shunt_prefix_metric{prefix="203.0.113.10/32"} 100
shunt_prefix_metric{prefix="203.0.113.12/32"} 1100
shunt_prefix_metric{prefix="203.0.113.13/32"} 2100
# HELP shunt_prefix_held_seconds How long the prefix is held down still, for it came and went.
# TYPE shunt_prefix_held_seconds gauge
shunt_prefix_held_seconds{prefix="203.0.113.10/32"} 0
shunt_prefix_held_seconds{prefix="203.0.113.11/32"} 4
shunt_prefix_held_seconds{prefix="203.0.113.12/32"} 0
shunt_prefix_held_seconds{prefix="203.0.113.13/32"} 0
# HELP shunt_vip_healthy_reals Healthy reals that may take new flows.
# TYPE shunt_vip_healthy_reals gauge
shunt_vip_healthy_reals{vip="203.0.113.10:443/tcp"} 3
shunt_vip_healthy_reals{vip="203.0.113.11:53/udp"} 3
)");
  const std::map<VipKey, VipDigest> digests = {{testing::kVip, {.ring = UINT64_MAX, .settings = 5}}};
  CHECK(prometheus::TextSerializer().Serialize(DigestFamilies(digests, UINT32_MAX)) ==
        R"(# HELP shunt_hash_key_id Tells hash keys apart: the same on all balancers of a VIP.
# TYPE shunt_hash_key_id gauge
shunt_hash_key_id 4294967295
# HELP shunt_vip_ring_digest 48 bits of a digest of the VIP's ring: the same on all its balancers.
# TYPE shunt_vip_ring_digest gauge
shunt_vip_ring_digest{vip="203.0.113.10:443/tcp"} 281474976710655
# HELP shunt_vip_settings_digest 48 bits of a digest of what was said of the VIP: the same.
# TYPE shunt_vip_settings_digest gauge
shunt_vip_settings_digest{vip="203.0.113.10:443/tcp"} 5
)");
}

// ---- over HTTP

struct Daemon {
  Daemon() {
    testing::LogNothing();
    auto started = Controller::Start(folder.store(), dataplane, next_hops);
    REQUIRE(started);
    controller = std::move(*started);
    controller->PublishAnnouncements(Report());
    auto listening = Exporter::Start({testing::Address("127.0.0.1"), 0}, "1.2.3", *controller, dataplane);
    INFO((listening ? "" : listening.error().message));
    REQUIRE(listening);
    exporter = std::move(*listening);
  }
  std::string Get(const std::string& path) const { return testing::HttpGet(exporter->port(), path); }

  testing::Folder folder;
  MemoryDataplane dataplane{testing::kFewCapacities};
  testing::FakeNextHops next_hops;
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Exporter> exporter;
};

TEST_CASE("The listener answers whether the host and each VIP is ready, however a VIP is written in a URL") {
  const Daemon daemon;
  struct Row {
    const char* path;
    const char* status;
    std::string begins;
  };
  for (const auto& [path, status, begins] :
       {Row{"/ready", "200 OK", "host ready serving\n"}, Row{"/ready/", "200 OK", "host ready serving\n"},
        Row{"/ready/203.0.113.10:443/tcp", "200 OK", "203.0.113.10:443/tcp ready"},
        Row{"/ready/203.0.113.10:443/tcp?verbose", "200 OK", "203.0.113.10:443/tcp ready"},
        Row{"/ready/203.0.113.10%3A443%2Ftcp", "200 OK", "203.0.113.10:443/tcp ready"},
        Row{"/ready/203.0.113.11:53/udp", "503 Service Unavailable", "203.0.113.11:53/udp not-ready"},
        Row{"/ready/[2001:db8:1::10]:53/udp", "503 Service Unavailable", "[2001:db8:1::10]:53/udp not-ready"},
        Row{"/ready/%5B2001:db8:1::10%5D:53/udp", "503 Service Unavailable", "[2001:db8:1::10]:53/udp not-ready"},
        Row{"/ready/203.0.113.99:443/tcp", "404 Not Found", "no VIP 203.0.113.99:443/tcp\n"}}) {
    INFO(path);
    const std::string answer = daemon.Get(path);
    CHECK_THAT(answer, StartsWith(std::string("HTTP/1.1 ") + status + "\r\n"));
    const size_t body = answer.find("\r\n\r\n");
    REQUIRE(body != std::string::npos);
    CHECK_THAT(answer.substr(body + 4), StartsWith(begins));
    CHECK_THAT(answer, Contains(fmt::format("\r\nContent-Length: {}\r\n", answer.size() - body - 4)));
    CHECK_THAT(answer, Contains("\r\nCache-Control: no-store\r\n"));
  }
  for (const char* path : {"/readyx", "/ready/../metricsx", "/metrics/x", "/metricsx", "/x/ready"}) {
    INFO(path);
    CHECK_THAT(daemon.Get(path).substr(0, 40), Contains(" 404 Not Found\r\n"));
  }
}

TEST_CASE("A scrape tells what is announced, and a change of it at the next") {
  const Daemon daemon;
  CHECK_THAT(daemon.Get("/metrics"), Contains("\nshunt_vip_healthy_reals{vip=\"203.0.113.10:443/tcp\"} 3\n") &&
                                         Contains("\nshunt_hash_key_id "));
  daemon.controller->PublishAnnouncements({});
  CHECK_THAT(daemon.Get("/metrics"), !Contains("shunt_vip_healthy_reals{"));
  CHECK_THAT(daemon.Get("/ready"), StartsWith("HTTP/1.1 503"));
}

}  // namespace
}  // namespace shunt
