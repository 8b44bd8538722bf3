// SPDX-License-Identifier: Apache-2.0
// shuntctl health [VIP] · health history REAL
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "tools/shuntctl/health_format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {
namespace {

constexpr const char* kHealthJson =
    R"({"vips": [{"vip", "check": {"kind", "via", "port", "interval_ms", "failing_interval_ms", "timeout_ms", "rise",
                      "fall", "phrase"},
             "mode": "normal|panic_open|panic_closed|withdrawn", "healthy_percent", "backups_used",
             "reals": [{"address", "health": "unknown|up|down", "since_ms", "checked_at_ms", "last_passed",
                        "last_cause", "in_row", "rise_needed", "flaps", "passed", "failed",
                        "latency_us": {"last", "average", "p50", "p90", "p99"}}]}],
   "probes": {"targets", "in_flight", "sockets", "started", "passed", "failed",
              "late_us": {"p50", "p99", "max"}}}
  times: milliseconds since 1970; null: not yet)";

struct HealthWordsGiven {
  std::string vip;
  std::string real;
};

UnixTime Now() { return std::chrono::duration_cast<UnixTime>(std::chrono::system_clock::now().time_since_epoch()); }

Status Show(const Session& session, const HealthWordsGiven& given) {
  Words words;
  v1::GetHealthRequest request;
  if (!given.vip.empty()) request.set_vip(VipText(words, given.vip));
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto health = (*client)->GetHealth(request);
  if (!health) return std::unexpected(health.error());
  Print(session.json() ? ToText(ToJson(*health)) : FormatHealth(*health, Now(), session.colour));
  if (!session.json() && health->vips().empty()) {
    Say(given.vip.empty()
            ? "No VIP has a health check. Give one: shuntctl vip set 203.0.113.10:443/tcp --check=tcp"
            : fmt::format("{0} has no health check. Give it one: shuntctl vip set {0} --check=tcp", request.vip()));
  }
  return {};
}

Status History(const Session& session, const HealthWordsGiven& given) {
  Words words;
  v1::EventsRequest request;
  request.set_real(AddressText(words, given.real));
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto events = (*client)->ListEvents(request);
  if (!events) return std::unexpected(events.error());
  for (const v1::Event& event : events->events()) {
    Print(session.json() ? ToLine(ToJson(event)) : FormatEvent(event, session.colour));
  }
  if (!session.json() && events->events().empty()) {
    Say(fmt::format("Nothing has happened to {} since shuntd started.", request.real()));
  }
  return {};
}

}  // namespace

void AddHealthVerbs(CLI::App& app, Session& session) {
  const auto words = std::make_shared<HealthWordsGiven>();
  CLI::App& health =
      *AddVerb(app, session,
               {"health", "What the health checks of one VIP or of all see",
                "shuntctl health 203.0.113.10:443/tcp\n  shuntctl health history 10.0.0.11", kHealthJson},
               [&session, words] { return Show(session, *words); });
  health.add_option("VIP", words->vip, "only this VIP");
  AddVerb(health, session,
          {"history", "What happened to a real, the oldest first", "shuntctl health history 10.0.0.11",
           R"(a line for each: {"id", "at_ms", "kind", "vip", "real", "cause"})"},
          [&session, words] { return History(session, *words); })
      ->add_option("REAL", words->real, "the real's address")
      ->required();
}

}  // namespace shunt::ctl
