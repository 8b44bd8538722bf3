// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "userspace/bpf/kernel_log.h"

namespace shunt {
namespace {

constexpr char kConstants[] = ".rodata";  // the section and the end of its map's name

// The value of the program's map of constants; empty if it has none.
Result<std::vector<std::byte>> ReadConstants(std::span<const uint32_t> map_ids) {
  for (const uint32_t id : map_ids) {
    auto map = BpfMap::FromId(id);
    if (!map) return std::unexpected(map.error());
    if (!map->name().ends_with(kConstants)) continue;
    std::vector<std::byte> value(map->shape().value_bytes);
    const uint32_t key = 0;
    auto found = map->Lookup(&key, value.data());
    if (!found) return std::unexpected(found.error());
    return value;
  }
  return std::vector<std::byte>();
}

MapShape ShapeOf(const bpf_map* map) {
  return {static_cast<uint32_t>(bpf_map__type(map)), bpf_map__key_size(map), bpf_map__value_size(map),
          bpf_map__max_entries(map), bpf_map__map_flags(map)};
}

Result<BpfMap> OpenMap(const bpf_map* map) {
  const std::string name = bpf_map__name(map);
  UniqueFd fd(fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3));
  if (!fd.valid()) return FailErrno(fmt::format("opening map {}", name), errno);
  return BpfMap::FromFd(std::move(fd), name);
}

}  // namespace

bool ProgramIdentity::UsesMap(uint32_t map_id) const { return std::ranges::find(map_ids, map_id) != map_ids.end(); }

Result<ProgramIdentity> IdentifyProgram(int program_fd) {
  auto identity = IdentifyProgram(program_fd, {});
  if (!identity) return identity;
  auto constants = ReadConstants(identity->map_ids);
  if (!constants) return std::unexpected(constants.error());
  identity->constants = std::move(*constants);
  return identity;
}

Result<ProgramIdentity> IdentifyProgram(int program_fd, std::vector<std::byte> constants) {
  ProgramIdentity identity;
  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return FailErrno("asking what a program is", errno);
  identity.map_ids.resize(info.nr_map_ids);
  info = {};
  info.nr_map_ids = static_cast<uint32_t>(identity.map_ids.size());
  info.map_ids = reinterpret_cast<uintptr_t>(identity.map_ids.data());
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return FailErrno("asking what a program is", errno);
  identity.id = info.id;
  identity.name = info.name;
  for (const uint8_t byte : info.tag) identity.tag += fmt::format("{:02x}", byte);
  identity.constants = std::move(constants);
  return identity;
}

void Object::Close::operator()(bpf_object* object) const { bpf_object__close(object); }

Result<Object> Object::Open(const std::string& name, std::span<const std::byte> elf) {
  KernelLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name.c_str());
  Object object;
  object.name_ = name;
  object.object_.reset(bpf_object__open_mem(elf.data(), elf.size(), &options));
  if (!object.object_) return log.Fail(fmt::format("opening the BPF object {}", name), errno);
  bpf_map* map = nullptr;
  while ((map = bpf_object__next_map(object.raw(), map)))
    if (const bpf_map* inner = bpf_map__inner_map(map)) object.inner_shapes_[bpf_map__name(map)] = ShapeOf(inner);
  return object;
}

Result<bpf_map*> Object::Find(const std::string& map) const {
  bpf_map* found = bpf_object__find_map_by_name(raw(), map.c_str());
  if (!found) return Fail(ErrorKind::kSystem, fmt::format("BPF object {}: it has no map {}", name_, map));
  return found;
}

Status Object::Resize(const std::string& map, uint32_t max_entries) {
  auto found = Find(map);
  if (!found) return std::unexpected(found.error());
  KernelLog log;
  const int error = bpf_map__set_max_entries(*found, max_entries);
  if (error) return log.Fail(fmt::format("sizing map {} to {} entries", map, max_entries), -error);
  return {};
}

Result<size_t> Object::ConstantOffset(const std::string& variable, size_t bytes) const {
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorKind::kSystem, fmt::format("looking for constant {} of BPF object {}: {}", variable, name_, why));
  };
  const btf* types = bpf_object__btf(raw());
  const int section = btf__find_by_name_kind(types, kConstants, BTF_KIND_DATASEC);
  if (section < 0) return bad("it has no constants");
  const size_t all_bytes = Constants().size();
  const btf_type* type = btf__type_by_id(types, static_cast<uint32_t>(section));
  const btf_var_secinfo* variables = btf_var_secinfos(type);
  for (size_t i = 0; i < btf_vlen(type); ++i) {
    const btf_type* candidate = btf__type_by_id(types, variables[i].type);
    if (variable != btf__name_by_offset(types, candidate->name_off)) continue;
    if (variables[i].size != bytes || variables[i].offset + bytes > all_bytes) return bad("it has another size");
    return variables[i].offset;
  }
  return bad("there is no such constant");
}

