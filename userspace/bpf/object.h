// SPDX-License-Identifier: Apache-2.0
// One BPF object: opened, adjusted (sizes, constants, maps that exist already), loaded; and test runs of a loaded
// program. Not here: pins (pins.h), interfaces (xdp.h). Called by userspace/dataplane and decap.cc; one thread
// at a time, but test runs from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/bpf/map.h"

struct bpf_map;
struct bpf_object;

namespace shunt {

// What tells programs in the kernel apart. Equal tag and constants: the same version with the same settings.
struct ProgramIdentity {
  uint32_t id = 0;
  std::string name;
  std::string tag;                   // hash of the instructions, in hex
  std::vector<std::byte> constants;  // of the object's `const volatile` variables
  std::vector<uint32_t> map_ids;

  bool SameVersion(const ProgramIdentity& other) const { return tag == other.tag && constants == other.constants; }
  bool UsesMap(uint32_t map_id) const;
};
// Of any program: asks the kernel for the maps of constants by id, for which it wants CAP_SYS_ADMIN.
Result<ProgramIdentity> IdentifyProgram(int program_fd);
// Of a program whose constants are known: needs no privilege.
Result<ProgramIdentity> IdentifyProgram(int program_fd, std::vector<std::byte> constants);

struct TestRun {
  uint32_t action = 0;  // enum xdp_action
  std::vector<std::byte> frame;
};

class Object {
 public:
  static Result<Object> Open(const std::string& name, std::span<const std::byte> elf);

  // Before Load().
  Status Resize(const std::string& map, uint32_t max_entries);
  template <class Value>
  Status SetConstant(const std::string& variable, const Value& value) {
    return SetConstantBytes(variable, std::as_bytes(std::span(&value, 1)));
  }
  // The same variable in the constants of another program; as it is here where those are of another size.
  template <class Value>
  Result<Value> ConstantIn(const std::string& variable, std::span<const std::byte> constants) const {
    auto offset = ConstantOffset(variable, sizeof(Value));
    if (!offset) return std::unexpected(offset.error());
    const std::vector<std::byte> own = Constants();
    Value value;
    std::memcpy(&value, (constants.size() == own.size() ? constants : std::span(own)).data() + *offset, sizeof(Value));
    return value;
  }
  Status UseMap(const std::string& map, const BpfMap& existing);
  Status Load();

  std::vector<std::string> MapNames() const;  // without those of variables
  std::vector<std::byte> Constants() const;   // of all `const volatile` variables, as they are loaded
  Result<MapShape> Shape(const std::string& map) const;
  Result<MapShape> InnerShape(const std::string& map) const;  // of the arrays in an array of maps

  // After Load().
  Result<BpfMap> Map(const std::string& map) const;  // a descriptor of its own
  Result<int> ProgramFd(const std::string& program) const;
  Result<UniqueFd> KeepProgram(const std::string& program) const;  // a descriptor of its own
  Result<BpfMap> ConstantsMap() const;
  Result<ProgramIdentity> Identify(const std::string& program) const;

  bpf_object* raw() const { return object_.get(); }  // for xdp.cc
  const std::string& name() const { return name_; }

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  Result<size_t> ConstantOffset(const std::string& variable, size_t bytes) const;
  Status SetConstantBytes(const std::string& variable, std::span<const std::byte> value);
  Result<bpf_map*> Find(const std::string& map) const;
  bpf_map* FindConstants() const;  // null if there are none
  std::string name_;
  std::unique_ptr<bpf_object, Close> object_;
  std::map<std::string, MapShape> inner_shapes_;  // by outer map; libbpf forgets them when it loads
};

// Runs an XDP program once on a frame as if it came in by the interface, and returns the frame as the program left
// it. `room_bytes`: how much longer it may have become.
Result<TestRun> RunXdpProgram(int program_fd, std::span<const std::byte> frame, uint32_t ingress_ifindex,
                              size_t room_bytes);

}  // namespace shunt
