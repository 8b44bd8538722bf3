// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "userspace/dataplane/probe_mark.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kOuterIpv4Bytes = 20;
constexpr uint32_t kOuterIpv6Bytes = 40;

bool SpeaksHttp(CheckKind kind) {
  return kind == CheckKind::kHttp || kind == CheckKind::kHttps || kind == CheckKind::kHttp2;
}

bool SpeaksTls(const HealthCheck& check) {
  if (check.kind == CheckKind::kHttp2 || check.kind == CheckKind::kGrpc) return check.tls;
  return check.kind == CheckKind::kHttps || check.kind == CheckKind::kTls;
}

// What belongs to the kind of check and makes the answer another one; the rest is as in HealthCheck{}.
HealthCheck QuestionOf(const HealthCheck& check) {
  HealthCheck question;
  question.kind = check.kind;
  if (SpeaksHttp(check.kind)) {
    question.method = check.method;
    question.path = check.path;
    question.status = check.status;
    question.body = check.body;
  }
  if (SpeaksHttp(check.kind) || SpeaksTls(check) || check.kind == CheckKind::kGrpc) question.host = check.host;
  if (SpeaksTls(check)) {
    question.tls = true;
    question.tls_verify = check.tls_verify;
    question.tls_name = check.tls_name;
    question.tls_ca = check.tls_ca;
    question.tls_certificate = check.tls_certificate;
    question.tls_key = check.tls_key;
  }
  switch (check.kind) {
    case CheckKind::kGrpc:
      question.grpc_service = check.grpc_service;
      break;
    case CheckKind::kUdp:
      question.send = check.send;
      question.expect = check.expect;
      break;
    case CheckKind::kDns:
      question.dns_name = check.dns_name;
      question.dns_type = check.dns_type;
      question.dns_expect = check.dns_expect;
      break;
    case CheckKind::kExec:
      question.command = check.command;
      question.user = check.user;
      break;
    default:
      break;
  }
  return question;
}

// A program finds its own way to the real, and is told of the VIP.
ProbeTarget TargetOf(const VipKey& vip, const IpAddress& real, const HealthCheck& check) {
  const bool exec = check.kind == CheckKind::kExec;
  const ProbeVia via = exec ? ProbeVia::kDirect : check.via;
  return {.real = real,
          .destination = exec || via == ProbeVia::kTunnel ? vip.address : real,
          .port = check.kind == CheckKind::kIcmp ? uint16_t{0}
                  : check.port != 0              ? check.port
                                                 : vip.port,
          .via = via,
          .check = QuestionOf(check)};
}

Subscriber SubscriberOf(const CheckedRealKey& key, const HealthCheck& check) {
  const uint32_t failing_ms = check.failing_interval_ms != 0 ? check.failing_interval_ms : check.interval_ms;
  return {.key = key,
          .rules = {.rise = check.rise, .fall = check.fall},
          .interval = milliseconds(check.interval_ms),
          .failing_interval = milliseconds(failing_ms),
          .timeout = milliseconds(check.timeout_ms),
          .jitter_percent = check.jitter_percent};
}

// How a probe's packets get into the tunnel of a real, or why they cannot.
struct Way {
  ProbeRoute route;
  std::string problem;
};

std::string NoNextHop(const Snapshot& snapshot, const IpAddress& real) {
  const auto found = snapshot.next_hops.find(real);
  const bool told = found != snapshot.next_hops.end() && !found->second.problem.empty();
  return fmt::format("no next hop: {}", told ? found->second.problem : "it is being looked up");
}

std::map<IpAddress, Way> WaysOf(const Snapshot& snapshot, const VipKey& vip) {
  std::map<IpAddress, Way> ways;
  const auto planned = snapshot.plan.vips.find(vip);
  if (planned == snapshot.plan.vips.end()) return ways;
  for (const auto& [index, real] : planned->second.reals) {
    if (!real.outer) continue;
    const uint32_t outer_bytes = real.address.family() == Family::kIpv4 ? kOuterIpv4Bytes : kOuterIpv6Bytes;
    const uint32_t mtu_bytes = real.outer->next_hop.mtu_bytes;
    ways[real.address].route = {.mark = ProbeMark(planned->second.entry.real_base + index),
                                .max_inner_bytes = mtu_bytes > outer_bytes ? mtu_bytes - outer_bytes : 1};
  }
  return ways;
}

struct Asker {
  Subscriber subscriber;
  Way way;
};

// Those who ask one question, by the probe they can share.
std::vector<std::vector<Asker>> Share(std::vector<Asker> askers) {
  const auto interval = [](const Asker& asker) { return asker.subscriber.shortest_interval(); };
  std::ranges::stable_sort(askers, {}, interval);
  std::vector<std::vector<Asker>> parts;
  for (Asker& asker : askers) {
    const auto part = std::ranges::find_if(parts, [&](const std::vector<Asker>& members) {
      return asker.subscriber.timeout <= interval(members.front());
    });
    if (part == parts.end()) {
      parts.emplace_back().push_back(std::move(asker));
    } else {
      part->push_back(std::move(asker));
    }
  }
  return parts;
}

WantedTarget MakeTarget(std::vector<Asker> askers) {
  WantedTarget target;
  std::ranges::sort(askers, {},
                    [](const Asker& asker) { return std::tie(asker.subscriber.timeout, asker.subscriber.key); });
  // Any way will do that leads there: they differ by VIP, not by real.
  const auto open = std::ranges::find_if(askers, [](const Asker& asker) { return asker.way.problem.empty(); });
  const Way& way = open == askers.end() ? askers.front().way : open->way;
  target.route = way.route;
  target.problem = way.problem;
  for (Asker& asker : askers) target.subscribers.push_back(std::move(asker.subscriber));
  return target;
}

}  // namespace

milliseconds WantedTarget::interval() const {
  return std::ranges::min(subscribers, {}, &Subscriber::interval).interval;
}

milliseconds WantedTarget::failing_interval() const {
  return std::ranges::min(subscribers, {}, &Subscriber::failing_interval).failing_interval;
}

uint32_t WantedTarget::jitter_percent() const {
  return std::ranges::min(subscribers, {}, &Subscriber::jitter_percent).jitter_percent;
}

TargetTable MakeTargets(const Snapshot& snapshot) {
  std::map<ProbeTarget, std::vector<Asker>> questions;
  for (const auto& [vip, settings] : snapshot.desired.vips) {
    const HealthCheck check = EffectiveSettings(snapshot.desired, settings).health;
    if (check.kind == CheckKind::kNone) continue;
    const auto ways = WaysOf(snapshot, vip);
    for (const auto& [real, ignored] : settings.reals) {
      ProbeTarget target = TargetOf(vip, real, check);
      Asker asker{.subscriber = SubscriberOf({vip, real}, check), .way = {}};
      if (target.via == ProbeVia::kTunnel) {
        const auto way = ways.find(real);
        asker.way = way != ways.end() ? way->second : Way{.route = {}, .problem = NoNextHop(snapshot, real)};
      }
      questions[std::move(target)].push_back(std::move(asker));
    }
  }
  TargetTable targets;
  for (auto& [question, askers] : questions) {
    uint32_t part = 0;
    for (auto& members : Share(std::move(askers))) {
      targets.emplace_hint(targets.end(), TargetKey{question, part++}, MakeTarget(std::move(members)));
    }
  }
  return targets;
}

}  // namespace shunt
