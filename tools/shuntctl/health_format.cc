// SPDX-License-Identifier: Apache-2.0
#include "tools/shuntctl/health_format.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/settling.h"
#include "userspace/rpc/health_convert.h"

namespace shunt::ctl {
namespace {

using std::chrono::milliseconds;

struct Counts {
  int up = 0, judged = 0, unknown = 0;
};

// Works for v1::VipState and v1::VipHealth. Reals that drain are left out where that is known.
bool TakesPart(const v1::RealStatus& real) { return real.state() != v1::REAL_STATE_DRAIN; }
bool TakesPart(const v1::RealHealth&) { return true; }

template <class Vip>
Counts Count(const Vip& vip) {
  Counts counts;
  for (const auto& real : vip.reals()) {
    if (!TakesPart(real)) continue;
    if (real.health() == "up") ++counts.up;
    if (real.health() == "up" || real.health() == "down") ++counts.judged;
    if (real.health() == "unknown") ++counts.unknown;
  }
  return counts;
}

template <class Vip>
bool InPanic(const Vip& vip) {
  return !vip.mode().empty() && vip.mode() != Name(VipMode::kNormal);
}

template <class Vip>
std::string Words(const Vip& vip) {
  const auto [up, judged, unknown] = Count(vip);
  if (!InPanic(vip)) {
    std::vector<std::string> words;
    if (judged > 0 || unknown == 0) {
      words.push_back(fmt::format("{} of {} healthy ({:.0f} % of the weight)", up, judged, vip.healthy_percent()));
    }
    if (unknown > 0) words.push_back(fmt::format("{} not judged yet", unknown));
    if (vip.backups_used()) words.emplace_back("backups used");
    return fmt::format("{}", fmt::join(words, ", "));
  }
  const char* meaning = vip.mode() == Name(VipMode::kPanicOpen)     ? "all used"
                        : vip.mode() == Name(VipMode::kPanicClosed) ? "only these used"
                                                                    : "only these used, VIP withdrawn";
  return fmt::format("PANIC: {} of {} healthy, {}", up, judged, meaning);
}

std::string Interval(uint32_t ms) { return ms % 1000 == 0 ? Duration(ms / 1000) : fmt::format("{} ms", ms); }

// What the check asks, of those kinds that ask for something.
std::string Question(const v1::HealthCheck& check) {
  switch (check.kind()) {
    case v1::CHECK_KIND_HTTP:
    case v1::CHECK_KIND_HTTPS:
    case v1::CHECK_KIND_HTTP2:
      return fmt::format(" {} {}", check.has_method() ? check.method() : "GET", check.has_path() ? check.path() : "/");
    case v1::CHECK_KIND_GRPC:
      return check.grpc_service().empty() ? "" : " " + check.grpc_service();
    case v1::CHECK_KIND_DNS:
      return " " + (check.has_dns_name() ? check.dns_name() : std::string("."));
    case v1::CHECK_KIND_EXEC:
      return check.command().empty() ? "" : " " + check.command(0);
    default:
      return "";
  }
}

std::string Ago(uint64_t then_ms, UnixTime now) {
  const auto age = now - milliseconds(then_ms);
  return Duration(static_cast<uint64_t>(std::max<int64_t>(0, age.count() / 1000)));
}

Table::Cell NothingCell() { return {"-", Style::kDim}; }

Table::Cell HealthText(const std::string& health) {
  if (health.empty() || health == "unchecked") return NothingCell();
  const Style style = health == "down" ? Style::kBad : health == "up" ? Style::kPlain : Style::kDim;
  return {health, style};
}

Table::Cell LatencyCell(uint32_t us) {
  if (us == 0) return NothingCell();
  const double ms = us / 1000.0;
  return {ms < 10    ? fmt::format("{:.2f} ms", ms)
          : ms < 100 ? fmt::format("{:.1f} ms", ms)
                     : fmt::format("{:.0f} ms", ms)};
}

Table::Cell ProbeCell(const v1::RealHealth& real, UnixTime now) {
  if (real.checked_at_ms() == 0) return {"none yet", Style::kDim};
  const std::string ago = Ago(real.checked_at_ms(), now);
  return {fmt::format("{} {} ago", real.last_passed() ? "passed" : "failed", ago),
          real.last_passed() ? Style::kPlain : Style::kBad};
}

// Of a real on its way up also how many it takes, for flaps make them more. (Who has passed that many is up, or has
// just gone down: what was seen is told once a second.)
Table::Cell InRowCell(const v1::RealHealth& real) {
  if (real.checked_at_ms() == 0) return NothingCell();
  const bool rises = real.health() != "up" && real.last_passed() && real.in_row() < real.rise_needed();
  return {rises ? fmt::format("{} of {}", real.in_row(), real.rise_needed()) : std::to_string(real.in_row())};
}

// Causes hold words of servers and programs.
std::string OneLine(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return text;
}

std::string RealTable(const v1::VipHealth& vip, UnixTime now, bool colour) {
  constexpr Table::Align kRight = Table::Align::kRight;
  Table table({{"REAL"},
               {"HEALTH"},
               {"SINCE", kRight},
               {"LAST PROBE"},
               {"IN ROW", kRight},
               {"P50", kRight},
               {"P99", kRight},
               {"CAUSE"}},
              2);
  for (const v1::RealHealth& real : vip.reals()) {
    const bool failed = real.checked_at_ms() != 0 && !real.last_passed();
    table.Add({real.address(), HealthText(real.health()),
               real.since_ms() == 0 ? NothingCell() : Table::Cell(Ago(real.since_ms(), now)), ProbeCell(real, now),
               InRowCell(real), LatencyCell(real.latency_p50_us()), LatencyCell(real.latency_p99_us()),
               failed ? OneLine(real.last_cause()) : ""});
  }
  return table.Render(colour);
}

Style StyleOf(const std::string& kind) {
  for (const char* bad : {"real_down", "panic_entered", "events_missed"}) {
    if (kind == bad) return Style::kBad;
  }
  for (const char* good : {"real_up", "panic_left"}) {
    if (kind == good) return Style::kGood;
  }
  return Style::kPlain;
}

}  // namespace

std::string CheckName(v1::CheckKind kind) {
  constexpr std::string_view kPrefix = "CHECK_KIND_";
  std::string name = v1::CheckKind_Name(kind).substr(kPrefix.size());
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return name;
}

std::string CheckPhrase(const v1::HealthCheck& check) {
  return fmt::format("{}{}{} every {}{}", CheckName(check.kind()), Question(check),
                     check.has_port() && check.port() != 0 ? fmt::format(", port {},", check.port()) : "",
                     Interval(check.interval_ms()),
                     check.via() == v1::PROBE_VIA_DIRECT ? ", not through the tunnel" : "");
}

std::string FormatHealth(const v1::HealthState& state, UnixTime now, bool colour) {
  std::string out;
  for (const v1::VipHealth& vip : state.vips()) {
    if (!out.empty()) out += '\n';
    const Style style = InPanic(vip) ? Style::kBad : Style::kPlain;
    out += fmt::format("{}  {}; {}\n", Styled(vip.vip(), Style::kBold, colour), Styled(Words(vip), style, colour),
                       CheckPhrase(vip.check()));
    out += RealTable(vip, now, colour);
  }
  return out;
}

std::string FormatEvent(const v1::Event& event, bool colour) {
  const auto seconds = static_cast<std::time_t>(event.at_ms() / 1000);
  std::string line = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z  {}", fmt::gmtime(seconds), event.at_ms() % 1000,
                                 Styled(event.kind(), StyleOf(event.kind()), colour));
  for (const std::string* part : {&event.vip(), &event.real(), &event.interface()}) {
    if (!part->empty()) line += ' ' + *part;
  }
  if (!event.cause().empty()) line += ": " + OneLine(event.cause());
  return line + '\n';
}

