// SPDX-License-Identifier: Apache-2.0
// shuntctl stats [--watch[=SECONDS]]
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {
namespace {

using Clock = std::chrono::steady_clock;

struct StatsWords {
  std::string watch;  // empty = once
};

// Until the user interrupts it, nobody reads any more, or the daemon goes.
Status Watch(const Session& session, Client& client, v1::State before, std::chrono::seconds interval) {
  OutliveReader();
  auto taken_before = Clock::now();
  for (;;) {
    std::this_thread::sleep_until(taken_before + interval);
    auto state = client.GetState();
    if (!state) return std::unexpected(state.error());
    const auto taken = Clock::now();
    const double seconds = std::chrono::duration<double>(taken - taken_before).count();
    if (session.json()) {
      Print(ToLine(RatesToJson(before, *state, seconds)));
    } else {
      // On a terminal each sample replaces the one before.
      if (isatty(STDOUT_FILENO) == 1) Print("\033[H\033[2J");
      Print(FormatRates(before, *state, seconds, session.colour) + '\n');
    }
    const auto is_read = Deliver();
    if (!is_read) return std::unexpected(is_read.error());
    if (!*is_read) return {};
    before = std::move(*state);
    taken_before = taken;
  }
}

Status Stats(const Session& session, const StatsWords& given) {
  Words words;
  const uint32_t interval = given.watch.empty() ? 0 : words.Number("--watch", given.watch, 1, 86400);
  if (const auto status = words.status(); !status) return status;
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  auto state = (*client)->GetState();
  if (!state) return std::unexpected(state.error());
  if (interval > 0) return Watch(session, **client, std::move(*state), std::chrono::seconds(interval));
  Print(session.json() ? ToText(StatsToJson(*state)) : FormatStats(*state, session.colour));
  return {};
}

}  // namespace

void AddStats(CLI::App& app, Session& session) {
  const auto words = std::make_shared<StatsWords>();
  CLI::App& verb = *AddVerb(
      app, session,
      {"stats", "Flows and traffic of every VIP and real: packets, inner bytes, new flows", "shuntctl stats --watch=2",
       R"({"vips": [{"vip", "packets", "bytes", "new_flows", "flows", "new_flows_per_second",
             "reals": [{"address", "packets", "bytes", "new_flows", "flows", "new_flows_per_second"}]}]}
  flows: different ones of the last 10 to 20 seconds, estimated (standard error 9 %); null: not known
  with --watch one line per sample: "seconds" beside "vips"; packets_per_second and bytes_per_second, too,
  beside the counts, and every rate is that of the time between two samples)"},
      [&session, words] { return Stats(session, *words); });
  verb.add_flag("--watch{1}", words->watch, "go on, with rates, every SECONDS (1); --watch=SECONDS");
}

}  // namespace shunt::ctl
