// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/decap.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <shunt/abi_limits.h>
#include <shunt/abi_types.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include "userspace/bpf/map.h"
#include "userspace/bpf/object.h"
#include "userspace/bpf/pins.h"
#include "userspace/bpf/programs.h"
#include "userspace/bpf/xdp.h"

namespace shunt {
namespace {

constexpr char kFolder[] = "shunt-decap";
constexpr char kProgram[] = "decap";
constexpr char kVips[] = "decap_vips";      // VIP address -> counts, per CPU
constexpr char kLocals[] = "decap_locals";  // this host's addresses -> nothing
using LocalValue = uint8_t;

// The pins of one interface. Its name alone would not do: several network namespaces may share a bpffs.
Result<std::string> PinFolder(const std::string& bpffs, const std::string& interface) {
  struct stat network_namespace{};
  if (stat("/proc/self/ns/net", &network_namespace) != 0) return FailErrno("asking for the network namespace", errno);
  return fmt::format("{}/{}/{}@{}", bpffs, kFolder, PinName(interface), network_namespace.st_ino);
}

shunt_address Encode(const IpAddress& address) {
  shunt_address encoded{};
  std::memcpy(encoded.bytes, address.bytes().data(), sizeof(encoded.bytes));
  return encoded;
}

IpAddress Decode(const std::byte* key) {
  IpAddress::Bytes bytes{};
  std::memcpy(bytes.data(), key, bytes.size());
  return IpAddress(bytes);
}

Result<std::set<IpAddress>> LocalAddresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return FailErrno("asking for this host's addresses", errno);
  std::set<IpAddress> addresses;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    IpAddress address;
    if (entry->ifa_addr->sa_family == AF_INET) {
      std::array<uint8_t, 4> bytes{};
      std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, bytes.size());
      address = IpAddress::FromIpv4(bytes);
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      IpAddress::Bytes bytes{};
      std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr, bytes.size());
      address = IpAddress(bytes);
    } else {
      continue;
    }
    if (!address.IsLoopback()) addresses.insert(address);
  }
  freeifaddrs(list);
  return addresses;
}

// Makes the map's keys exactly `wanted`; new ones get `fresh`, the others keep their values.
Status SetKeys(BpfMap& map, const std::set<IpAddress>& wanted, const std::vector<std::byte>& fresh) {
  auto entries = map.ReadHash(SIZE_MAX, fresh.size());
  if (!entries) return std::unexpected(entries.error());
  std::set<IpAddress> present;
  for (size_t i = 0; i < entries->count; ++i) present.insert(Decode(&entries->keys[i * sizeof(shunt_address)]));
  for (const IpAddress& address : present) {
    const shunt_address key = Encode(address);
    if (wanted.contains(address)) continue;
    if (auto deleted = map.Delete(&key); !deleted) return deleted;
  }
  for (const IpAddress& address : wanted) {
    const shunt_address key = Encode(address);
    if (present.contains(address)) continue;
    if (auto written = map.Update(&key, fresh.data()); !written) return written;
  }
  return {};
}

Status FillMaps(BpfMap& vip_map, BpfMap& local_map, std::span<const IpAddress> vips) {
  auto cpus = PossibleCpus();
  if (!cpus) return std::unexpected(cpus.error());
  auto locals = LocalAddresses();
  if (!locals) return std::unexpected(locals.error());
  auto written = SetKeys(local_map, *locals, std::vector<std::byte>(sizeof(LocalValue)));
  if (!written) return written;
  const std::set<IpAddress> addresses(vips.begin(), vips.end());
  return SetKeys(vip_map, addresses, std::vector<std::byte>(sizeof(shunt_decap_count) * *cpus));
}

Result<std::map<IpAddress, DecapCount>> ReadCounts(const BpfMap& map) {
  auto cpus = PossibleCpus();
  if (!cpus) return std::unexpected(cpus.error());
  const size_t value_bytes = sizeof(shunt_decap_count) * *cpus;
  auto entries = map.ReadHash(SIZE_MAX, value_bytes);
  if (!entries) return std::unexpected(entries.error());
  std::map<IpAddress, DecapCount> counts;
  for (size_t i = 0; i < entries->count; ++i) {
    DecapCount& sum = counts[Decode(&entries->keys[i * sizeof(shunt_address)])];
    for (size_t cpu = 0; cpu < *cpus; ++cpu) {
      shunt_decap_count count{};
      std::memcpy(&count, &entries->values[i * value_bytes + cpu * sizeof(count)], sizeof(count));
      sum.packets += count.packets;
      sum.bytes += count.bytes;
    }
  }
  return counts;
}

// The pinned map of VIPs if a program that uses it is attached; kNotFound if not.
struct Running {
  BpfMap vips;
  bool native = false;
};
Result<Running> FindRunning(const std::string& folder, const std::string& interface) {
  auto presence = InspectXdp(interface);
  if (!presence) return std::unexpected(presence.error());
  auto vips = OpenPin(folder + "/" + kVips);
  if (!vips && vips.error().kind != ErrorKind::kNotFound) return std::unexpected(vips.error());
  if (!vips || !presence->FindUserOf(vips->id()))
    return Fail(ErrorKind::kNotFound, fmt::format("decapsulation on {}: it is not attached there", interface));
  return Running{std::move(*vips), presence->native};
}

