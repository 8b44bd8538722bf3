// SPDX-License-Identifier: Apache-2.0
// The API's edits: the first byte says which, the rest is the message as it came by gRPC. An edit is refused with a
// message and changes nothing, or gives a state that, if it is valid, a store written from it gives back.
#include "tests/fuzz/fuzzing.h"
#include "userspace/model/store_file.h"
#include "userspace/rpc/edit.h"

namespace shunt {
namespace {

const DesiredState& Before() {
  static const DesiredState state = *ParseYaml(R"(
defaults: { ring_size: 1009 }
vips:
  - vip: "203.0.113.10:80/tcp"
    health: { kind: http, path: /health }
    reals: [ { address: "10.0.0.11", weight: 3 }, { address: "2001:db8::11", state: drain } ]
  - vip: "[2001:db8:1::1]:53/udp"
)",
                                               "before", kFuzzCapacities);
  return state;
}

template <class Request>
bool Read(std::string_view bytes, Request& request) {
  return request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// As the service does; true: there was a message.
bool Edit(unsigned which, std::string_view bytes, DesiredState& state, Status& done) {
  v1::ApplyRequest apply;
  v1::VipRequest vip;
  v1::RemoveVipRequest remove_vip;
  v1::RealRequest real;
  v1::RemoveRealRequest remove_real;
  v1::HostRequest host;
  switch (which % 8) {
    case 0: {
      if (!Read(bytes, apply)) return false;
      auto wanted = DesiredStateOf(apply.config());
      if (wanted) state = *std::move(wanted);
      done = wanted ? Status() : std::unexpected(wanted.error());
      return true;
    }
    case 1:
      return Read(bytes, vip) && (done = AddVip(state, vip.vip()), true);
    case 2:
      return Read(bytes, vip) && (done = SetVip(state, vip.vip()), true);
    case 3:
      return Read(bytes, remove_vip) && (done = RemoveVip(state, remove_vip.vip()), true);
    case 4:
      return Read(bytes, real) && (done = AddReal(state, real), true);
    case 5:
      return Read(bytes, real) && (done = SetReal(state, real), true);
    case 6:
      return Read(bytes, remove_real) && (done = RemoveReal(state, remove_real), true);
    default:
      return Read(bytes, host) && (done = SetHost(state, host.host()), true);
  }
}

}  // namespace
}  // namespace shunt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  if (size == 0) return 0;
  DesiredState state = Before();
  Status done;
  if (!Edit(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1}, state, done)) return 0;
  Require(done || !done.error().message.empty(), "a refusal says why");
  if (!done || !Validate(state, kFuzzCapacities).empty()) return 0;  // the writer goes no further
  if (state.hash_key == HashKey{}) state.hash_key = Before().hash_key;
  const std::string text = ToYaml(state);
  const auto again = ParseYaml(text, "again", kFuzzCapacities);
  Require(again.has_value(), "what is accepted can be read from the store",
          again ? text : again.error().message + text);
  Require(*again == state, "and is the same state", text);
  return 0;
}
