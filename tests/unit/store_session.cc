// SPDX-License-Identifier: Apache-2.0
// A start of the writer on a store, one step, and the end, with a data plane in memory and all on one thread, so that
// store_crash.sh can kill it at each system call that writes. Not here: which calls those are (store_crash.sh).
//
//   store_session STORE KEPT start
//   store_session STORE KEPT apply FILE [SECONDS]        to be confirmed within them
//   store_session STORE KEPT confirm
//   store_session STORE KEPT rollback N
//   store_session STORE KEPT tend                        what is due
//   store_session STORE KEPT check FILE:idle|waits …     the first that the store is like; the history must fit
//
// Exit status: 0 done, 1 not.
#include <fmt/format.h>
#include <glog/logging.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "userspace/control/event_log.h"
#include "userspace/control/writer.h"
#include "userspace/dataplane/memory_dataplane.h"
#include "userspace/model/store_file.h"
#include "userspace/net/static_next_hops.h"

namespace shunt {
namespace {

constexpr Capacities kCapacities{.max_vips = 16, .max_reals = 256, .max_flows = 64};

EditFunction To(DesiredState wanted) {
  return [wanted = std::move(wanted)](DesiredState& state) -> Status {
    state = wanted;
    return {};
  };
}

Status Done(const Result<ChangeReport>& report) {
  if (!report) return std::unexpected(report.error());
  return {};
}

struct Session {
  std::string store;
  MemoryDataplane dataplane{kCapacities};
  StaticNextHops next_hops{{.local_mac = *MacAddress::Parse("02:00:00:00:00:02"),
                            .gateway_mac = *MacAddress::Parse("02:00:00:00:00:01"),
                            .ipv4_source = *IpAddress::Parse("192.0.2.1"),
                            .ipv6_source = *IpAddress::Parse("2001:db8::1")}};
  EventLog events;
  Writer writer;

  Session(std::string path, uint32_t kept)
      : store(std::move(path)), writer(store, dataplane, next_hops, events, std::chrono::steady_clock::now, kept) {}

  Status Apply(const std::vector<std::string>& words) {
    auto wanted = LoadFile(words.at(0), kCapacities);
    if (!wanted) return std::unexpected(wanted.error());
    ChangeTerms terms{.by = "apply"};
    if (words.size() > 1) terms.confirm_within = std::chrono::seconds(std::stoi(words[1]));
    return Done(writer.Change(To(*std::move(wanted)), false, terms));
  }

  Status Rollback(uint64_t generation) {
    const auto wanted = writer.history().Load(generation);
    if (!wanted) return std::unexpected(wanted.error());
    return Done(writer.Change(To(*wanted), false, {.by = "rollback", .rollback_to = generation}));
  }

  // The newest generation is what the store says, all can be read, and nothing else was left.
  Status CheckHistory(const DesiredState& stored) {
    const uint64_t in_force = writer.snapshot()->store->generation;
    const auto generations = writer.history().List();
    if (!generations) return std::unexpected(generations.error());
    if (generations->empty() || generations->back().number != in_force) {
      return Fail(ErrorKind::kSystem, "the history does not end with what is in force");
    }
    for (const Generation& generation : *generations) {
      const auto state = writer.history().Load(generation.number);
      if (!state) return std::unexpected(state.error());
      if (generation.number == in_force && *state != stored) {
        return Fail(ErrorKind::kSystem, "the newest generation of the history is not the store");
      }
    }
    for (const std::string& folder : {FolderOf(store), writer.history().folder()}) {
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with('.')) return Fail(ErrorKind::kSystem, fmt::format("{} was left in {}", name, folder));
      }
    }
    return {};
  }

  // Prints the first of `allowed` that the store is like.
  Status Check(const std::vector<std::string>& allowed) {
    const auto stored = LoadStore(store, kCapacities);
    if (!stored) return std::unexpected(stored.error());
    if (auto checked = CheckHistory(stored->state); !checked) return checked;
    const bool waits = writer.snapshot()->store->unconfirmed.has_value();
    for (const std::string& text : allowed) {
      const size_t colon = text.rfind(':');
      const auto state = LoadFile(text.substr(0, colon), kCapacities);
      if (!state) return std::unexpected(state.error());
      if (stored->state != *state || waits != (text.substr(colon + 1) == "waits")) continue;
      fmt::print("{}\n", std::filesystem::path(text).filename().string());  // with what follows the colon
      return {};
    }
    return Fail(ErrorKind::kSystem, fmt::format("the store is none that may be; a change {}",
                                                waits ? "waits to be confirmed" : "does not wait to be confirmed"));
  }

  Status Run(const std::string& step, const std::vector<std::string>& words) {
    if (auto adopted = writer.Adopt(); !adopted) return adopted;
    if (step == "apply") return Apply(words);
    if (step == "rollback") return Rollback(std::stoull(words.at(0)));
    if (step == "tend") return writer.Tend();
    if (step == "check") return Check(words);
    if (step != "confirm") return {};
    const auto confirmed = writer.Confirm();
    if (!confirmed) return std::unexpected(confirmed.error());
    return {};
  }
};

}  // namespace
}  // namespace shunt

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) return EXIT_FAILURE;
  FLAGS_minloglevel = google::GLOG_FATAL;
  shunt::Session session(words[0], static_cast<uint32_t>(std::stoul(words[1])));
  const shunt::Status done = session.Run(words[2], {words.begin() + 3, words.end()});
  if (!done) fmt::print(stderr, "{}\n", done.error().message);
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
