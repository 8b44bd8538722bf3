// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/prog_cases.h"

#include <filesystem>
#include <fstream>

#include "tools/shunt-bench/frames.h"

namespace shunt::bench {
namespace {

constexpr uint64_t kAllSources = uint64_t{1} << 32;  // no two packets in a row are of one flow
constexpr uint32_t kThousand = 1000;
constexpr uint32_t kMillion = 1000000;
constexpr uint16_t kReals = 10;
constexpr uint16_t kManyVips = 1000;
constexpr uint32_t kChangedFlows = 100 * kThousand;
constexpr uint32_t kNoLimit = 10 * kMillion;  // entries per second: more than anybody makes

// Numbers of the VIPs of `few`; the IPv6 ones are numbered on their own.
constexpr uint16_t kMoving = 1, kNone = 2, kIpv6InIpv6 = 2;

Target AtMost(double limit) { return {Target::Bound::kAtMost, limit}; }

Load To(const VipKey& vip, uint64_t flows, PacketKind kind = PacketKind::kAck) {
  return {.frame = MakeFrame(vip, kind), .flows = flows};
}

std::string CountName(uint64_t flows) {
  if (flows >= kMillion) return std::to_string(flows / kMillion) + "M";
  return flows >= kThousand ? std::to_string(flows / kThousand) + "k" : std::to_string(flows);
}

std::string FlowsName(uint64_t flows) { return CountName(flows) + (flows == 1 ? " flow" : " flows"); }

Result<std::unique_ptr<Instance>> OpenWith(const InstanceOptions& options, const DesiredState& desired) {
  auto instance = Instance::Open(options);
  if (!instance) return instance;
  if (auto applied = (*instance)->Apply(desired); !applied) return std::unexpected(applied.error());
  return instance;
}

Result<std::unique_ptr<Instance>> OpenFew() {
  DesiredState desired = FreshState();
  desired.vips[NumberedVip(kMoving)] = VipWithReals(kReals, Tracking::kMoving);
  desired.vips[NumberedVip(kMoving, Protocol::kUdp)] = VipWithReals(kReals, Tracking::kMoving);
  desired.vips[NumberedVip(kNone)] = VipWithReals(kReals, Tracking::kNone);
  desired.vips[NumberedVip(kMoving, Protocol::kTcp, Family::kIpv6)] = VipWithReals(kReals, Tracking::kMoving);
  desired.vips[NumberedVip(kIpv6InIpv6, Protocol::kTcp, Family::kIpv6)] =
      VipWithReals(kReals, Tracking::kMoving, Family::kIpv6);
  return OpenWith({}, desired);
}

// Each of the flows goes through once.
Status SendEach(Wrapper& wrapper, const Instance& instance, uint32_t flows) {
  Load load = EstablishedTcp(flows);
  load.sequential = true;
  if (auto set = wrapper.SetSubject(instance.program_fd()); !set) return set;
  return wrapper.Send(load, flows);
}

// The table knows every flow.
Result<std::unique_ptr<Instance>> OpenAll(Wrapper& wrapper) {
  DesiredState desired = FreshState();
  desired.vips[NumberedVip(kMoving)] = VipWithReals(kReals, Tracking::kAll);
  auto instance = OpenWith({.capacities = {.max_vips = 64, .max_reals = 1024, .max_flows = kMillion * 6 / 5}}, desired);
  if (!instance) return instance;
  if (auto filled = SendEach(wrapper, **instance, kMillion); !filled) return std::unexpected(filled.error());
  return instance;
}

Result<std::unique_ptr<Instance>> OpenMany() {
  DesiredState desired = FreshState();
  for (uint16_t number = 1; number <= kManyVips; ++number) {
    desired.vips[NumberedVip(number)] = VipWithReals(kReals, Tracking::kMoving);
  }
  return OpenWith({.capacities = {.max_vips = 4096, .max_reals = 65536, .max_flows = 65536}}, desired);
}

// One of ten reals is drained, so a tenth of the slots moves.
Result<std::unique_ptr<Instance>> OpenChanged(std::optional<uint32_t> flow_entries_per_second) {
  DesiredState desired = FreshState();
  Vip& vip = desired.vips[NumberedVip(kMoving)] = VipWithReals(kReals, Tracking::kMoving);
  auto instance = OpenWith({.flow_entries_per_second = flow_entries_per_second}, desired);
  if (!instance) return instance;
  vip.reals[NumberedReal(1)].state = RealState::kDrain;
  if (auto applied = (*instance)->Apply(desired); !applied) return std::unexpected(applied.error());
  return instance;
}

void AddTcpCases(ProgramSetup& setup, bool drawn) {
  const int fd = setup.few->program_fd();
  const std::vector<uint64_t> counts = {1,        10,           100, kThousand, 10 * kThousand, 100 * kThousand,
                                        kMillion, 10 * kMillion};
  for (const uint64_t flows : counts) {
    if (!drawn && (flows == 10 || flows == 100 || flows == 10 * kThousand)) continue;
    setup.cases.push_back({.name = "TCP IPv4, " + FlowsName(flows),
                           .load = EstablishedTcp(flows),
                           .program_fd = fd,
                           .target = flows == 1 ? std::optional(AtMost(45)) : std::nullopt,
                           .curve = "tracking moving"});
  }
  setup.ratios.push_back({"TCP IPv4, 1M flows", "TCP IPv4, 1 flow", 1.25});
}

void AddFamilyCases(ProgramSetup& setup) {
  const int fd = setup.few->program_fd();
  const VipKey ipv6 = NumberedVip(kMoving, Protocol::kTcp, Family::kIpv6);
  const VipKey ipv6_in_ipv6 = NumberedVip(kIpv6InIpv6, Protocol::kTcp, Family::kIpv6);
  setup.cases.push_back({.name = "TCP IPv6, 1 flow", .load = To(ipv6, 1), .program_fd = fd});
  setup.cases.push_back({.name = "TCP IPv6, 1M flows", .load = To(ipv6, kMillion), .program_fd = fd});
  setup.cases.push_back({.name = "TCP IPv6 in IPv6, 1 flow", .load = To(ipv6_in_ipv6, 1), .program_fd = fd});
  Load mixed = EstablishedTcp(kMillion);
  mixed.ipv6_frame = MakeFrame(ipv6, PacketKind::kAck);
  setup.cases.push_back({.name = "TCP IPv4 and IPv6, 1M flows", .load = mixed, .program_fd = fd});
  setup.ratios.push_back({"TCP IPv6, 1 flow", "TCP IPv4, 1 flow", 1.1});
  setup.ratios.push_back({"TCP IPv6, 1M flows", "TCP IPv4, 1M flows", 1.1});
}

void AddOtherTraffic(ProgramSetup& setup) {
  const int fd = setup.few->program_fd();
  const VipKey udp = NumberedVip(kMoving, Protocol::kUdp);
  const VipKey stranger{.address = IpAddress::FromIpv4({192, 0, 2, 1}), .port = 443};
  setup.cases.push_back({.name = "SYN, each of a new flow",
                         .load = To(NumberedVip(kMoving), kAllSources, PacketKind::kSyn),
                         .program_fd = fd});
  setup.cases.push_back({.name = "ACK flood, unknown flows", .load = EstablishedTcp(kAllSources), .program_fd = fd});
  setup.cases.push_back({.name = "UDP, 1 flow", .load = To(udp, 1), .program_fd = fd});
  setup.cases.push_back({.name = "UDP, 1M flows", .load = To(udp, kMillion), .program_fd = fd});
  setup.cases.push_back(
      {.name = "not a VIP: passed", .load = To(stranger, kThousand), .program_fd = fd, .target = AtMost(25)});
  setup.ratios.push_back({"SYN, each of a new flow", "TCP IPv4, 1M flows", 1.15});
  setup.ratios.push_back({"ACK flood, unknown flows", "TCP IPv4, 1M flows", 1.15});
  setup.ratios.push_back({"UDP, 1 flow", "TCP IPv4, 1 flow", 1.1});
  setup.ratios.push_back({"UDP, 1M flows", "TCP IPv4, 1M flows", 1.1});
}

void AddManyVips(ProgramSetup& setup) {
  for (const uint32_t flows : {1u, kThousand}) {
    Load load = EstablishedTcp(flows);
    load.vips = kManyVips;
    setup.cases.push_back(
        {.name = "1000 VIPs, " + FlowsName(flows) + " each", .load = load, .program_fd = setup.many->program_fd()});
  }
}

void AddTracking(ProgramSetup& setup, bool drawn) {
  for (const uint32_t flows : {1u, kThousand, 100 * kThousand, kMillion}) {
    if (!drawn && flows == kThousand) continue;
    setup.cases.push_back({.name = "tracking all, " + FlowsName(flows),
                           .load = EstablishedTcp(flows),
                           .program_fd = setup.all->program_fd(),
                           .target = flows == kMillion ? std::optional(AtMost(150)) : std::nullopt,
                           .curve = "tracking all"});
  }
  setup.cases.push_back({.name = "tracking none, 1M flows",
                         .load = To(NumberedVip(kNone), kMillion),
                         .program_fd = setup.few->program_fd()});
  const VipKey vip = NumberedVip(kMoving);
  setup.cases.push_back({.name = "a tenth of the slots moves, 100k flows",
                         .load = EstablishedTcp(kChangedFlows),
                         .program_fd = setup.changed->program_fd()});
  setup.cases.push_back({.name = "a tenth moves, SYN flood",
                         .load = To(vip, kAllSources, PacketKind::kSyn),
                         .program_fd = setup.flooded->program_fd()});
  setup.cases.push_back(
      {.name = "a tenth moves, ACK flood", .load = To(vip, kAllSources), .program_fd = setup.flooded->program_fd()});
}

// Kernel memory of this process's maps, by their descriptors.
uint64_t MapMemoryBytes() {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    bool is_map = false;
    uint64_t of_this = 0;
    for (std::string word; info >> word;) {
      if (word == "map_type:") is_map = true;
      if (word == "memlock:") info >> of_this;
    }
    if (is_map) bytes += of_this;
  }
  return bytes;
}

}  // namespace

