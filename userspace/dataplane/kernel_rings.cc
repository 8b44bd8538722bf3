// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/kernel_rings.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <iterator>

#include "userspace/bpf/pins.h"
#include "userspace/dataplane/encode.h"

namespace shunt {
namespace {

uint32_t LinesFor(uint32_t slots) { return (slots + SHUNT_RING_LINE_SLOTS - 1) / SHUNT_RING_LINE_SLOTS; }

}  // namespace

std::string KernelRings::PinOf(uint32_t number) const { return fmt::format("{}/ring_chunk:{}", pin_folder_, number); }

// Sets of version 2 have no pins of chunks.
Result<BpfMap> KernelRings::OpenChunk(uint32_t number, uint32_t id) const {
  if (!pin_folder_.empty()) {
    auto pinned = OpenPin(PinOf(number));
    if (pinned && pinned->id() == id) return pinned;
    if (!pinned && pinned.error().kind != ErrorKind::kNotFound) return pinned;
  }
  return BpfMap::FromId(id);
}

Result<KernelRings> KernelRings::Open(BpfMap chunks, const MapShape& chunk, std::string pin_folder) {
  KernelRings rings;
  rings.pin_folder_ = std::move(pin_folder);
  rings.map_ = std::move(chunks);
  rings.chunk_shape_ = chunk;
  for (uint32_t number = 0; number < rings.map_.shape().max_entries; ++number) {
    uint32_t id = 0;
    auto found = rings.map_.Lookup(&number, &id);
    if (!found) return std::unexpected(found.error());
    if (!*found) break;
    auto map = rings.OpenChunk(number, id);
    if (!map) return std::unexpected(map.error());
    auto mapped = MappedArray<shunt_ring_line>::Of(std::move(*map));
    if (!mapped) return std::unexpected(mapped.error());
    rings.chunks_.push_back(std::move(*mapped));
    rings.memory_.Grow(SHUNT_RING_CHUNK_LINES);
  }
  if (rings.chunks_.empty())
    if (auto added = rings.AddLines(1); !added) return std::unexpected(added.error());
  return rings;
}

Status KernelRings::AddLines(uint64_t lines) {
  const size_t before = chunks_.size();
  const uint64_t after = before + (lines + SHUNT_RING_CHUNK_LINES - 1) / SHUNT_RING_CHUNK_LINES;
  if (after > map_.shape().max_entries) {
    return Fail(ErrorKind::kSystem,
                fmt::format("making room for rings: {} chunks of {} slots are needed, {} is the most; smaller rings "
                            "(ring_size) need less",
                            after, SHUNT_RING_CHUNK_LINES * SHUNT_RING_LINE_SLOTS, map_.shape().max_entries));
  }
  std::vector<MappedArray<shunt_ring_line>> added;
  std::vector<uint32_t> numbers;
  std::vector<int> fds;
  while (before + added.size() < after) {
    auto map = BpfMap::CreateArray("ring_chunk", chunk_shape_);
    if (!map) return std::unexpected(map.error());
    auto mapped = MappedArray<shunt_ring_line>::Of(std::move(*map));
    if (!mapped) return std::unexpected(mapped.error());
    numbers.push_back(static_cast<uint32_t>(before + added.size()));
    fds.push_back(mapped->map().fd());
    if (!pin_folder_.empty())
      if (auto pinned = Pin(fds.back(), PinOf(numbers.back())); !pinned) return pinned;
    added.push_back(std::move(*mapped));
  }
  if (auto set = map_.UpdateBatch(numbers.data(), fds.data(), fds.size(), sizeof(int)); !set) return set;
  std::ranges::move(added, std::back_inserter(chunks_));
  memory_.Grow(static_cast<uint32_t>(fds.size()) * SHUNT_RING_CHUNK_LINES);
  return {};
}

// An update of an array of maps returns only after every program that was running has ended: the kernel's syscall does
// that for user space to free what the old map held (maybe_wait_bpf_programs() in kernel/bpf/syscall.c, since 4.20). It
// is RCU's grace period, which user space can get nowhere else for BPF programs; some milliseconds.
Status KernelRings::Synchronize() {
  const uint32_t number = 0;
  const int same = chunks_[number].map().fd();
  if (auto waited = map_.Update(&number, &same); !waited)
    return Context("waiting for packets under way", waited.error());
  memory_.Reclaim();
  return {};
}

Status KernelRings::Reserve(std::span<const uint32_t> slots_of_rings) {
  uint64_t lines = 0;
  for (const uint32_t slots : slots_of_rings) lines += LinesFor(slots);
  const uint32_t free_lines = memory_.free_lines();
  return lines > free_lines ? AddLines(lines - free_lines) : Status();
}

Result<RingRange> KernelRings::Take(uint32_t slots) {
  const uint32_t lines = LinesFor(slots);
  if (auto range = memory_.Take(lines)) return *range;
  if (auto added = AddLines(lines); !added) return std::unexpected(added.error());
  return *memory_.Take(lines);
}

bool KernelRings::TakeOver(uint32_t first_line, uint32_t slots, RingRange& range) {
  range = {first_line, LinesFor(slots)};
  return memory_.TakeAt(range);
}

Status KernelRings::Prepare(uint32_t slots) {
  const uint32_t missing = memory_.MissingFor(LinesFor(slots));
  return missing > 0 ? AddLines(missing) : Status();
}

shunt_ring_line& KernelRings::LineAt(uint32_t line) const {
  return chunks_[line / SHUNT_RING_CHUNK_LINES].values()[line % SHUNT_RING_CHUNK_LINES];
}

void KernelRings::Write(const RingRange& range, const Ring& ring) {
  auto slot = ring.begin();
  for (uint32_t line = range.first_line; slot != ring.end(); ++line) {
    shunt_ring_line& to = LineAt(line);
    const auto count = std::min<std::ptrdiff_t>(SHUNT_RING_LINE_SLOTS, ring.end() - slot);
    std::transform(slot, slot + count, to.slots, EncodeSlot);
    slot += count;
  }
}

void KernelRings::WriteSlot(const RingRange& range, uint32_t slot, const RingSlot& value) {
  shunt_ring_slot& to = LineAt(range.first_line + slot / SHUNT_RING_LINE_SLOTS).slots[slot % SHUNT_RING_LINE_SLOTS];
  auto& word = reinterpret_cast<uint32_t&>(to);
  std::atomic_ref(word).store(std::bit_cast<uint32_t>(EncodeSlot(value)), std::memory_order_release);
}

Ring KernelRings::Read(const RingRange& range, uint32_t slots) const {
  Ring ring;
  ring.reserve(slots);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    ring.push_back(
        DecodeSlot(LineAt(range.first_line + slot / SHUNT_RING_LINE_SLOTS).slots[slot % SHUNT_RING_LINE_SLOTS]));
  }
  return ring;
}

}  // namespace shunt
