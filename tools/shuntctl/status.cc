// SPDX-License-Identifier: Apache-2.0
// shuntctl status [--peers=…]: what balancers of the same VIPs must have alike, and whether they have.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>

#include "tools/shuntctl/output.h"
#include "tools/shuntctl/peers.h"
#include "tools/shuntctl/verbs.h"

namespace shunt::ctl {
namespace {

constexpr const char* kStatusJson =
    R"({"hash_key_id", "generation", "host",
   "vips": [{"vip", "ring": "0123456789abcdef" | null, "settings", "moving_slots",
             "peers": {"HOST:PORT": "same|missing|only there|settings differ|ring differs" | null}}],
   "peers": [{"peer", "problem": null | "…", "host", "generation", "same_hash_key"}]}
  null: not here, or no answer)";

// A peer, and what is asked of it only when something differs.
struct Peer {
  PeerAnswer answer;
  std::unique_ptr<Client> client;
  std::optional<v1::Config> config;
  std::optional<v1::State> state;
};

Peer Ask(const Session& session, const std::string& address) {
  Peer peer;
  peer.answer.name = address;
  TlsTarget target = session.tls;
  target.address = address;
  auto client = Client::ConnectTls(target);
  auto digests = client ? (*client)->GetDigests() : Result<v1::Digests>(std::unexpected(client.error()));
  if (!digests) {
    peer.answer.problem = digests.error().message;
    return peer;
  }
  peer.answer.digests = std::move(*digests);
  peer.client = std::move(*client);
  return peer;
}

// What differs in a VIP, as lines; what could not be asked is one.
std::vector<std::string> Details(Client& own, Peer& peer, const std::string& vip, Difference difference) {
  std::vector<std::string> lines;
  const auto ask = [&](auto call, auto& kept) -> bool {
    if (kept) return true;
    auto answer = ((*peer.client).*call)();
    if (answer) kept = std::move(*answer);
    if (!answer) lines.push_back(answer.error().message);
    return kept.has_value();
  };
  if (difference == Difference::kSettings && ask(&Client::GetConfig, peer.config)) {
    if (const auto here = own.GetConfig()) lines = SettingsLines(vip, *here, *peer.config);
  } else if (difference == Difference::kRing && ask(&Client::GetState, peer.state)) {
    if (const auto here = own.GetState()) lines = RingLines(vip, *here, *peer.state);
    if (lines.empty()) lines.emplace_back("no real differs any more; ask again");
  }
  return lines;
}

void PrintDetails(Client& own, std::vector<Peer>& peers, const Comparison& comparison) {
  for (size_t i = 0; i < peers.size(); ++i) {
    if (!peers[i].answer.problem.empty()) Say(peers[i].answer.problem);
    for (const VipComparison& vip : comparison.vips) {
      for (const std::string& line : vip.peers[i] == Difference::kNone ? std::vector<std::string>{}
                                                                       : Details(own, peers[i], vip.vip, vip.peers[i]))
        Print(fmt::format("{} {}: {}\n", vip.vip, peers[i].answer.name, line));
    }
  }
}

Status ComparePeers(const Session& session) {
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  const auto own = (*client)->GetDigests();
  if (!own) return std::unexpected(own.error());
  std::vector<Peer> peers;
  std::vector<PeerAnswer> answers;
  for (const std::string& address : session.peers) {
    peers.push_back(Ask(session, address));
    answers.push_back(peers.back().answer);
  }
  const Comparison comparison = Compare(*own, answers);
  if (session.json()) {
    Print(ToText(ToJson(*own, answers, comparison)));
  } else {
    Print(FormatComparison(*own, answers, comparison, session.colour));
    PrintDetails(**client, peers, comparison);
  }
  if (!comparison.differs()) return {};
  return Fail(ErrorKind::kSystem, "status: the balancers differ, or one did not answer");
}

}  // namespace

void AddStatus(CLI::App& app, Session& session) {
  AddVerb(app, session,
          {"status", "Digests of each VIP's ring and settings, compared with those of other balancers of the same VIPs",
           "shuntctl status --peers=lb2.example.net:9870,lb3.example.net:9870 --tls-ca=ca.pem --tls-certificate=me.pem "
           "--tls-key=me.key",
           kStatusJson},
          [&session] { return ComparePeers(session); })
      ->add_option("--peers", session.peers,
                   "balancers that listen on TCP; exit status 1 when something differs or one does not answer")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("HOST:PORT,…");
}

}  // namespace shunt::ctl
