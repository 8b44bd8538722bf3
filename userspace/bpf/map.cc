// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "userspace/bpf/kernel_log.h"

namespace shunt {
namespace {

constexpr size_t kBatch = 4096;

std::unexpected<Error> MapError(std::string_view doing, const std::string& name, int error_number) {
  return FailErrno(fmt::format("{} map {}", doing, name), error_number);
}

}  // namespace

Result<uint32_t> PossibleCpus() {
  KernelLog log;
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return log.Fail("counting CPUs", -cpus);
  return static_cast<uint32_t>(cpus);
}

Result<BpfMap> BpfMap::FromFd(UniqueFd fd, const std::string& name) {
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0) return FailErrno("asking what a BPF map is", errno);
  BpfMap map;
  map.fd_ = std::move(fd);
  map.id_ = info.id;
  map.name_ = name.empty() ? info.name : name;
  map.shape_ = {info.type, info.key_size, info.value_size, info.max_entries, info.map_flags};
  return map;
}

Result<BpfMap> BpfMap::FromId(uint32_t id) {
  UniqueFd fd(bpf_map_get_fd_by_id(id));
  if (!fd.valid()) return FailErrno(fmt::format("opening BPF map {}", id), errno);
  return FromFd(std::move(fd));
}

Result<BpfMap> BpfMap::CreateArray(const std::string& name, const MapShape& shape) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape.flags);
  UniqueFd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, name.c_str(), shape.key_bytes, shape.value_bytes, shape.max_entries,
                             &options));
  if (!fd.valid()) return MapError(fmt::format("creating, with {} entries,", shape.max_entries), name, errno);
  return FromFd(std::move(fd));
}

Status BpfMap::Update(const void* key, const void* value) {
  if (bpf_map_update_elem(fd(), key, value, BPF_ANY) == 0) return {};
  if (errno == E2BIG || errno == ENOSPC) {
    return Fail(ErrorKind::kSystem, fmt::format("writing map {}: it holds {} entries and has no room for this one",
                                                name_, shape_.max_entries));
  }
  return MapError("writing", name_, errno);
}

Result<bool> BpfMap::Lookup(const void* key, void* value) const {
  if (bpf_map_lookup_elem(fd(), key, value) == 0) return true;
  if (errno == ENOENT) return false;
  return MapError("reading", name_, errno);
}

Status BpfMap::Delete(const void* key) {
  if (bpf_map_delete_elem(fd(), key) == 0 || errno == ENOENT) return {};
  return MapError("deleting from", name_, errno);
}

Status BpfMap::UpdateBatch(const void* keys, const void* values, size_t entries, size_t value_bytes) {
  const auto* key = static_cast<const std::byte*>(keys);
  const auto* value = static_cast<const std::byte*>(values);
  for (size_t done = 0; done < entries;) {
    auto count = static_cast<uint32_t>(std::min(entries - done, kBatch));
    if (bpf_map_update_batch(fd(), key + done * shape_.key_bytes, value + done * value_bytes, &count, nullptr) != 0)
      return MapError("writing", name_, errno);
    done += count;
  }
  return {};
}

Result<MapEntries> BpfMap::ReadHash(size_t limit, size_t value_bytes) const {
  MapEntries entries;
  std::vector<std::byte> position(std::max<size_t>(shape_.key_bytes, sizeof(uint32_t)));
  size_t batch = std::min<size_t>(kBatch, shape_.max_entries);
  for (bool first = true, more = true; more && entries.count < limit;) {
    auto count = static_cast<uint32_t>(batch);
    entries.keys.resize((entries.count + batch) * shape_.key_bytes);
    entries.values.resize((entries.count + batch) * value_bytes);
    const int failed = bpf_map_lookup_batch(fd(), first ? nullptr : position.data(), position.data(),
                                            &entries.keys[entries.count * shape_.key_bytes],
                                            &entries.values[entries.count * value_bytes], &count, nullptr);
    if (failed && errno == ENOSPC) {
      batch *= 2;  // one bucket alone holds more
      continue;
    }
    if (failed && errno != ENOENT) return MapError("reading", name_, errno);
    more = !failed;  // ENOENT: that was the end
    first = false;
    entries.count += count;
  }
  entries.count = std::min(entries.count, limit);
  return entries;
}

Status BpfMap::ReadArray(uint32_t first, size_t count, void* values, size_t value_bytes) const {
  if (first >= shape_.max_entries || count > shape_.max_entries - first) {
    return Fail(ErrorKind::kInvalid, fmt::format("reading map {}: entries {} to {} are asked for, it has {}", name_,
                                                 first, first + count, shape_.max_entries));
  }
  std::vector<uint32_t> keys(std::min(count, kBatch));
  auto* value = static_cast<std::byte*>(values);
  for (size_t done = 0; done < count;) {
    uint32_t previous = first + static_cast<uint32_t>(done) - 1;  // a batch begins behind this entry
    uint32_t last = 0;
    auto asked = static_cast<uint32_t>(std::min(count - done, kBatch));
    void* begin = previous == UINT32_MAX ? nullptr : &previous;
    if (bpf_map_lookup_batch(fd(), begin, &last, keys.data(), value + done * value_bytes, &asked, nullptr) != 0)
      return MapError("reading", name_, errno);
    done += asked;
  }
  return {};
}

Result<MapMemory> MapMemory::Of(const BpfMap& map) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t stride = (map.shape().value_bytes + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
  const size_t bytes = (map.shape().max_entries * stride + page - 1) / page * page;
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd(), 0);
  if (data == MAP_FAILED) return MapError("mapping", map.name(), errno);
  MapMemory memory;
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  return memory;
}

MapMemory::~MapMemory() {
  if (data_) munmap(data_, bytes_);
}

Status CheckValueBytes(const BpfMap& map, size_t value_bytes) {
  if (map.shape().value_bytes == value_bytes) return {};
  return Fail(ErrorKind::kSystem, fmt::format("mapping map {}: its values have {} bytes, wanted {}", map.name(),
                                              map.shape().value_bytes, value_bytes));
}

std::vector<IndexRun> NeighbourRuns(std::span<const uint32_t> indices) {
  std::vector<IndexRun> runs;
  for (size_t i = 0; i < indices.size(); ++i) {
    if (i > 0 && indices[i] == indices[i - 1] + 1) {
      ++runs.back().count;
    } else {
      runs.push_back({i, 1});
    }
  }
  return runs;
}

}  // namespace shunt
