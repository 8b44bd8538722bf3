// SPDX-License-Identifier: Apache-2.0
// The store: any bytes are refused with a message or become a state that is valid, and that a store written from it
// gives back.
#include "tests/fuzz/fuzzing.h"
#include "userspace/model/store_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  const auto state = ParseYaml(std::string(reinterpret_cast<const char*>(data), size), "store", kFuzzCapacities);
  if (!state) {
    Require(!state.error().message.empty(), "a refusal says why");
    return 0;
  }
  Require(Validate(*state, kFuzzCapacities).empty(), "what is read is valid");
  const std::string text = ToYaml(*state);
  const auto again = ParseYaml(text, "again", kFuzzCapacities);
  Require(again.has_value(), "what is written can be read", again ? "" : again.error().message);
  Require(*again == *state, "and is the same state", text);
  Require(ToYaml(*again) == text, "and the same text", text);
  return 0;
}
