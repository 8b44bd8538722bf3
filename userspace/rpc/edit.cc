// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/edit.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "userspace/base/text.h"
#include "userspace/model/announce_proto.h"
#include "userspace/model/config_proto.h"

namespace shunt {
namespace {

struct NamedVip {
  VipKey key;
  Vip vip;
};

// One VIP goes through the same conversion as a whole configuration, so that both refuse the same things.
Result<NamedVip> ParseVip(const v1::Vip& vip) {
  v1::Config config;
  *config.add_vips() = vip;
  DesiredState parsed;
  std::string problems;
  for (const Problem& problem : FromProto(config, parsed)) {
    // The positions (vips[0].reals[0].weight) mean nothing to who asked for one VIP: the key is enough.
    const size_t position = problem.path.rfind("].");
    const std::string_view key = std::string_view(problem.path).substr(position + 2);
    const bool names_itself = (key == "vip" || key == "address") && !problem.message.starts_with("missing");
    problems += fmt::format("{}{}{}{}", problems.empty() ? "" : "\n", names_itself ? "" : key, names_itself ? "" : ": ",
                            problem.message);
  }
  if (!problems.empty()) return Fail(ErrorKind::kInvalid, std::move(problems));
  const auto& [key, value] = *parsed.vips.begin();
  return NamedVip{key, value};
}

struct NamedReal {
  VipKey vip;
  IpAddress address;
  Real real;
};

Result<NamedReal> ParseReal(const std::string& vip_text, const v1::Real& real) {
  v1::Vip vip;
  vip.set_vip(vip_text);
  *vip.add_reals() = real;
  const auto parsed = ParseVip(vip);
  if (!parsed) return std::unexpected(parsed.error());
  const auto& [address, value] = *parsed->vip.reals.begin();
  return NamedReal{parsed->key, address, value};
}

Result<Vip*> FindVip(DesiredState& state, const VipKey& key) {
  const auto found = state.vips.find(key);
  if (found != state.vips.end()) return &found->second;
  return Fail(ErrorKind::kNotFound, fmt::format("no VIP {0}; add it first: shuntctl vip add {0}", key.ToString()));
}

Result<Real*> FindReal(DesiredState& state, const VipKey& key, const IpAddress& address) {
  const auto vip = FindVip(state, key);
  if (!vip) return std::unexpected(vip.error());
  const auto found = (*vip)->reals.find(address);
  if (found != (*vip)->reals.end()) return &found->second;
  return Fail(ErrorKind::kNotFound, fmt::format("VIP {0} has no real {1}; add it first: shuntctl real add {0} {1}",
                                                key.ToString(), address.ToString()));
}

// Puts what is present onto the VIP's own check, or onto the one in force, which then is its own.
Status SetHealth(const DesiredState& state, const v1::HealthCheck& health, Vip& vip) {
  if (IsDefaultAgain(health)) {
    v1::HealthCheck rest = health;
    rest.clear_kind();
    if (rest.ByteSizeLong() > 0) {
      return Fail(ErrorKind::kInvalid, "health: the check of the defaults is taken as it is; give it no settings");
    }
    vip.health.reset();
    return {};
  }
  HealthCheck check = EffectiveSettings(state, vip).health;
  std::vector<Problem> found;
  FromProto(health, "health", check, found);
  std::string problems;
  for (const Problem& problem : found) problems += (problems.empty() ? "" : "\n") + problem.ToString();
  if (!problems.empty()) return Fail(ErrorKind::kInvalid, std::move(problems));
  vip.health = std::move(check);
  return {};
}

void SetHealthSettings(const v1::Vip& message, const Vip& parsed, Vip& vip) {
  if (message.has_panic_percent()) vip.panic_percent = parsed.panic_percent;
  if (message.has_panic_action()) vip.panic_action = parsed.panic_action;
  if (message.has_slow_start_seconds()) vip.slow_start_seconds = parsed.slow_start_seconds;
  if (message.has_slow_start_exponent()) vip.slow_start_exponent = parsed.slow_start_exponent;
  if (message.has_backup_below_percent()) vip.backup_below_percent = parsed.backup_below_percent;
  if (message.has_ring_changes_per_second()) vip.ring_changes_per_second = parsed.ring_changes_per_second;
  if (message.has_active_group()) vip.active_group = parsed.active_group;
}

}  // namespace

Status AddVip(DesiredState& state, const v1::Vip& vip) {
  auto parsed = ParseVip(vip);
  if (!parsed) return std::unexpected(parsed.error());
  if (!state.vips.try_emplace(parsed->key, std::move(parsed->vip)).second) {
    return Fail(ErrorKind::kExists,
                fmt::format("VIP {0} exists; change it with: shuntctl vip set {0}", parsed->key.ToString()));
  }
  return {};
}

Status SetVip(DesiredState& state, const v1::Vip& vip) {
  if (vip.reals_size() > 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("VIP {}: its reals are changed one by one, with AddReal and SetReal", Quote(vip.vip())));
  }
  const auto parsed = ParseVip(vip);
  if (!parsed) return std::unexpected(parsed.error());
  const auto found = FindVip(state, parsed->key);
  if (!found) return std::unexpected(found.error());
  if (vip.has_health()) {
    if (const auto status = SetHealth(state, vip.health(), **found); !status) return status;
  }
  if (vip.has_tracking()) (*found)->tracking = parsed->vip.tracking;
  if (vip.has_ring_size()) (*found)->ring_size = parsed->vip.ring_size;
  if (vip.has_outer_ttl()) (*found)->outer_ttl = parsed->vip.outer_ttl;
  if (vip.has_udp_idle_seconds()) (*found)->udp_idle_seconds = parsed->vip.udp_idle_seconds;
  if (vip.has_tcp_settle_seconds()) (*found)->tcp_settle_seconds = parsed->vip.tcp_settle_seconds;
  if (vip.has_quic()) (*found)->quic = parsed->vip.quic;
  SetHealthSettings(vip, parsed->vip, **found);
  std::vector<Problem> refused_already;  // by ParseVip()
  if (vip.has_announce()) FromProto(vip.announce(), "announce", (*found)->announce, refused_already);
  return {};
}

