// SPDX-License-Identifier: Apache-2.0
// One map of the kernel: its shape and what can be done with it, as bytes (BpfMap) and typed (ArrayMap, PerCpuArrayMap,
// MappedArray). Errors name the map. Not here: which maps there are (bpf/maps.h) or what they mean. Called by
// userspace/dataplane and decap.cc; a map may be used from any thread, the kernel serialises. Memory of a mapped array
// is as shared as any: who writes it orders the writes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
  // Hash maps: at most `limit` entries, in no order. What is written meanwhile may or may not be among them.
  Result<MapEntries> ReadHash(size_t limit, size_t value_bytes) const;
  // Array maps: entries first to first + count - 1, all below max_entries.
  Status ReadArray(uint32_t first, size_t count, void* values, size_t value_bytes) const;

 private:
  UniqueFd fd_;
  uint32_t id_ = 0;
  std::string name_;
  MapShape shape_;
};

// Elements of an array map begin at multiples of so many bytes.
inline constexpr size_t kArrayAlignment = 8;
// Whether an array's values have as many bytes as the type they are to be used as.
Status CheckValueBytes(const BpfMap& map, size_t value_bytes);

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

// A whole array map with BPF_F_MMAPABLE in this process's memory, for as long as this lives. Packets meet each write at
// once.
class MapMemory {
 public:
  MapMemory() = default;
  static Result<MapMemory> Of(const BpfMap& map);
  MapMemory(MapMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  MapMemory& operator=(MapMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MapMemory();

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

template <class Value>
class MappedArray {
 public:
  MappedArray() = default;
  static Result<MappedArray> Of(BpfMap map) {
    if (auto fits = CheckValueBytes(map, sizeof(Value)); !fits) return std::unexpected(fits.error());
    auto memory = MapMemory::Of(map);
    if (!memory) return std::unexpected(memory.error());
    MappedArray array;
    array.memory_ = std::move(*memory);
    array.map_ = std::move(map);
    return array;
  }
  const BpfMap& map() const { return map_; }
  std::span<Value> values() const { return {reinterpret_cast<Value*>(memory_.data()), map_.shape().max_entries}; }

 private:
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) % kArrayAlignment == 0);
  BpfMap map_;
  MapMemory memory_;
};

}  // namespace shunt
