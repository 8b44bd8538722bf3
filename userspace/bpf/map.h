// SPDX-License-Identifier: Apache-2.0
// One map of the kernel: its shape and what can be done with it, as bytes (BpfMap) and typed (HashMap, ArrayMap,
// PerCpuMap, RingsMap). Errors name the map. Not here: which maps there are (bpf/maps.h) or what they mean.
// Called by userspace/dataplane and decap.cc; a map may be used from any thread, the kernel serialises.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/base/unique_fd.h"

namespace shunt {

struct MapShape {
  uint32_t type = 0;  // enum bpf_map_type
  uint32_t key_bytes = 0;
  uint32_t value_bytes = 0;
  uint32_t max_entries = 0;
  uint32_t flags = 0;
  bool operator==(const MapShape&) const = default;
};

// Values of per-CPU maps are one aligned value for each of these, back to back.
Result<uint32_t> PossibleCpus();

// Keys and values of many entries, back to back.
struct MapEntries {
  size_t count = 0;
  std::vector<std::byte> keys;
  std::vector<std::byte> values;
};

class BpfMap {
 public:
  BpfMap() = default;
  // `name`: what messages call it; the kernel's own, which is cut after 15 bytes, if empty.
  static Result<BpfMap> FromFd(UniqueFd fd, const std::string& name = {});
  static Result<BpfMap> FromId(uint32_t id);
  static Result<BpfMap> CreateArray(const std::string& name, const MapShape& shape);

  int fd() const { return fd_.get(); }
  uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }
  const MapShape& shape() const { return shape_; }

  Status Update(const void* key, const void* value);
  Result<bool> Lookup(const void* key, void* value) const;  // false: there is none
  Status Delete(const void* key);                           // absent is no error

  // `entries` values of `value_bytes` each (per CPU: of all CPUs).
  Status UpdateBatch(const void* keys, const void* values, size_t entries, size_t value_bytes);
  // Keys that are absent are skipped.
  Status DeleteBatch(const void* keys, size_t entries);
  // Hash maps: at most `limit` entries, in no order. What is written meanwhile may or may not be among them.
  Result<MapEntries> ReadHash(size_t limit, size_t value_bytes) const;
  // Array maps: entries first to first + count - 1, all below max_entries.
  Status ReadArray(uint32_t first, size_t count, void* values, size_t value_bytes) const;

  // A whole array of small values at once: through a mapping where the map allows it (BPF_F_MMAPABLE; a ring of
  // 65537 slots takes 0.1 ms), else entry by entry (13 ms).
  Status FillArray(std::span<const std::byte> values);
  Result<std::vector<std::byte>> ReadWholeArray() const;

 private:
  UniqueFd fd_;
  uint32_t id_ = 0;
  std::string name_;
  MapShape shape_;
};

template <class Key, class Value>
class HashMap {
 public:
  HashMap() = default;
  explicit HashMap(BpfMap map) : map_(std::move(map)) {}
  const BpfMap& map() const { return map_; }

  Status Update(const Key& key, const Value& value) { return map_.Update(&key, &value); }
  Status Delete(const Key& key) { return map_.Delete(&key); }
  Status DeleteAll(std::span<const Key> keys) { return map_.DeleteBatch(keys.data(), keys.size()); }
  Result<std::vector<std::pair<Key, Value>>> Read(size_t limit = SIZE_MAX) const {
    auto bytes = map_.ReadHash(limit, sizeof(Value));
    if (!bytes) return std::unexpected(bytes.error());
    std::vector<std::pair<Key, Value>> entries(bytes->count);
    for (size_t i = 0; i < entries.size(); ++i) {
      std::memcpy(&entries[i].first, &bytes->keys[i * sizeof(Key)], sizeof(Key));
      std::memcpy(&entries[i].second, &bytes->values[i * sizeof(Value)], sizeof(Value));
    }
    return entries;
  }

 private:
  static_assert(std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>);
  BpfMap map_;
};

// Splits indices, in their order, into runs of neighbours, each one call to the kernel.
struct IndexRun {
  size_t position = 0;  // in the list of indices
  size_t count = 0;
};
std::vector<IndexRun> NeighbourRuns(std::span<const uint32_t> indices);

template <class Value>
class ArrayMap {
 public:
  ArrayMap() = default;
  explicit ArrayMap(BpfMap map) : map_(std::move(map)) {}
  const BpfMap& map() const { return map_; }