Status RemoveVip(DesiredState& state, const std::string& vip) {
  const auto key = VipKey::Parse(vip);
  if (!key) return std::unexpected(key.error());
  if (state.vips.erase(*key) == 0) {
    return Fail(ErrorKind::kNotFound, fmt::format("no VIP {}; what there is: shuntctl vip list", key->ToString()));
  }
  return {};
}

Status AddReal(DesiredState& state, const v1::RealRequest& request) {
  const auto parsed = ParseReal(request.vip(), request.real());
  if (!parsed) return std::unexpected(parsed.error());
  const auto vip = FindVip(state, parsed->vip);
  if (!vip) return std::unexpected(vip.error());
  if (!(*vip)->reals.try_emplace(parsed->address, parsed->real).second) {
    return Fail(ErrorKind::kExists,
                fmt::format("VIP {0} has real {1} already; change it with: shuntctl real set {0} {1}",
                            parsed->vip.ToString(), parsed->address.ToString()));
  }
  return {};
}

Status SetReal(DesiredState& state, const v1::RealRequest& request) {
  const auto parsed = ParseReal(request.vip(), request.real());
  if (!parsed) return std::unexpected(parsed.error());
  const auto real = FindReal(state, parsed->vip, parsed->address);
  if (!real) return std::unexpected(real.error());
  const v1::Real& given = request.real();
  if (given.has_weight()) (*real)->weight = parsed->real.weight;
  if (given.has_state()) {
    (*real)->state = parsed->real.state;
    if (parsed->real.state == RealState::kActive) (*real)->drain_seconds.reset();
  }
  if (given.has_drain_seconds()) (*real)->drain_seconds = parsed->real.drain_seconds;
  if (given.has_backup()) (*real)->backup = parsed->real.backup;
  if (given.has_canary_percent()) (*real)->canary_tenths = parsed->real.canary_tenths;
  if (given.has_group()) (*real)->group = parsed->real.group;
  return {};
}

Status RemoveReal(DesiredState& state, const v1::RemoveRealRequest& request) {
  v1::Real named;
  named.set_address(request.address());
  const auto parsed = ParseReal(request.vip(), named);
  if (!parsed) return std::unexpected(parsed.error());
  const auto found = state.vips.find(parsed->vip);
  if (found == state.vips.end() || found->second.reals.erase(parsed->address) == 0) {
    return Fail(ErrorKind::kNotFound, fmt::format("VIP {} has no real {}; what there is: shuntctl real list",
                                                  parsed->vip.ToString(), parsed->address.ToString()));
  }
  return {};
}

Status SetHost(DesiredState& state, const v1::Host& host) {
  v1::Config message;
  *message.mutable_host() = host;
  const auto parsed = DesiredStateOf(message);
  if (!parsed) return std::unexpected(parsed.error());
  if (!parsed->host) return Fail(ErrorKind::kInvalid, "host.state: missing; expected serve or drain");
  state.host = parsed->host;
  return {};
}

Result<DesiredState> DesiredStateOf(const v1::Config& config) {
  DesiredState state;
  std::string problems;
  for (const Problem& problem : FromProto(config, state)) {
    problems += (problems.empty() ? "" : "\n") + problem.ToString();
  }
  if (!problems.empty()) return Fail(ErrorKind::kInvalid, std::move(problems));
  return state;
}

}  // namespace shunt
