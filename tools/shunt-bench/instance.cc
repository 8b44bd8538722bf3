// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/instance.h"

#include <glog/logging.h>

#include <cstdlib>
#include <filesystem>

namespace shunt::bench {
namespace {

constexpr uint16_t kPort = 443;

IpAddress NumberedAddress(IpAddress::Bytes bytes, uint16_t number) {
  bytes[14] = static_cast<uint8_t>(number >> 8);
  bytes[15] = static_cast<uint8_t>(number);
  return IpAddress(bytes);
}

StaticNextHops::Options HopsBy(uint32_t interface_index) {
  return {.local_mac = {{2, 0, 0, 0, 0, 2}},
          .gateway_mac = {{2, 0, 0, 0, 0, 1}},
          .ipv4_source = IpAddress::FromIpv4({10, 0, 0, 2}),
          .ipv6_source = IpAddress({0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}),
          .interface_index = interface_index,
          .mtu_bytes = 1500};
}

}  // namespace

DesiredState FreshState(uint8_t seed) {
  DesiredState state;
  state.hash_key.fill(seed);
  state.defaults.slow_start_seconds = 0;
  return state;
}

VipKey NumberedVip(uint16_t number, Protocol protocol, Family family) {
  const IpAddress ipv4 = NumberedAddress(IpAddress::FromIpv4({198, 18, 0, 0}).bytes(), number);
  const IpAddress ipv6 = NumberedAddress({0x20, 0x01, 0x0d, 0xb8, 0, 0xf}, number);
  return {.address = family == Family::kIpv4 ? ipv4 : ipv6, .port = kPort, .protocol = protocol};
}

IpAddress NumberedReal(uint16_t number, Family family) {
  const IpAddress ipv4 = NumberedAddress(IpAddress::FromIpv4({10, 1, 0, 0}).bytes(), number);
  const IpAddress ipv6 = NumberedAddress({0x20, 0x01, 0x0d, 0xb8, 0, 0xa}, number);
  return family == Family::kIpv4 ? ipv4 : ipv6;
}

Vip VipWithReals(uint16_t count, Tracking tracking, Family family) {
  Vip vip;
  vip.tracking = tracking;
  for (uint16_t number = 1; number <= count; ++number) vip.reals[NumberedReal(number, family)] = {};
  return vip;
}

Instance::Instance(std::unique_ptr<KernelDataplane> dataplane, uint32_t interface_index, std::string folder)
    : dataplane_(std::move(dataplane)),
      next_hops_(HopsBy(interface_index)),
      folder_(std::move(folder)),
      writer_(folder_ + "/shunt.yaml", *dataplane_, next_hops_, events_) {}

Instance::~Instance() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Result<std::unique_ptr<Instance>> Instance::Open(const InstanceOptions& options) {
  FLAGS_minloglevel = google::GLOG_WARNING;  // that a change was applied is no news here
  auto dataplane = KernelDataplane::OpenPrivate(options.capacities, 2, options.flow_entries_per_second);
  if (!dataplane) return std::unexpected(dataplane.error());
  std::string folder = std::filesystem::temp_directory_path() / "shunt-bench-XXXXXX";
  if (!mkdtemp(folder.data())) return FailErrno("making a folder for the store", errno);
  std::unique_ptr<Instance> instance(new Instance(std::move(*dataplane), options.interface_index, folder));
  if (auto adopted = instance->writer_.Adopt(); !adopted) return std::unexpected(adopted.error());
  instance->snapshot_ = instance->writer_.snapshot();
  return instance;
}

Status Instance::Apply(const DesiredState& desired) {
  const auto report = writer_.Change(
      [&desired](DesiredState& state) -> Status {
        state = desired;
        return {};
      },
      false);
  if (!report) return std::unexpected(report.error());
  snapshot_ = writer_.snapshot();
  return {};
}

Status Instance::Tend() {
  if (std::chrono::steady_clock::now() < writer_.due_at()) return {};
  const Status done = writer_.Tend();
  snapshot_ = writer_.snapshot();
  return done;
}

}  // namespace shunt::bench