  Status Update(std::span<const uint32_t> indices, std::span<const Value> values) {
    return map_.UpdateBatch(indices.data(), values.data(), indices.size(), sizeof(Value));
  }
  Result<std::vector<Value>> ReadRange(uint32_t first, size_t count) const {
    std::vector<Value> values(count);
    auto status = map_.ReadArray(first, count, values.data(), sizeof(Value));
    if (!status) return std::unexpected(status.error());
    return values;
  }
  Result<std::vector<Value>> Read(std::span<const uint32_t> indices) const {
    std::vector<Value> values(indices.size());
    for (const IndexRun& run : NeighbourRuns(indices)) {
      auto status = map_.ReadArray(indices[run.position], run.count, &values[run.position], sizeof(Value));
      if (!status) return std::unexpected(status.error());
    }
    return values;
  }

 private:
  static_assert(std::is_trivially_copyable_v<Value>);
  BpfMap map_;
};

// An array with one value per CPU; Value is a struct of uint64_t fields alone and is read as the sum over CPUs.
template <class Value>
class PerCpuArrayMap {
 public:
  PerCpuArrayMap() = default;
  PerCpuArrayMap(BpfMap map, uint32_t cpus) : map_(std::move(map)), cpus_(cpus) {}
  const BpfMap& map() const { return map_; }

  Result<std::vector<Value>> Read(std::span<const uint32_t> indices) const {
    std::vector<Value> sums(indices.size());
    std::vector<Value> values;
    for (const IndexRun& run : NeighbourRuns(indices)) {
      values.assign(run.count * cpus_, Value{});
      auto status = map_.ReadArray(indices[run.position], run.count, values.data(), sizeof(Value) * cpus_);
      if (!status) return std::unexpected(status.error());
      for (size_t i = 0; i < values.size(); ++i) Add(sums[run.position + i / cpus_], values[i]);
    }
    return sums;
  }
  Status Reset(std::span<const uint32_t> indices) {
    constexpr size_t kAtOnce = 1024;
    const std::vector<Value> zeros(std::min(indices.size(), kAtOnce) * cpus_, Value{});
    for (; !indices.empty(); indices = indices.subspan(std::min(indices.size(), kAtOnce))) {
      auto status =
          map_.UpdateBatch(indices.data(), zeros.data(), std::min(indices.size(), kAtOnce), sizeof(Value) * cpus_);
      if (!status) return status;
    }
    return {};
  }

 private:
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) % sizeof(uint64_t) == 0);
  static void Add(Value& sum, const Value& value) {
    std::array<uint64_t, sizeof(Value) / sizeof(uint64_t)> left, right;
    std::memcpy(left.data(), &sum, sizeof(Value));
    std::memcpy(right.data(), &value, sizeof(Value));
    for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
    std::memcpy(&sum, left.data(), sizeof(Value));
  }
  BpfMap map_;
  uint32_t cpus_ = 1;
};

// An array of arrays of Slot, each as long as it was set. A replaced one is freed once no packet reads it.
template <class Slot>
class RingsMap {
 public:
  RingsMap() = default;
  // `inner`: the shape every inner array has, but for max_entries.
  RingsMap(BpfMap map, const MapShape& inner) : map_(std::move(map)), inner_(inner) {}
  const BpfMap& map() const { return map_; }

  // Each ring is filled beside the old one and swapped in at once. rings[i], not empty, goes to indices[i]; a file
  // descriptor is open for each meanwhile.
  Status Set(std::span<const uint32_t> indices, const std::vector<std::vector<Slot>>& rings) {
    std::vector<BpfMap> inner;
    std::vector<int> fds;
    for (const std::vector<Slot>& slots : rings) {
      MapShape shape = inner_;
      shape.max_entries = static_cast<uint32_t>(slots.size());
      auto ring = BpfMap::CreateArray("ring", shape);
      if (!ring) return std::unexpected(ring.error());
      if (auto filled = ring->FillArray(std::as_bytes(std::span(slots))); !filled) return filled;
      fds.push_back(ring->fd());
      inner.push_back(std::move(*ring));
    }
    return map_.UpdateBatch(indices.data(), fds.data(), fds.size(), sizeof(int));
  }
  Status Remove(uint32_t index) { return map_.Delete(&index); }
  Result<std::optional<std::vector<Slot>>> Read(uint32_t index) const {
    uint32_t id = 0;
    auto found = map_.Lookup(&index, &id);
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::optional<std::vector<Slot>>();
    auto ring = BpfMap::FromId(id);
    if (!ring) return std::unexpected(ring.error());
    auto bytes = ring->ReadWholeArray();
    if (!bytes) return std::unexpected(bytes.error());
    std::vector<Slot> slots(bytes->size() / sizeof(Slot));
    if (!slots.empty()) std::memcpy(slots.data(), bytes->data(), slots.size() * sizeof(Slot));
    return slots;
  }

 private:
  static_assert(std::is_trivially_copyable_v<Slot>);
  BpfMap map_;
  MapShape inner_;
};

}  // namespace shunt
