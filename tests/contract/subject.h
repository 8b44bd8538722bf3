// SPDX-License-Identifier: Apache-2.0
// The two data planes under contract, and how tests speak to either: by Dataplane alone, results asserted.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string_view>

#include "tests/dataplane/frames.h"
#include "tests/dataplane/plans.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/dataplane/verdict.h"

namespace shunt::test {

// `flow_entries_per_second`: how many entries packets may make in the flow table (the kernel's: on each CPU).
struct InMemory {
  static std::unique_ptr<Dataplane> Open(const Capacities& capacities, uint32_t flow_entries_per_second = UINT32_MAX) {
    auto dataplane = std::make_unique<MemoryDataplane>(capacities);
    dataplane->set_flow_entries_per_second(flow_entries_per_second);
    return dataplane;
  }
};

struct InKernel {
  static std::unique_ptr<Dataplane> Open(const Capacities& capacities, uint32_t flow_entries_per_second = UINT32_MAX) {
    auto opened = KernelDataplane::OpenPrivate(capacities, 2, flow_entries_per_second);
    INFO((opened ? "" : opened.error().message));
    REQUIRE(opened);
    return std::move(*opened);
  }
};

inline constexpr Capacities kSmall{.max_vips = 8, .max_reals = 64, .max_flows = 4096};

inline void Must(const Status& status) {
  INFO((status ? "" : status.error().message));
  REQUIRE(status);
}

template <class T>
T Must(Result<T> result) {
  INFO((result ? "" : result.error().message));
  REQUIRE(result);
  return std::move(*result);
}

// The error names the object and is the caller's fault.
inline void MustRefuse(const Status& status, std::string_view object) {
  REQUIRE_FALSE(status);
  CHECK_THAT(status.error().message, Catch::Contains(std::string(object)));
  CHECK(status.error().kind == ErrorKind::kInvalid);
}

// What the data plane holds of a plan, without the planner's memory.
inline void MustHold(Dataplane& dataplane, const Plan& expected) {
  const Plan held = Must(dataplane.Read());
  CHECK(held.resting.vip_ids.empty());
  CHECK(held.resting.real_indices.empty());
  CHECK(held.resting.ranges.empty());
  REQUIRE(held.vips.size() == expected.vips.size());
  for (const auto& [key, vip] : expected.vips) {
    INFO(key.ToString());
    REQUIRE(held.vips.contains(key));
    const PlannedVip& found = held.vips.at(key);
    CHECK(found.entry == vip.entry);
    CHECK(*found.ring == *vip.ring);
    CHECK(found.reals == vip.reals);
    CHECK(found.unsettled.empty());
  }
}

// The last byte of the outer destination of a packet that is sent: which real it goes to, as plans number their
// addresses.
inline int RealOf(Dataplane& dataplane, const PacketSpec& packet) {
  const FrameResult result = Must(dataplane.RunFrame(BuildFrame(packet), kIngress));
  REQUIRE(VerdictOf(result.verdict).name == "TX_ENCAPSULATED");
  return result.frame.at(Get16(result.frame, 12) == 0x0800 ? 33 : 53);
}

inline std::string_view VerdictOn(Dataplane& dataplane, const PacketSpec& packet) {
  return VerdictOf(Must(dataplane.RunFrame(BuildFrame(packet), kIngress)).verdict).name;
}

inline Traffic VipTraffic(Dataplane& dataplane, uint32_t id) {
  return Must(dataplane.ReadVipTraffic(std::span(&id, 1))).front();
}

inline Traffic RealTraffic(Dataplane& dataplane, uint32_t entry) {
  return Must(dataplane.ReadRealTraffic(std::span(&entry, 1))).front();
}

}  // namespace shunt::test