bool IsChecked(const v1::VipState& vip) { return !vip.check().empty() && vip.check() != "none"; }
bool IsInPanic(const v1::VipState& vip) { return InPanic(vip); }
std::string HealthWords(const v1::VipState& vip) { return Words(vip); }

bool IsAllWell(const v1::VipState& vip) {
  const auto [up, judged, unknown] = Count(vip);
  return !InPanic(vip) && up == judged && unknown == 0 && !vip.backups_used();
}

Table::Cell HealthCell(const v1::VipState& vip) {
  if (!IsChecked(vip)) return NothingCell();
  const auto [up, judged, unknown] = Count(vip);
  std::string text = fmt::format("{} of {}", up, judged);
  if (IsInPanic(vip)) return {"PANIC " + text, Style::kBad};
  return {std::move(text), up < judged ? Style::kBad : Style::kPlain};
}

Table::Cell HealthCell(const v1::RealStatus& real) { return HealthText(real.health()); }

Table::Cell StateCell(const v1::RealStatus& real) {
  std::vector<std::string> words{std::string(Name(real.state()))};
  const bool drains = real.state() == v1::REAL_STATE_DRAIN;
  if (drains && real.has_drain_seconds()) words.back() += fmt::format(" ≤ {}", Duration(real.drain_seconds()));
  if (real.backup()) words.emplace_back("backup");
  if (real.has_canary_percent()) words.push_back(fmt::format("canary {} %", real.canary_percent()));
  if (!real.group().empty()) words.push_back("group " + real.group());
  if (real.has_climb_percent()) words.push_back(fmt::format("climbs: {} %", real.climb_percent()));
  return {fmt::format("{}", fmt::join(words, ", ")), drains ? Style::kDim : Style::kPlain};
}

}  // namespace shunt::ctl