Result<XdpAttachment> LoadAndAttach(const std::string& folder, const std::string& interface,
                                    std::span<const IpAddress> vips, XdpMode mode) {
  auto object = Object::Open(kProgram, DecapElf());
  if (!object) return std::unexpected(object.error());
  const std::string remedy =
      fmt::format("another version made it: remove {} and `ip link set dev {} xdp off`", folder, interface);
  if (auto loaded = LoadPinned(*object, folder, remedy); !loaded) return std::unexpected(loaded.error());
  auto vip_map = object->Map(kVips);
  if (!vip_map) return std::unexpected(vip_map.error());
  auto local_map = object->Map(kLocals);
  if (!local_map) return std::unexpected(local_map.error());
  auto filled = FillMaps(*vip_map, *local_map, vips);
  if (!filled) return std::unexpected(filled.error());
  auto fd = object->ProgramFd(kProgram);
  if (!fd) return std::unexpected(fd.error());
  auto identity = object->Identify(kProgram);
  if (!identity) return std::unexpected(identity.error());

  auto fresh = Object::Open(kProgram, DecapElf());
  if (!fresh) return std::unexpected(fresh.error());
  for (const BpfMap* map : {&*vip_map, &*local_map})
    if (auto used = fresh->UseMap(map->name(), *map); !used) return std::unexpected(used.error());
  auto attached = AttachXdp({.interface = interface,
                             .mode = mode,
                             .owner_map_ids = {vip_map->id()},
                             .program = kProgram,
                             .alone = {*fd, *identity},
                             .beside = *identity},
                            std::move(*fresh));
  if (!attached) return attached;
  for (const uint32_t id : attached->superseded)
    if (auto detached = DetachXdpProgram(interface, id); !detached) return std::unexpected(detached.error());
  return attached;
}

Status CheckVips(std::span<const IpAddress> vips) {
  if (vips.empty()) return Fail(ErrorKind::kInvalid, "attaching decapsulation: no VIP is given");
  if (vips.size() > SHUNT_MAX_DECAP_VIPS) {
    return Fail(ErrorKind::kInvalid, fmt::format("attaching decapsulation: {} VIPs are given, {} is the most",
                                                 vips.size(), SHUNT_MAX_DECAP_VIPS));
  }
  return {};
}

}  // namespace

Result<DecapStatus> Decap::Attach(const std::string& interface, std::span<const IpAddress> vips, XdpMode mode) {
  if (auto valid = CheckVips(vips); !valid) return std::unexpected(valid.error());
  auto lock = LockedFolder::Lock(bpffs_, kFolder, LockKind::kWait);
  if (!lock) return std::unexpected(lock.error());
  auto folder = PinFolder(bpffs_, interface);
  if (!folder) return std::unexpected(folder.error());
  const auto running = FindRunning(*folder, interface);
  if (!running && running.error().kind != ErrorKind::kNotFound) return std::unexpected(running.error());
  if (!running) {
    // Pins without a program are what an interface left behind that went away.
    if (auto removed = RemoveFolder(*folder); !removed) return std::unexpected(removed.error());
  }
  auto attached = LoadAndAttach(*folder, interface, vips, mode);
  if (!attached) {
    if (!running) {
      (void)RemoveFolder(*folder);  // the first error is the one to tell
      (void)lock->RemoveIfEmpty();
    }
    return std::unexpected(attached.error());
  }
  return Show(interface);
}

Status Decap::Detach(const std::string& interface) {
  auto lock = LockedFolder::Lock(bpffs_, kFolder, LockKind::kWait);
  if (!lock) return std::unexpected(lock.error());
  auto folder = PinFolder(bpffs_, interface);
  if (!folder) return std::unexpected(folder.error());
  const auto running = FindRunning(*folder, interface);
  if (running) {
    const uint32_t owner = running->vips.id();
    auto detached = DetachXdp(interface, std::span(&owner, 1));
    if (!detached) return std::unexpected(detached.error());
  }
  if (auto removed = RemoveFolder(*folder); !removed) return removed;
  if (auto removed = lock->RemoveIfEmpty(); !removed) return removed;
  if (!running) return std::unexpected(running.error());
  return {};
}

Result<DecapStatus> Decap::Show(const std::string& interface) const {
  auto folder = PinFolder(bpffs_, interface);
  if (!folder) return std::unexpected(folder.error());
  auto running = FindRunning(*folder, interface);
  if (!running) return std::unexpected(running.error());
  auto counts = ReadCounts(running->vips);
  if (!counts) return std::unexpected(counts.error());
  return DecapStatus{running->native, std::move(*counts)};
}

}  // namespace shunt
