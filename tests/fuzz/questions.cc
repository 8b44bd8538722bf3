// SPDX-License-Identifier: Apache-2.0
// The API's questions that say more than a name: Explain (the first byte is even) and events (it is odd), as they came
// by gRPC. Each is refused with a message or answered: a walk with a verdict and its stages; the events of a log, in
// order, no more of them than asked for, none twice.
#include <glog/logging.h>

#include <algorithm>

#include "tests/fuzz/fuzzing.h"
#include "tests/fuzz/plan.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/rpc/event_reader.h"
#include "userspace/rpc/explain.h"
#include "userspace/rpc/health_convert.h"

namespace shunt {
namespace {

constexpr size_t kEvents = 40;  // some for each VIP and real of the plan
constexpr std::chrono::milliseconds kNoPatience{0};

struct World {
  MemoryDataplane dataplane{kFuzzCapacities};
  Snapshot snapshot;
  EventLog log;
};

World& TheWorld() {
  static World& world = *[] {
    FLAGS_minloglevel = google::GLOG_FATAL;
    auto* made = new World;
    made->snapshot.plan = FuzzPlan();
    Require(made->dataplane.SetVips(made->snapshot.plan).has_value(), "the plan is taken");
    for (const auto& [key, vip] : made->snapshot.plan.vips) {
      Vip& desired = made->snapshot.desired.vips[key];
      desired.health = HealthCheck{};
      desired.reals[vip.reals.begin()->second.address] = {};
      made->snapshot.liveness[key][vip.reals.begin()->second.address] = Health::kDown;
    }
    for (size_t i = 0; i < kEvents; ++i) {
      const auto vip = std::next(made->snapshot.plan.vips.begin(), static_cast<std::ptrdiff_t>(i % 4));
      Event event;
      event.kind = i % 2 == 0 ? "real_down" : "real_up";
      event.vip = vip->first.ToString();
      event.real = i % 3 == 0 ? "2001:db8::11" : "10.0.0.11";
      made->log.Add(std::move(event));
    }
    return made;
  }();
  return world;
}

void Explained(const v1::ExplainRequest& request) {
  World& world = TheWorld();
  const auto explanation = Explain(world.snapshot, world.dataplane, request);
  if (!explanation) return Require(!explanation.error().message.empty(), "a refusal says why");
  Require(!explanation->verdict().empty() && !explanation->action().empty(), "a walk ends with a verdict");
  Require(explanation->steps_size() > 0, "and tells how it got there");
  Require(explanation->real().empty() || !explanation->vip().empty(), "only a VIP has reals");
}

void Told(const v1::EventsRequest& request) {
  const auto filter = FilterOf(request);
  if (!filter) return Require(!filter.error().message.empty(), "a refusal says why");
  const World& world = TheWorld();
  const auto kept = KeptEvents(world.log, *filter, request.after_id(), request.limit());
  Require(kept.size() <= kEvents, "none is told twice");
  Require(request.limit() == 0 || kept.size() <= request.limit(), "no more than asked for");
  for (size_t i = 0; i < kept.size(); ++i) {
    Require(i == 0 || kept[i - 1].id() < kept[i].id(), "oldest first");
    Require(request.vip().empty() || kept[i].vip() == filter->vip, "of the VIP asked for");
    Require(request.real().empty() || kept[i].real() == filter->real, "of the real asked for");
  }
  EventReader reader(world.log, *filter, request);
  size_t read = 0;
  for (auto next = reader.Next(kNoPatience); !next.empty(); next = reader.Next(kNoPatience)) read += next.size();
  Require(read == (request.only_new() ? 0 : kept.size()), "who follows gets the same ones first");
}

template <class Request>
void Ask(const uint8_t* data, size_t size, void (*answer)(const Request&)) {
  Request request;
  if (request.ParseFromArray(data, static_cast<int>(size))) answer(request);
}

}  // namespace
}  // namespace shunt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    Ask(data + 1, size - 1, Explained);
  } else {
    Ask(data + 1, size - 1, Told);
  }
  return 0;
}
