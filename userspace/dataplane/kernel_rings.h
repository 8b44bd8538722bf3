// SPDX-License-Identifier: Apache-2.0
// The memory of all rings as packets read it: chunks of lines, mapped, made on demand, and which ring has which of
// them. Owned by KernelDataplane alone, which lets one thread at a time in.
#pragma once

#include <shunt/abi_types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "userspace/bpf/map.h"
#include "userspace/dataplane/plan.h"
#include "userspace/dataplane/ring_memory.h"

namespace shunt {

class KernelRings {
 public:
  KernelRings() = default;
  // `chunks`: the array of maps; what it holds is taken over. `chunk`: the shape of each. `pin_folder`: where they are
  // pinned, too, so that the next process need not ask for them by id; empty: nowhere.
  static Result<KernelRings> Open(BpfMap chunks, const MapShape& chunk, std::string pin_folder);
  void set_pin_folder(std::string folder) { pin_folder_ = std::move(folder); }  // it has another name now

  // Returns once no packet is under way any more that met what was in force before the call; ranges that were retired
  // are free then.
  Status Synchronize();

  // Makes the chunks that these rings will need, all at once: the kernel lets packets under way end after each write,
  // or after a batch of them.
  Status Reserve(std::span<const uint32_t> slots_of_rings);
  // Room for a ring of so many slots, more than 0; makes chunks where there is none.
  Result<RingRange> Take(uint32_t slots);
  // The room of a ring that is there already, when an earlier process' tables are taken over; false: it cannot be.
  bool TakeOver(uint32_t first_line, uint32_t slots, RingRange& range);
  void Free(const RingRange& range) { memory_.Free(range); }
  void Retire(const RingRange& range) { memory_.Retire(range); }
  // Makes room ahead, so that the next Take(slots) after a Synchronize() need not.
  Status Prepare(uint32_t slots);

  void Write(const RingRange& range, const Ring& ring);
  void WriteSlot(const RingRange& range, uint32_t slot, const RingSlot& value);  // at one instant
  Ring Read(const RingRange& range, uint32_t slots) const;

 private:
  Status AddLines(uint64_t lines);  // in whole chunks
  Result<BpfMap> OpenChunk(uint32_t number, uint32_t id) const;
  std::string PinOf(uint32_t number) const;
  shunt_ring_line& LineAt(uint32_t line) const;

  BpfMap map_;
  MapShape chunk_shape_;
  std::string pin_folder_;
  std::vector<MappedArray<shunt_ring_line>> chunks_;
  RingMemory memory_;
};

}  // namespace shunt
