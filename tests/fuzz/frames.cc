// SPDX-License-Identifier: Apache-2.0
// Frames: any bytes are parsed and walked by the model of the data plane. A walk has a verdict; a frame that leaves
// encapsulated holds the inner packet as it came. The first byte says how many VLAN tags are looked behind. The model
// is held against the program in tests/dataplane.
#include <algorithm>
#include <vector>

#include <shunt/abi_verdicts.h>

#include "tests/fuzz/fuzzing.h"
#include "tests/fuzz/plan.h"
#include "userspace/dataplane/frame_parser.h"
#include "userspace/dataplane/packet_model.h"

namespace shunt {
namespace {

const DataplaneTables& Tables() {
  static const DataplaneTables tables = TablesOf(FuzzPlan());
  return tables;
}

}  // namespace
}  // namespace shunt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  if (size == 0) return 0;
  const uint32_t max_vlan_tags = data[0] % 3;
  const std::vector<uint8_t> frame(data + 1, data + size);
  const ParsedFrame parsed = ParseFrame(frame, max_vlan_tags);
  Require(parsed.pass != 0 || parsed.ip_offset < frame.size(), "the IP header stands in the frame");
  Describe(parsed);
  const Walk walk = WalkFrame(Tables(), frame, 1, max_vlan_tags);
  Require(walk.verdict != 0, "a walk ends with a verdict");
  Require(!walk.steps.empty(), "and tells how it got there");
  if (walk.verdict == VERDICT_TX_ENCAPSULATED) {
    Require(walk.frame.size() > parsed.ip_bytes, "an encapsulated frame is longer");
  } else if (walk.verdict != VERDICT_REDIRECT_ENCAPSULATED) {
    Require(walk.frame == frame, "all others leave as they came");
  }
  DataplaneTables after = Tables();
  if (walk.vip) Apply(walk, after);
  return 0;
}
