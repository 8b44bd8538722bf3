// SPDX-License-Identifier: Apache-2.0
// The routes that shuntd keeps for a BGP speaker, against the running kernel: the table by itself, the announcer that
// fills it, and what is read from the kernel for it. Each test has a network namespace of its own.
#define CATCH_CONFIG_RUNNER
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/lab/next_hop_lab.h"
#include "userspace/bgp/announcer.h"
#include "userspace/control/controller.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/net/links.h"
#include "userspace/net/route_table.h"
#include "userspace/net/static_next_hops.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Lines = std::vector<std::string>;

constexpr uint32_t kTable = 70000;  // more than the header's old field has room for
constexpr uint8_t kProtocol = 83;
const VipKey kWeb = *VipKey::Parse("203.0.113.10:443/tcp");

// The thread is in it from now on; lo is down.
struct Network {
  Network() { REQUIRE(unshare(CLONE_NEWNET) == 0); }
};

TableRoute Route(const std::string& prefix, uint32_t metric) { return {*Prefix::Parse(prefix), metric}; }

RouteTable Open(uint8_t protocol = kProtocol, uint32_t table = kTable) {
  auto client = NetlinkClient::OpenForDumps();
  REQUIRE(client);
  return {std::move(*client), table, protocol};
}

std::vector<TableRoute> Read(RouteTable& table) {
  auto routes = table.Read();
  INFO((routes ? "" : routes.error().message));
  REQUIRE(routes);
  return *routes;
}

void Must(const Status& status) {
  INFO((status ? "" : status.error().message));
  REQUIRE(status);
}

// As ip prints them, in order, without what follows the metric.
Lines Shown(uint32_t table = kTable) {
  const std::string text =
      Output(fmt::format("{{ ip -4 route show table {0}; ip -6 route show table {0}; }} 2>/dev/null | sed -E "
                         "'s/^blackhole //; s/ dev lo//; "
                         "s/ proto 83//; s/metric ([0-9]+).*/\\1/; s/ +$//' | sort",
                         table));
  Lines lines;
  for (size_t start = 0, end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    lines.push_back(text.substr(start, end - start));
  }
  return lines;
}

