// SPDX-License-Identifier: Apache-2.0
// shuntctl apply -f FILE [--dry-run] [--confirm=TIME]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <future>
#include <limits>

#include "tools/shuntctl/history_format.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/model/config_proto.h"
#include "userspace/model/store_file.h"

namespace shunt::ctl {
namespace {

using std::chrono::seconds;
constexpr seconds kPatience{2};  // so long nobody wonders
constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();

struct ApplyWords {
  std::string file;
  std::string confirm;
  bool dry_run = false;
};

// The call, with a word on the terminal now and then when it takes long.
Result<v1::ChangeReply> CallWithProgress(Client& client, const v1::ApplyRequest& request, const std::string& file) {
  if (!StderrIsTerminal()) return client.Apply(request);
  auto reply = std::async(std::launch::async, [&] { return client.Apply(request); });
  const auto begin = std::chrono::steady_clock::now();
  for (seconds wait = kPatience; reply.wait_for(wait) != std::future_status::ready; wait = seconds(1)) {
    const auto elapsed = std::chrono::duration_cast<seconds>(std::chrono::steady_clock::now() - begin);
    Say(fmt::format("applying {}: {} VIPs, {} s so far …", file, request.config().vips_size(), elapsed.count()));
  }
  return reply.get();
}

Status Apply(const Session& session, const ApplyWords& words) {
  Words read;
  const uint32_t confirm_seconds = ConfirmSeconds(read, words.confirm);
  if (const auto status = read.status(); !status) return status;
  const auto text = ReadFile(words.file, kMaxStoreBytes);
  if (!text) return std::unexpected(text.error());
  // How much fits is the daemon's to say; everything else is told here, where the lines are known.
  const Capacities any{kNoLimit, kNoLimit, kNoLimit};
  const auto wanted = ParseYaml(*text, words.file, any);
  if (!wanted) return std::unexpected(wanted.error());
  v1::ApplyRequest request;
  *request.mutable_config() = ToProto(*wanted);
  request.set_dry_run(words.dry_run);
  request.set_confirm_seconds(confirm_seconds);
  return PrintChange(
      session, [&](Client& client) { return CallWithProgress(client, request, words.file); }, words.dry_run);
}

}  // namespace

void AddApply(CLI::App& app, Session& session) {
  const auto words = std::make_shared<ApplyWords>();
  CLI::App& verb = *AddVerb(app, session,
                            {"apply", "Make the whole state be as a file says; prints the differences",
                             "shuntctl apply -f lb.yaml --dry-run", kChangeJson},
                            [&session, words] { return Apply(session, *words); });
  verb.add_option("-f,--file", words->file, "the configuration, as dump prints it; - is stdin")
      ->required()
      ->type_name("FILE");
  verb.add_flag("--dry-run", words->dry_run, "print the differences, change nothing");
  AddConfirmOption(verb, words->confirm);
}

}  // namespace shunt::ctl
