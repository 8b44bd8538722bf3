// SPDX-License-Identifier: Apache-2.0
// The balancer's pins: <bpffs>/shunt/SET/ has the maps of one layout by their names, ring_chunk:N, and the program that
// is attached (`program`, and `constants`, what it was loaded with).
//
//   SET = v3-DIGEST                 in force: ABI version and layout digest (userspace/bpf/layout.h)
//         v3-DIGEST-next            being filled from another set; no packet meets it
//         v3-DIGEST-taking-over     interfaces are being changed over to it; the set it takes the place of still stands
//         v2                        of an earlier version
//
// Names change by rename, so a process that dies leaves one of these states, and the next one goes on from there.
// Not here: pins as such (bpf/pins.h), copying from one set to another (kernel_migration.cc).
#pragma once

#include <optional>
#include <string>

#include "userspace/bpf/pins.h"
#include "userspace/bpf/xdp.h"

namespace shunt {

inline constexpr char kPinFolder[] = "shunt";

// A program that this process keeps open.
struct KeptProgram {
  UniqueFd fd;
  ProgramIdentity identity;
  OpenProgram open() const { return {fd.get(), identity}; }
};

// Which set to work on.
struct PinChoice {
  std::string set;
  std::optional<std::string> earlier{};  // the set that it takes the place of
  bool resumes = false;                  // an earlier process has filled it and begun to take over
};

// `object`: the balancer's, opened and sized. Removes what was begun and never met a packet. Layouts that are not known
// are refused with the remedy.
Result<PinChoice> ChoosePins(const LockedFolder& folder, const Object& object);

Result<std::string> OwnSet();             // this version's, with whatever capacities
bool IsKnownSet(const std::string& set);  // an older one that can be taken over from
std::string NextSet(const std::string& set);
std::string TakingOverSet(const std::string& set);
std::string FinalSet(const std::string& set);  // without what says how far it is

// Ends a message about pins that cannot be used.
std::string StartAfresh();

// Ids of all maps that are pinned in a folder, programs left out.
Result<std::vector<uint32_t>> PinnedMapIds(const std::string& folder);

// kNotFound: none is pinned there.
Result<KeptProgram> OpenKeptProgram(const std::string& folder);
Status PinProgram(const KeptProgram& program, const BpfMap& constants, const std::string& folder);

}  // namespace shunt
