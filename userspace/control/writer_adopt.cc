// SPDX-License-Identifier: Apache-2.0
// The writer's start: the store, and what the data plane holds already.
#include <fmt/format.h>
#include <glog/logging.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "userspace/control/next_hop_notes.h"
#include "userspace/control/planner.h"
#include "userspace/control/writer.h"
#include "userspace/control/writes.h"
#include "userspace/model/store_file.h"

namespace shunt {
namespace {

// At the start every real is new, and running flows may depend on any of them.
constexpr std::chrono::milliseconds kFirstPatience{1000};

Result<HashKey> MakeHashKey() {
  HashKey key{};
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return FailErrno("making a hash key", errno);
  }
  return key;
}

// Nobody is taken to be down, or up, who was not: what served is up until it is judged. Only a real that was not there
// begins as its check says.
Health AdoptedHealth(const PlannedVip* installed, const IpAddress& address, const HealthCheck& check) {
  if (installed != nullptr) {
    const auto found =
        std::ranges::find_if(installed->reals, [&](const auto& real) { return real.second.address == address; });
    if (found != installed->reals.end()) return found->second.serves ? Health::kUp : Health::kDown;
  }
  return check.initially_up ? Health::kUp : Health::kUnknown;
}

Liveness AdoptedLiveness(const DesiredState& desired, const Plan& installed) {
  Liveness liveness;
  for (const auto& [key, vip] : desired.vips) {
    const HealthCheck& check = vip.health ? *vip.health : desired.defaults.health;
    if (check.kind == CheckKind::kNone) continue;
    const auto found = installed.vips.find(key);
    const PlannedVip* known = found == installed.vips.end() ? nullptr : &found->second;
    auto& reals = liveness[key];
    for (const auto& [address, real] : vip.reals) reals[address] = AdoptedHealth(known, address, check);
  }
  return liveness;
}

}  // namespace

Result<DesiredState> Writer::LoadOrCreateStore() {
  RemoveStoreLeftovers(store_path_);
  auto loaded = LoadStore(store_path_, dataplane_.capacities());
  if (!loaded && loaded.error().kind == ErrorKind::kNotFound) loaded = LoadedStore{};
  if (!loaded) return std::unexpected(loaded.error());
  store_identity_ = loaded->identity;
  FillFromForce({}, loaded->state);
  if (loaded->state.hash_key != HashKey{}) return std::move(loaded->state);
  const auto key = MakeHashKey();
  if (!key) return std::unexpected(key.error());
  loaded->state.hash_key = *key;
  if (auto saved = Save(loaded->state); !saved) return std::unexpected(saved.error());
  LOG(INFO) << store_path_ << ": made a hash key; every balancer of the same VIPs needs the same one";
  return std::move(loaded->state);
}

// Without a history, or with one that cannot be read, packets are forwarded all the same.
void Writer::OpenHistory(const DesiredState& in_force) {
  const std::string problem = generations_.Open(in_force, now_());
  if (!problem.empty()) LOG(WARNING) << "the history of " << store_path_ << ": " << problem;
  if (auto resumed = pending_.Resume(in_force, now_()); !resumed) {
    LOG(WARNING) << "a change that may wait to be confirmed will not be taken back by itself: "
                 << resumed.error().message;
  }
  if (const auto& waiting = pending_.waiting()) {
    LOG(WARNING) << fmt::format(
        "generation {} of the store waits to be confirmed: back to generation {} in {} s, unless shuntctl confirm "
        "comes",
        generations_.current(), waiting->back_to,
        std::chrono::ceil<std::chrono::seconds>(waiting->deadline - now_()).count());
  }
}

Status Writer::Adopt() {
  auto desired = LoadOrCreateStore();
  if (!desired) return std::unexpected(desired.error());
  const auto installed = ReadPlan();
  if (!installed) return std::unexpected(installed.error());
  auto next_hops = Resolve(*desired, kFirstPatience);
  if (!next_hops) return std::unexpected(next_hops.error());

  // What is not desired any more goes first: how long its ids have to rest is not known here, but once its flows are
  // forgotten nothing names them.
  Plan kept{.vips = installed->vips, .resting = {}};
  std::erase_if(kept.vips, [&](const auto& vip) { return !desired->vips.contains(vip.first); });
  HealthInForce health{.liveness = AdoptedLiveness(*desired, *installed), .climbs = {}, .weights = {}};
  health.weights = WeighVips(*desired, health.liveness, health.climbs, now_());
  auto plan = MakePlan({.desired = *desired,
                        .weights = health.weights,
                        .next_hops = *next_hops,
                        .capacities = dataplane_.capacities(),
                        .now = now_()},
                       kept);
  if (!plan) return std::unexpected(plan.error());
  Status written = Execute(OrderWrites(*installed, kept), kept, dataplane_);
  if (written) written = Execute(OrderWrites(kept, *plan), *plan, dataplane_);
  if (written) written = dataplane_.ForgetFlowsExcept(*plan);
  if (!written) {
    if (auto reverted = Revert(*plan, *installed, dataplane_); !reverted) {
      return Fail(written.error().kind, fmt::format("{}\nputting the data plane back: {}", written.error().message,
                                                    reverted.error().message));
    }
    return written;
  }
  follows_current_ = true;
  sweeper_.NotePlan(now_());
  LogNextHops({}, *next_hops);
  OpenHistory(*desired);
  Publish({.desired = std::move(*desired),
           .plan = std::move(*plan),
           .next_hops = std::move(*next_hops),
           .liveness = health.liveness,
           .weights = health.weights,
           .generation = current_->generation + 1});
  health_.Replace(std::move(health));
  return {};
}

}  // namespace shunt