bool Eventually(const std::function<bool()>& condition) {
  for (const auto end = SteadyClock::now() + kDeadline; SteadyClock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return condition();
}

TEST_CASE("routes of both families stand in the table as they were given, and are read back in order") {
  const Network network;
  RouteTable table = Open();
  CHECK(Read(table).empty());
  const std::vector<TableRoute> routes = {Route("203.0.113.0/24", 7), Route("203.0.113.10/32", 100),
                                          Route("203.0.113.10/32", 1100), Route("2001:db8:1::/48", 999),
                                          Route("2001:db8:1::10/128", 2001)};
  Must(table.Add(std::vector(routes.rbegin(), routes.rend())));
  std::vector<TableRoute> sorted = routes;
  std::ranges::sort(sorted);
  CHECK(Read(table) == sorted);
  CHECK(Shown() == Lines{"2001:db8:1::/48 999", "2001:db8:1::10 2001", "203.0.113.0/24 7", "203.0.113.10 100",
                         "203.0.113.10 1100"});
  CHECK(Output("ip route show; ip -6 route show").empty());  // nothing in the main table
  CHECK(Contains(Output(fmt::format("ip route show table {}", kTable)), "blackhole 203.0.113.10 proto 83 metric 100"));
}

TEST_CASE("adding what is there and removing what is gone is no error") {
  const Network network;
  RouteTable table = Open();
  const std::vector<TableRoute> routes = {Route("203.0.113.10/32", 100), Route("2001:db8::1/128", 100)};
  for (int i = 0; i < 2; ++i) {
    Must(table.Add(routes));
    CHECK(Read(table) == routes);
  }
  for (int i = 0; i < 2; ++i) {
    Must(table.Remove(routes));
    CHECK(Read(table).empty());
  }
}

TEST_CASE("of two metrics of one prefix the one that is named goes") {
  const Network network;
  RouteTable table = Open();
  for (const char* prefix : {"203.0.113.10/32", "2001:db8::1/128"}) {
    Must(table.Add(std::vector{Route(prefix, 100), Route(prefix, 1100)}));
    Must(table.Remove(std::vector{Route(prefix, 100)}));
    CHECK(Read(table) == std::vector{Route(prefix, 1100)});
    Must(table.Remove(std::vector{Route(prefix, 1100)}));
  }
}

TEST_CASE("what another program keeps, in this table or with this protocol, is not ours and stays") {
  const Network network;
  Run(
      fmt::format("ip link set lo up && ip route add blackhole 198.51.100.1 proto 99 metric 100 table {0}"
                  " && ip -6 route add blackhole 2001:db8:9::1 proto 99 metric 100 table {0}"
                  " && ip route add blackhole 198.51.100.2 proto 83 metric 100 table 71"
                  " && ip -6 route add blackhole 2001:db8:9::2 proto 83 metric 100 table 71",
                  kTable));
  RouteTable table = Open();
  CHECK(Read(table).empty());
  Must(table.Remove(std::vector{Route("198.51.100.1/32", 100), Route("2001:db8:9::1/128", 100)}));
  CHECK(Shown().size() == 2);
  CHECK(Shown(71).size() == 2);
  CHECK(*table.OtherTables() == std::vector<uint32_t>{71});
  CHECK(Open(kProtocol, 71).OtherTables()->empty());
}

TEST_CASE("a route of somebody else in the place of ours is told, and stays") {
  const Network network;
  const char* theirs =
      GENERATE("blackhole 203.0.113.10 proto 99", "throw 203.0.113.10 proto 83", "blackhole 2001:db8::1 proto 99");
  const bool ipv6 = std::string(theirs).find("2001") != std::string::npos;
  Run(fmt::format("ip {} route add {} metric 100 table {}", ipv6 ? "-6" : "-4", theirs, kTable));
  const TableRoute wanted = Route(ipv6 ? "2001:db8::1/128" : "203.0.113.10/32", 100);
  RouteTable table = Open();
  const Status added = table.Add(std::vector{wanted, Route("203.0.113.11/32", 100)});
  REQUIRE_FALSE(added);
  CHECK(added.error().message ==
        fmt::format("adding route {} metric 100 in routing table {}: a route that is not of type "
                    "blackhole and protocol 83 has its place; remove that one, or give shuntd a "
                    "table of its own",
                    wanted.prefix.ToString(), kTable));
  CHECK(Read(table) == std::vector{Route("203.0.113.11/32", 100)});
  Must(table.Remove(std::vector{wanted}));
  CHECK(Shown().size() == 2);
}

TEST_CASE("thousands of routes are written and read whole") {
  const Network network;
  RouteTable table = Open();
  std::vector<TableRoute> routes;
  for (int i = 0; i < 4000; ++i) {
    routes.push_back(
        Route(i % 2 ? fmt::format("203.0.{}.{}/32", i / 250, i % 250) : fmt::format("2001:db8::{:x}/128", i), 100));
  }
  std::ranges::sort(routes);
  Must(table.Add(routes));
  CHECK(Read(table) == routes);
  Must(table.Remove(routes));
  CHECK(Read(table).empty());
}

TEST_CASE("a route that the kernel refuses is told by its prefix, and the others are there") {
  const Network network;
  Run("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
  RouteTable table = Open();
  TableRoute impossible = Route("203.0.113.0/24", 100);
  impossible.prefix.address = Address("203.0.113.10");  // bits behind the length
  const Status added = table.Add(std::vector{impossible, Route("203.0.113.11/32", 100)});
  REQUIRE_FALSE(added);
  CHECK(added.error().message == "adding route 203.0.113.10/24 metric 100 in routing table 70000: Invalid argument");
  CHECK(Read(table) == std::vector{Route("203.0.113.11/32", 100)});
}

TEST_CASE("what links received is counted, and absent for those that are not there") {
  const NextHopLab lab;
  auto client = NetlinkClient::Open();
  REQUIRE(client);
  const std::vector<uint32_t> indexes = {IndexOf("eth0"), 9999, IndexOf("eth1")};
  const auto received = [&] {
    auto packets = ReadReceivedPackets(*client, indexes);
    REQUIRE(packets);
    REQUIRE(packets->size() == 3);
    CHECK_FALSE((*packets)[1]);
    return std::array{(*packets)[0].value(), (*packets)[2].value()};
  };
  const auto before = received();
  lab.router.RunInside("bash -c \"for i in {1..60}; do echo > /dev/udp/10.0.0.2/9; done\"");
  CHECK(Eventually([&] { return received()[0] >= before[0] + 50; }));
  CHECK(received()[1] < before[1] + 50);
}

// ---- the announcer

// What shuntd is made of, with the kernel's routes and nothing else of it.
struct Daemon {
  explicit Daemon(seconds graceful = {}) {
    auto started = Controller::Start(folder.path + "/shunt.yaml", dataplane, next_hops);
    REQUIRE(started);
    controller = std::move(*started);
    Works(true);
    options.graceful = graceful;
  }
  ~Daemon() { announcer.reset(); }

  void Start() {
    auto started = Announcer::Start(options, *controller, dataplane);
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    announcer = std::move(*started);
  }
  void Edit(const std::function<void(DesiredState&)>& edit) const {
    DesiredState wanted = controller->snapshot()->desired;
    edit(wanted);
    REQUIRE(controller->Apply(wanted, false));
  }
  void AddVip(const std::string& key) const {
    Edit([&](DesiredState& state) { state.vips[*VipKey::Parse(key)].reals[Address("10.0.0.11")] = {}; });
  }
  // eth0, whose link is up or not.
  void Works(bool carrier) const {
    controller->PublishInterfaces(
        {{.name = "eth0", .index = 1, .attached = true, .native = true, .carrier = carrier, .problem = {}}});
  }
  Lines Events() const {
    Lines told;
    for (const Event& event : controller->events().Since(0, SIZE_MAX)) {
      if (event.kind.starts_with("prefix_")) told.push_back(event.kind + " " + event.vip);
    }
    return told;
  }

  struct Folder {
    Folder() { REQUIRE(mkdtemp(path.data())); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path = "/tmp/shunt-announcer-test.XXXXXX";
  } folder;
  MemoryDataplane dataplane{Capacities{512, 4096, 4096}};
  StaticNextHops next_hops{{.local_mac = *MacAddress::Parse("02:00:00:00:00:02"),
                            .gateway_mac = *MacAddress::Parse("02:00:00:00:00:01"),
                            .ipv4_source = *IpAddress::Parse("192.0.2.1"),
                            .ipv6_source = *IpAddress::Parse("2001:db8::1")}};
  AnnounceOptions options{.table = kTable, .protocol = kProtocol};
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Announcer> announcer;
};

uint64_t PacketsOf(Dataplane& dataplane) {
  const auto verdicts = dataplane.ReadVerdicts();
  REQUIRE(verdicts);
  uint64_t sum = 0;
  for (const VerdictCount& count : *verdicts) sum += count.packets;
  return sum;
}

TEST_CASE("the announcer keeps a route for each VIP that works, and removes it with what it needs") {
  const Network network;
  Daemon daemon;
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.AddVip("[2001:db8:1::10]:53/udp");
  daemon.Start();
  CHECK(Shown() == Lines{"2001:db8:1::10 100", "203.0.113.10 100"});  // before Start() returns
  daemon.Edit([](DesiredState& state) { state.vips[kWeb].announce.state = AnnounceState::kDown; });
  CHECK(Eventually([] { return Shown() == Lines{"2001:db8:1::10 100"}; }));
  daemon.Edit([](DesiredState& state) { state.vips[kWeb].announce = {.preference = 7}; });
  CHECK(Eventually([] { return Shown() == Lines{"2001:db8:1::10 100", "203.0.113.10 7"}; }));
  daemon.Works(false);
  CHECK(Eventually([] { return Shown().empty(); }));
  CHECK(
      Eventually([&] { return daemon.controller->announcements()->vips.at(kWeb).cause == "eth0: the link is down"; }));
  CHECK_FALSE(daemon.Events().empty());
}

TEST_CASE("another metric is there before the old one goes") {
  const Network network;
  Daemon daemon;
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Start();
  Run(
      fmt::format("timeout 20 ip monitor route > {}/monitor & echo $! > {}/pid; "
                  "until ip route add blackhole 198.51.100.9 && ip route del blackhole 198.51.100.9 && "
                  "grep -q 198.51.100.9 {}/monitor; do sleep 0.05; done",
                  daemon.folder.path, daemon.folder.path, daemon.folder.path));
  daemon.Edit([](DesiredState& state) { state.vips[kWeb].announce.preference = 7; });
  CHECK(Eventually([] { return Shown() == Lines{"203.0.113.10 7"}; }));
  const auto log = [&] { return Output(fmt::format("grep 203.0.113.10 {}/monitor || true", daemon.folder.path)); };
  CHECK(Eventually([&] { return Contains(log(), "Deleted"); }));
  Run(fmt::format("kill $(cat {}/pid)", daemon.folder.path));
  CHECK(log().find("metric 7") < log().find("Deleted"));
}

TEST_CASE("routes of an earlier run are taken over without a gap, of many VIPs as well, and what nobody has goes") {
  const Network network;
  RouteTable table = Open();
  std::vector<TableRoute> left;
  Daemon daemon;
  daemon.Edit([&](DesiredState& state) {
    state.defaults.ring_size = 13;
    for (int i = 0; i < 300; ++i) {
      const std::string address = fmt::format("203.0.{}.{}", i / 200, i % 200 + 1);
      state.vips[*VipKey::Parse(address + ":443/tcp")].reals[Address("10.0.0.11")] = {};
      left.push_back(Route(address + "/32", 100));
    }
  });
  std::ranges::sort(left);
  std::vector<TableRoute> adopted = left;
  adopted.push_back(Route("198.51.100.1/32", 100));
  Must(table.Add(adopted));
  daemon.Start();
  CHECK(Read(table) == left);
  CHECK(daemon.Events() == Lines{"prefix_withdrawn 198.51.100.1/32"});
}

TEST_CASE("a route that somebody removes, or adds under our protocol, is put right") {
  const Network network;
  Daemon daemon;
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Start();
  Run(
      fmt::format("ip route del blackhole 203.0.113.10 table {0}"
                  " && ip route add blackhole 203.0.113.99 proto 83 metric 5 table {0}",
                  kTable));
  CHECK(Eventually([] { return Shown() == Lines{"203.0.113.10 100"}; }));
}

TEST_CASE("a host that leaves asks others to take over, withdraws when that time is up, and says so") {
  const Network network;
  Daemon daemon(seconds(1));
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Start();
  CHECK_FALSE(daemon.announcer->has_withdrawn());
  daemon.controller->Leave();
  CHECK(Eventually([] { return Shown() == Lines{"203.0.113.10 2100"}; }));
  CHECK_FALSE(daemon.announcer->has_withdrawn());
  CHECK(Eventually([&] { return daemon.announcer->has_withdrawn(); }));
  CHECK(Shown().empty());
  CHECK(daemon.Events() == Lines{"prefix_announced 203.0.113.10/32", "prefix_graceful 203.0.113.10/32",
                                 "prefix_withdrawn 203.0.113.10/32"});
}

TEST_CASE("who drained by preference asks others to take over, too, when it leaves later") {
  const Network network;
  Daemon daemon(seconds(1));
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Edit([](DesiredState& state) {
    state.vips[kWeb].announce.on_drain = StepDown::kLower;
    state.host = HostState::kDrain;
  });
  daemon.Edit([](DesiredState& state) { state.host = HostState::kServe; });
  daemon.Start();
  daemon.Edit([](DesiredState& state) { state.host = HostState::kDrain; });
  CHECK(Eventually([] { return Shown() == Lines{"203.0.113.10 1100"}; }));
  // Longer than the grace of the drain itself.
  const auto later = SteadyClock::now() + milliseconds(1500);
  CHECK(Eventually([&] { return SteadyClock::now() > later; }));
  CHECK(Shown() == Lines{"203.0.113.10 1100"});
  daemon.controller->Leave();
  CHECK(Eventually([&] { return daemon.announcer->has_withdrawn(); }));
  CHECK(daemon.Events() == Lines{"prefix_announced 203.0.113.10/32", "prefix_lowered 203.0.113.10/32",
                                 "prefix_graceful 203.0.113.10/32", "prefix_withdrawn 203.0.113.10/32"});
}

TEST_CASE("while a host drains or leaves no packet is sent to test, for somebody waits until none comes") {
  const Network network;
  Daemon daemon;
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Start();
  const auto packets = [&] { return PacketsOf(daemon.dataplane); };
  const uint64_t begun = packets();
  CHECK(begun > 0);
  CHECK(Eventually([&] { return packets() > begun; }));  // it is tested again
  daemon.controller->Leave();
  CHECK(Eventually([&] { return daemon.announcer->has_withdrawn(); }));
  const uint64_t quiet = packets();
  const auto later = SteadyClock::now() + milliseconds(2500);
  CHECK(Eventually([&] { return SteadyClock::now() > later; }));
  CHECK(packets() == quiet);
}

TEST_CASE("without a table nothing is written or sent, and what would be is told all the same") {
  const Network network;
  Daemon daemon;
  daemon.options.table = 0;
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Start();
  const auto report = daemon.controller->announcements();
  CHECK(report->table == 0);
  CHECK(report->prefixes.at(*Prefix::Parse("203.0.113.10/32")).metric == 100);
  CHECK(PacketsOf(daemon.dataplane) == 0);
  // Nothing happens, so nothing is decided anew.
  const auto later = SteadyClock::now() + milliseconds(300);
  CHECK(Eventually([&] { return SteadyClock::now() > later; }));
  CHECK(daemon.controller->announcements() == report);
}

TEST_CASE("a change of the communities is told, for the speaker has to read them anew") {
  const Network network;
  Daemon daemon;
  daemon.AddVip("203.0.113.10:443/tcp");
  daemon.Start();
  const auto told = [&] {
    size_t times = 0;
    for (const Event& event : daemon.controller->events().Since(0, SIZE_MAX))
      times += event.kind == "communities_changed";
    return times;
  };
  CHECK(told() == 0);
  daemon.Edit([](DesiredState& state) { state.vips[kWeb].announce.communities = Lines{"64512:1"}; });
  CHECK(Eventually([&] { return told() == 1; }));
  daemon.Edit([](DesiredState& state) { state.vips[kWeb].announce.preference = 7; });
  CHECK(Eventually([] { return Shown() == Lines{"203.0.113.10 7"}; }));
  CHECK(told() == 1);
}

}  // namespace
}  // namespace shunt

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;  // as tests/lab/CMakeLists.txt tells ctest
  if (unshare(CLONE_NEWNET) != 0) {
    std::perror("skipped: route_table_tests needs root, to make network namespaces");
    return kSkipped;
  }
  return Catch::Session().run(argc, argv);
}
