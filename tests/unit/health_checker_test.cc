// SPDX-License-Identifier: Apache-2.0
// The checker as a whole: on a controller and a data plane in memory, with real sockets and programs. Beside it what
// it asks of the routes to the VIPs, without any.
#include "userspace/health/checker.h"

#include <glog/logging.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/controller_testing.h"
#include "userspace/base/unique_fd.h"
#include "userspace/health/tunnel_routes.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::seconds;

// An address of this host that a real may have: not one of loopback. Packets to it stay on the host all the same.
std::optional<IpAddress> OwnAddress() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return std::nullopt;
  std::optional<IpAddress> own;
  for (const ifaddrs* one = all; one != nullptr && !own; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_UP) == 0) continue;
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, bytes.size());
    const IpAddress address = IpAddress::FromIpv4(bytes);
    if (!address.IsLoopback() && !address.IsLinkLocal()) own = address;
  }
  freeifaddrs(all);
  return own;
}

// A TCP socket that the kernel accepts connections for.
class Listener {
 public:
  void Open(const IpAddress& on, uint16_t port = 0) {
    fd_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    REQUIRE(setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const auto bytes = on.ipv4();
    std::memcpy(&address.sin_addr, bytes.data(), bytes.size());
    REQUIRE(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(fd_.get(), 128) == 0);
    socklen_t length = sizeof(address);
    REQUIRE(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
  }
  void Close() { fd_ = UniqueFd(); }
  uint16_t port() const { return port_; }

 private:
  UniqueFd fd_;
  uint16_t port_ = 0;
};

HealthCheck QuickCheck(CheckKind kind) {
  return {.kind = kind, .via = ProbeVia::kDirect, .interval_ms = 100, .timeout_ms = 90, .rise = 2, .fall = 2};
}

DesiredState Checked(const HealthCheck& check, const IpAddress& real) {
  DesiredState state = SmallState();
  state.defaults.slow_start_seconds = 0;
  state.vips[kVip].health = check;
  state.vips[kVip].reals[real] = {};
  return state;
}

struct CheckedBench : Bench {
  void StartChecker(CheckerOptions options = {}) {
    auto started = Checker::Start(*controller, std::move(options));
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    checker = std::move(*started);
  }
  bool Becomes(const IpAddress& real, Health health) const {
    return Eventually([&] { return HealthOf(controller->snapshot()->liveness, kVip, real) == health; });
  }
  std::optional<RealReport> Report(const IpAddress& real) const {
    const auto report = controller->health();
    const auto vip = report->vips.find(kVip);
    if (vip == report->vips.end() || !vip->second.contains(real)) return std::nullopt;
    return vip->second.at(real);
  }
  std::unique_ptr<Checker> checker;  // before the controller is gone
};

// A check that passes as long as a file is there.
HealthCheck FileCheck(const std::string& path) {
  HealthCheck check = QuickCheck(CheckKind::kExec);
  check.interval_ms = 1000;
  check.timeout_ms = 1000;  // starting a program takes long on a busy machine, and under a sanitizer
  check.command = {"/usr/bin/test", "-e", path};
  check.user = getpwuid(getuid())->pw_name;
  return check;
}

Route RouteBy(uint32_t interface_index) {
  Route route;
  route.type = RTN_UNICAST;
  route.interface_index = interface_index;
  route.source = Address("192.0.2.1");
  return route;
}

}  // namespace

TEST_CASE("A listener that goes and comes takes its real down and up") {
  const auto own = OwnAddress();
  if (!own) {
    WARN("skipped: this host has no IPv4 address but loopback, and no real may be there");
    return;
  }
  Listener listener;
  listener.Open(*own);
  HealthCheck check = QuickCheck(CheckKind::kTcp);
  check.port = listener.port();
  CheckedBench bench;
  bench.Start();
  bench.Apply(Checked(check, *own));
  CHECK(HealthOf(bench.controller->snapshot()->liveness, kVip, *own) == Health::kUnknown);
  bench.StartChecker();
  CHECK(bench.Becomes(*own, Health::kUp));
  listener.Close();
  CHECK(bench.Becomes(*own, Health::kDown));
  listener.Open(*own, listener.port());
  CHECK(bench.Becomes(*own, Health::kUp));
  CHECK(Eventually([&] {
    const auto report = bench.Report(*own);
    return report && report->health == Health::kUp && report->failed >= 2 && report->latency.p50_us > 0 &&
           report->last_cause == "connect: Connection refused";
  }));
}

TEST_CASE("The checker follows what is configured while it runs, and tells the program's end as the cause") {
  CheckedBench bench;
  bench.Start();
  bench.StartChecker();
  const std::string file = bench.folder.store() + ".serving";
  bench.Apply(Checked(FileCheck(file), kReal));
  CHECK(bench.Becomes(kReal, Health::kDown));
  CHECK(Eventually([&] { return bench.Report(kReal) && bench.Report(kReal)->last_cause == "exit status 1"; }));
  WriteText(file, "");
  CHECK(bench.Becomes(kReal, Health::kUp));
  bench.Apply(SmallState());
  CHECK(Eventually([&] { return bench.controller->health()->totals.targets == 0; }));
  std::filesystem::remove(file);
}

TEST_CASE("A new checker starts from what is in force, and judges anew only what changed") {
  CheckedBench bench;
  bench.Start();
  const std::string file = bench.folder.store() + ".serving";
  WriteText(file, "");
  bench.Apply(Checked(FileCheck(file), kReal));
  bench.StartChecker();
  REQUIRE(bench.Becomes(kReal, Health::kUp));
  bench.checker.reset();
  const uint64_t events = bench.controller->events().last_id();
  bench.StartChecker();
  CHECK(Eventually([&] { return bench.Report(kReal) && bench.Report(kReal)->passed >= 2; }));
  CHECK(bench.controller->events().last_id() == events);
  std::filesystem::remove(file);
}

TEST_CASE("Without a way through the tunnel its probes fail and say why") {
  CheckedBench bench;
  bench.Start();
  HealthCheck check = QuickCheck(CheckKind::kTcp);
  check.via = ProbeVia::kTunnel;
  bench.Apply(Checked(check, kReal));
  bench.StartChecker(
      {.open_tunnel = [](std::span<const uint32_t>) -> Status { return Fail(ErrorKind::kSystem, "no tunnel today"); }});
  CHECK(bench.Becomes(kReal, Health::kDown));
  // Where the test runs there may be no route to the VIP; then that is why.
  CHECK(Eventually([&] {
    return bench.Report(kReal) &&
           (bench.Report(kReal)->last_cause == "opening the tunnel for probes: no tunnel today" ||
            bench.Report(kReal)->last_cause.find("cannot take the tunnel") != std::string::npos);
  }));
}

TEST_CASE("The tunnel is opened where the routes to the VIPs lead, and looked after every five seconds") {
  std::vector<std::vector<uint32_t>> opened;
  size_t looks = 0;
  std::map<IpAddress, Route> routes{
      {Address("203.0.113.1"), RouteBy(7)}, {Address("203.0.113.2"), RouteBy(3)}, {Address("203.0.113.3"), RouteBy(7)}};
  TunnelRoutes tunnel(
      [&](std::span<const IpAddress> vips) -> Result<std::vector<Route>> {
        ++looks;
        std::vector<Route> found;
        for (const IpAddress& vip : vips) found.push_back(routes.at(vip));
        return found;
      },
      [&](std::span<const uint32_t> interfaces) -> Status {
        opened.emplace_back(interfaces.begin(), interfaces.end());
        return {};
      });
  std::set<IpAddress> vips;
  for (const auto& [vip, route] : routes) vips.insert(vip);
  const SteadyTime now{seconds(1000)};
  tunnel.Follow({}, true, now);
  CHECK(looks == 0);
  CHECK(opened.empty());
  tunnel.Follow(vips, true, now);
  REQUIRE(opened.size() == 1);
  CHECK((opened[0] == std::vector<uint32_t>{3, 7}));
  tunnel.Follow(vips, false, now + seconds(4));
  CHECK(looks == 1);
  routes.at(Address("203.0.113.2")).interface_index = 9;
  tunnel.Follow(vips, false, now + seconds(5));
  REQUIRE(opened.size() == 2);
  CHECK((opened[1] == std::vector<uint32_t>{7, 9}));
  tunnel.Follow(vips, true, now + seconds(6));
  CHECK(looks == 3);
}

TEST_CASE("A VIP that the tunnel cannot be taken to has the reason, and the others their tunnel") {
  const IpAddress ours = Address("203.0.113.10"), lost = Address("203.0.113.11"), open = Address("203.0.113.12");
  Route local = RouteBy(1), none;
  local.type = RTN_LOCAL;
  none.error = ENETUNREACH;
  std::vector<uint32_t> opened;
  TunnelRoutes tunnel(
      [&](std::span<const IpAddress>) -> Result<std::vector<Route>> { return std::vector{local, none, RouteBy(4)}; },
      [&](std::span<const uint32_t> interfaces) -> Status {
        opened.assign(interfaces.begin(), interfaces.end());
        return {};
      });
  tunnel.Follow({ours, lost, open}, true, SteadyTime(seconds(1000)));
  CHECK(opened == std::vector<uint32_t>{4});
  CHECK(tunnel.ProblemOf(open).empty());
  CHECK(tunnel.ProblemOf(ours) ==
        "203.0.113.10 is an address of this host: its probes cannot take the tunnel; use via: direct or remove the "
        "address");
  CHECK_THAT(tunnel.ProblemOf(lost), Catch::StartsWith("no route to 203.0.113.11"));
}

TEST_CASE("An error in looking or opening closes the tunnel until it is mended") {
  const IpAddress vip = Address("203.0.113.10");
  bool fail_look = true, fail_open = true;
  TunnelRoutes tunnel(
      [&](std::span<const IpAddress>) -> Result<std::vector<Route>> {
        if (fail_look) return Fail(ErrorKind::kSystem, "netlink is silent");
        return std::vector{RouteBy(4)};
      },
      [&](std::span<const uint32_t>) -> Status {
        if (fail_open) return Fail(ErrorKind::kSystem, "no clsact");
        return {};
      });
  SteadyTime now{seconds(1000)};
  FLAGS_minloglevel = google::GLOG_FATAL;
  tunnel.Follow({vip}, false, now);
  CHECK(tunnel.ProblemOf(vip) == "opening the tunnel for probes: netlink is silent");
  fail_look = false;
  tunnel.Follow({vip}, false, now += seconds(5));
  CHECK(tunnel.ProblemOf(vip) == "opening the tunnel for probes: no clsact");
  fail_open = false;
  tunnel.Follow({vip}, false, now += seconds(5));
  CHECK(tunnel.ProblemOf(vip).empty());
}