Load EstablishedTcp(uint64_t flows) { return To(NumberedVip(kMoving), flows); }

Result<ProgramSetup> SetUpPrograms(Wrapper& wrapper, const Options& options) {
  ProgramSetup setup;
  const auto open = [](Result<std::unique_ptr<Instance>> opened, std::unique_ptr<Instance>& to) -> Status {
    if (!opened) return std::unexpected(opened.error());
    to = std::move(*opened);
    return {};
  };
  if (auto ready = open(OpenFew(), setup.few); !ready) return std::unexpected(ready.error());
  if (auto ready = open(OpenAll(wrapper), setup.all); !ready) return std::unexpected(ready.error());
  if (auto ready = open(OpenMany(), setup.many); !ready) return std::unexpected(ready.error());
  if (auto ready = open(OpenChanged(kNoLimit), setup.changed); !ready) return std::unexpected(ready.error());
  if (auto ready = open(OpenChanged({}), setup.flooded); !ready) return std::unexpected(ready.error());
  if (auto filled = SendEach(wrapper, *setup.changed, kChangedFlows); !filled) return std::unexpected(filled.error());

  for (const char* name : {"tx", "encap"}) {
    const auto fd = wrapper.Reference(name);
    if (!fd) return std::unexpected(fd.error());
    const std::string title = std::string("reference: ") + name;
    setup.cases.push_back({.name = title, .load = EstablishedTcp(1), .program_fd = *fd, .curve = title});
  }
  const bool drawn = !options.plot.empty();
  AddTcpCases(setup, drawn);
  AddFamilyCases(setup);
  AddOtherTraffic(setup);
  AddManyVips(setup);
  AddTracking(setup, drawn);
  return setup;
}

Result<std::vector<Row>> MeasureMemory(Wrapper& wrapper, ProgramSetup& setup) {
  std::unique_ptr<Instance>& few = setup.few;
  const auto before = static_cast<double>(MapMemoryBytes());
  if (auto sent = SendEach(wrapper, *few, 10 * kMillion); !sent) return std::unexpected(sent.error());
  const auto after = static_cast<double>(MapMemoryBytes());
  const auto remembered = few->dataplane().ReadFlows(SIZE_MAX);
  if (!remembered) return std::unexpected(remembered.error());
  return std::vector<Row>{{.name = "memory of the maps, after ÷ before 10M flows",
                           .unit = "x",
                           .samples = {after / before},
                           .target = AtMost(1)},
                          {.name = "flows remembered of 10M",
                           .unit = "flows",
                           .samples = {static_cast<double>(remembered->size())},
                           .target = AtMost(0)}};
}

}  // namespace shunt::bench
