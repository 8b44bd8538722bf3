// SPDX-License-Identifier: Apache-2.0
// shuntctl drain-host [--wait=TIME], undrain-host
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/table.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/control/traffic_watch.h"

namespace shunt::ctl {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr uint32_t kMaxWaitSeconds = 3600;
constexpr seconds kCount{1};  // between two counts of packets

struct HostWords {
  std::string wait;  // empty: not at all
};

struct Departure {
  bool is_over = false;
  double packets_per_second = 0;
  double waited_seconds = 0;
};

v1::HostRequest RequestOf(v1::HostState state) {
  v1::HostRequest request;
  request.mutable_host()->set_state(state);
  return request;
}

uint64_t PacketsForVips(const v1::Verdicts& verdicts) {
  uint64_t packets = 0;
  for (const v1::VerdictCount& verdict : verdicts.verdicts()) {
    if (verdict.action() != "XDP_PASS") packets += verdict.packets();
  }
  return packets;
}

// On a terminal one line that is written again and again; else nothing.
void ShowProgress(std::string_view text) {
  if (!StderrIsTerminal()) return;
  std::fputs(fmt::format("\r{}\033[K", text).c_str(), stderr);
  std::fflush(stderr);
}

// Until traffic is gone or the time is up.
Result<Departure> AwaitDeparture(Client& client, seconds limit) {
  const auto start = steady_clock::now();
  TrafficWatch watch;
  for (auto now = start;; now = steady_clock::now()) {
    const auto verdicts = client.GetVerdicts();
    if (!verdicts) return std::unexpected(verdicts.error());
    watch.Note(PacketsForVips(*verdicts), now);
    const Departure seen{.is_over = watch.gone(),
                         .packets_per_second = watch.packets_per_second(),
                         .waited_seconds = std::chrono::duration<double>(now - start).count()};
    if (seen.is_over || now - start >= limit) {
      ShowProgress("");
      return seen;
    }
    if (now != start) {
      const auto left = std::chrono::ceil<seconds>(limit - (now - start)).count();
      ShowProgress(
          fmt::format("draining: {:.0f} packets per second still come, {} s left", seen.packets_per_second, left));
    }
    std::this_thread::sleep_until(std::min(now + kCount, start + limit));
  }
}

void PrintDrain(const Session& session, const v1::ChangeReply& reply, const Departure& departure) {
  if (!session.json()) {
    if (departure.is_over)
      Say(fmt::format("traffic is gone: no packet for a VIP for {} s", TrafficWatch::kQuiet.count()));
    return;
  }
  Json json = ToJson(reply, false);
  json["traffic_gone"] = departure.is_over;
  json["packets_per_second"] = departure.packets_per_second;
  json["waited_seconds"] = departure.waited_seconds;
  Print(ToText(json));
}

Status DrainAndWait(const Session& session, seconds limit) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto reply = (*client)->SetHost(RequestOf(v1::HOST_STATE_DRAIN));
  if (!reply) return std::unexpected(reply.error());
  if (!session.json()) {
    Print(FormatChanges(*reply, session.colour));
    std::fflush(stdout);
  }
  const auto departure = AwaitDeparture(**client, limit);
  if (!departure) return std::unexpected(departure.error());
  PrintDrain(session, *reply, *departure);
  if (departure->is_over) return {};
  return Fail(ErrorKind::kSystem,
              fmt::format("drain-host: {:.0f} packets per second still come after {} s; this host goes on draining",
                          departure->packets_per_second, limit.count()));
}

Status Drain(const Session& session, const HostWords& given) {
  Words words;
  const uint32_t wait = given.wait.empty() ? 0 : words.Seconds("--wait", given.wait, 1, kMaxWaitSeconds);
  if (const auto status = words.status(); !status) return status;
  if (wait > 0) return DrainAndWait(session, seconds(wait));
  return PrintChange(session, [](Client& client) { return client.SetHost(RequestOf(v1::HOST_STATE_DRAIN)); });
}

Status Undrain(const Session& session) {
  return PrintChange(session, [](Client& client) { return client.SetHost(RequestOf(v1::HOST_STATE_SERVE)); });
}

}  // namespace

void AddHostVerbs(CLI::App& app, Session& session) {
  const auto words = std::make_shared<HostWords>();
  AddVerb(app, session,
          {"drain-host", "Say that this host's VIPs are not to be announced; packets that come are still balanced",
           "shuntctl drain-host --wait=60s",
           R"({"changes": ["~ host …"], "warnings": ["…"], "dry_run": false}
  with --wait also "traffic_gone", "packets_per_second" (that still came at the end), "waited_seconds")"},
          [&session, words] { return Drain(session, *words); })
      ->add_option("--wait", words->wait,
                   "until no packet for a VIP has come for 3 s (exit status 0), or so long (1); 1s to 1h")
      ->type_name("TIME");
  AddVerb(app, session,
          {"undrain-host", "Say that this host's VIPs may be announced again", "shuntctl undrain-host",
           R"({"changes": ["~ host …"], "warnings": ["…"], "dry_run": false})"},
          [&session] { return Undrain(session); });
}

}  // namespace shunt::ctl