Status Object::SetConstantBytes(const std::string& variable, std::span<const std::byte> value) {
  auto offset = ConstantOffset(variable, value.size());
  if (!offset) return std::unexpected(offset.error());
  std::vector<std::byte> constants = Constants();
  std::ranges::copy(value, constants.begin() + static_cast<std::ptrdiff_t>(*offset));
  KernelLog log;
  const int error = bpf_map__set_initial_value(FindConstants(), constants.data(), constants.size());
  if (error) return log.Fail("setting " + variable, -error);
  return {};
}

Status Object::UseMap(const std::string& map, const BpfMap& existing) {
  auto found = Find(map);
  if (!found) return std::unexpected(found.error());
  KernelLog log;
  const int error = bpf_map__reuse_fd(*found, existing.fd());
  if (error) return log.Fail(fmt::format("taking over map {}", map), -error);
  return {};
}

Status Object::Load() {
  KernelLog log;
  const int error = bpf_object__load(raw());
  if (!error) return {};
  const std::string doing = fmt::format("loading the BPF object {} into the kernel", name_);
  if (error == -EPERM)
    return log.Fail(doing + " (are you root, or have CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON?)", EPERM);
  if (error == -ENOMEM) return log.Fail(doing + " (smaller capacities need less memory)", ENOMEM);
  return log.Fail(doing, -error);
}

std::vector<std::string> Object::MapNames() const {
  std::vector<std::string> names;
  const bpf_map* map = nullptr;
  while ((map = bpf_object__next_map(raw(), map)))
    if (!bpf_map__is_internal(map)) names.emplace_back(bpf_map__name(map));
  return names;
}

bpf_map* Object::FindConstants() const {
  bpf_map* map = nullptr;
  while ((map = bpf_object__next_map(raw(), map)))
    if (std::string_view(bpf_map__name(map)).ends_with(kConstants)) return map;
  return nullptr;
}

std::vector<std::byte> Object::Constants() const {
  size_t bytes = 0;
  bpf_map* map = FindConstants();
  const auto* values = map ? static_cast<const std::byte*>(bpf_map__initial_value(map, &bytes)) : nullptr;
  return values ? std::vector<std::byte>(values, values + bytes) : std::vector<std::byte>();
}

Result<MapShape> Object::Shape(const std::string& map) const {
  auto found = Find(map);
  if (!found) return std::unexpected(found.error());
  return ShapeOf(*found);
}

Result<MapShape> Object::InnerShape(const std::string& map) const {
  const auto found = inner_shapes_.find(map);
  if (found != inner_shapes_.end()) return found->second;
  return Fail(ErrorKind::kSystem, fmt::format("BPF object {}: map {} holds no maps", name_, map));
}

Result<BpfMap> Object::Map(const std::string& map) const {
  auto found = Find(map);
  if (!found) return std::unexpected(found.error());
  return OpenMap(*found);
}

Result<BpfMap> Object::ConstantsMap() const {
  const bpf_map* found = FindConstants();
  if (!found) return Fail(ErrorKind::kSystem, fmt::format("BPF object {}: it has no constants", name_));
  return OpenMap(found);
}

Result<int> Object::ProgramFd(const std::string& program) const {
  const bpf_program* found = bpf_object__find_program_by_name(raw(), program.c_str());
  const int fd = found ? bpf_program__fd(found) : -1;
  if (fd < 0) return Fail(ErrorKind::kSystem, fmt::format("BPF object {}: program {} is not loaded", name_, program));
  return fd;
}

Result<UniqueFd> Object::KeepProgram(const std::string& program) const {
  auto fd = ProgramFd(program);
  if (!fd) return std::unexpected(fd.error());
  UniqueFd own(fcntl(*fd, F_DUPFD_CLOEXEC, 3));
  if (!own.valid()) return FailErrno(fmt::format("keeping program {} open", program), errno);
  return own;
}

Result<ProgramIdentity> Object::Identify(const std::string& program) const {
  auto fd = ProgramFd(program);
  if (!fd) return std::unexpected(fd.error());
  return IdentifyProgram(*fd, Constants());
}

Result<TestRun> RunXdpProgram(int program_fd, std::span<const std::byte> frame, uint32_t ingress_ifindex,
                              size_t room_bytes) {
  TestRun run;
  run.frame.resize(frame.size() + room_bytes);
  xdp_md context{};
  context.data_end = static_cast<uint32_t>(frame.size());
  context.ingress_ifindex = ingress_ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = run.frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .data_size_out = static_cast<uint32_t>(run.frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = 1);
  const int error = bpf_prog_test_run_opts(program_fd, &options);
  if (error) {
    char name[IF_NAMESIZE];
    const std::string doing = fmt::format("running the program on a frame of {} bytes", frame.size());
    if (!if_indextoname(ingress_ifindex, name))
      return Fail(ErrorKind::kNotFound, fmt::format("{}: there is no interface {}", doing, ingress_ifindex));
    return FailErrno(fmt::format("{} from {} (some kernels take no more than about 3500 bytes)", doing, name), -error);
  }
  run.action = options.retval;
  run.frame.resize(options.data_size_out);
  return run;
}

}  // namespace shunt
