// SPDX-License-Identifier: Apache-2.0
// What every verb shares: the global options, the connection, and the verb that was chosen. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/shuntctl/client.h"
#include "userspace/base/result.h"

namespace CLI {
class App;
}

namespace shunt::ctl {

inline constexpr const char* kDefaultSocket = "/run/shunt/shuntd.sock";

struct Session {
  std::string output = "table";  // or "json"
  std::string socket = kDefaultSocket;
  TlsTarget tls;                   // no address: the socket is meant
  std::vector<std::string> peers;  // HOST:PORT; asked with the files of `tls`, too
  bool colour = false;
  std::function<Status()> action;  // of the verb on the command line

  bool json() const { return output == "json"; }
};

// One verb: a subcommand of `parent` with its description, its example and what its JSON looks like. `action`
// runs once the whole command line is known to be right.
struct VerbText {
  const char* name;
  const char* description;
  const char* example;
  const char* json;  // shape of the output with -o json; null = -o does not apply
};
CLI::App* AddVerb(CLI::App& parent, Session& session, const VerbText& text, std::function<Status()> action);

// A verb of verbs, e.g. `vip`.
CLI::App* AddGroup(CLI::App& parent, const char* name, const char* description);

// To the daemon that the global options name.
Result<std::unique_ptr<Client>> Connect(const Session& session);

// The daemon's state, whole or of one VIP, which must be there.
Result<v1::State> GetState(const Session& session);
Result<v1::State> StateOf(const Session& session, const std::string& vip);

// The daemon's answer to a change, printed; `call` says which one.
Status PrintChange(const Session& session, const std::function<Result<v1::ChangeReply>(Client&)>& call,
                   bool dry_run = false);

}  // namespace shunt::ctl
