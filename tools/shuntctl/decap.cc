// SPDX-License-Identifier: Apache-2.0
// shuntctl decap attach|detach|show: on a real, without a daemon.
#include "userspace/bpf/decap.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/table.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"

namespace shunt::ctl {
namespace {

constexpr const char* kStatusJson = R"({"interface", "mode": "native", "vips": [{"address", "packets", "bytes"}]})";

struct DecapWords {
  std::string interface;
  std::vector<std::string> vips;
  std::string mode = "auto";
};

void PrintStatus(const Session& session, const std::string& interface, const DecapStatus& status) {
  const char* mode = status.native ? "native" : "generic";
  if (session.json()) {
    Json vips = Json::array();
    for (const auto& [address, count] : status.vips) {
      vips.push_back({{"address", address.ToString()}, {"packets", count.packets}, {"bytes", count.bytes}});
    }
    Print(ToText({{"interface", interface}, {"mode", mode}, {"vips", std::move(vips)}}));
    return;
  }
  Table table({{"VIP ADDRESS"}, {"PACKETS", Table::Align::kRight}, {"BYTES", Table::Align::kRight}}, 2);
  for (const auto& [address, count] : status.vips) {
    table.Add({address.ToString(), Grouped(count.packets), Grouped(count.bytes)});
  }
  Print(fmt::format("{}  {} XDP\n{}", Styled(interface, Style::kBold, session.colour), mode,
                    table.Render(session.colour)));
}

Status Attach(const Session& session, const DecapWords& given) {
  Words words;
  std::vector<IpAddress> vips;
  for (const std::string& vip : given.vips) vips.push_back(words.Read(IpAddress::Parse(vip)));
  constexpr XdpMode kModes[] = {XdpMode::kAuto, XdpMode::kNative, XdpMode::kGeneric};
  const XdpMode mode = kModes[words.Choice("--mode", given.mode, {"auto", "native", "generic"})];
  if (const auto status = words.status(); !status) return status;
  const auto attached = Decap().Attach(given.interface, vips, mode);
  if (!attached) return std::unexpected(attached.error());
  PrintStatus(session, given.interface, *attached);
  return {};
}

Status Show(const Session& session, const DecapWords& given) {
  const auto status = Decap().Show(given.interface);
  if (!status) return std::unexpected(status.error());
  PrintStatus(session, given.interface, *status);
  return {};
}

void AddInterface(CLI::App& verb, const std::shared_ptr<DecapWords>& words) {
  verb.add_option("--interface", words->interface, "where the encapsulated packets come in")
      ->required()
      ->type_name("IF");
}

}  // namespace

void AddDecapVerbs(CLI::App& app, Session& session) {
  CLI::App& group = *AddGroup(app, "decap", "On a real: take the outer header off in XDP (no daemon needed)");
  const auto words = std::make_shared<DecapWords>();
  CLI::App& attach = *AddVerb(group, session,
                              {"attach", "Take the outer header off packets to these VIPs, and to no others",
                               "shuntctl decap attach --interface=eth0 --vip=203.0.113.10,2001:db8::1", kStatusJson},
                              [&session, words] { return Attach(session, *words); });
  AddInterface(attach, words);
  attach.add_option("--vip", words->vips, "the VIPs' addresses")->required()->delimiter(',')->type_name("ADDR[,ADDR]");
  attach.add_option("--mode", words->mode, "where XDP runs; auto: native, or generic where the driver has none")
      ->type_name("auto|native|generic");
  AddInterface(
      *AddVerb(group, session,
               {"detach", "Leave the packets as they are again", "shuntctl decap detach --interface=eth0", nullptr},
               [words] { return Decap().Detach(words->interface); }),
      words);
  AddInterface(
      *AddVerb(group, session,
               {"show", "Show the VIPs and what was counted", "shuntctl decap show --interface=eth0", kStatusJson},
               [&session, words] { return Show(session, *words); }),
      words);
}

}  // namespace shunt::ctl
