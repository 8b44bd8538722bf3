// SPDX-License-Identifier: Apache-2.0
// shuntctl events [--follow] [--vip=VIP] [--real=ADDRESS] [--limit=N]
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <memory>
#include <thread>

#include "tools/shuntctl/health_format.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/base/unique_fd.h"

namespace shunt::ctl {
namespace {

constexpr uint32_t kMaxLimit = 10000;  // as many as the daemon keeps

struct EventsWords {
  bool follow = false;
  std::string vip, real;
  std::string limit = "100";
};

std::string Text(const Session& session, const v1::Event& event) {
  return session.json() ? ToLine(ToJson(event)) : FormatEvent(event, session.colour);
}

// Cancels a stream when the user wants the end: SIGINT, SIGTERM, or nobody reads stdout any more, which a pipe tells
// without a write. Its signals are blocked from before the stream's threads start.
class Ender {
 public:
  static sigset_t BlockSignals() {
    sigset_t ends;
    sigemptyset(&ends);
    for (const int signal_number : {SIGINT, SIGTERM}) sigaddset(&ends, signal_number);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    return ends;
  }

  static Result<std::unique_ptr<Ender>> Start(const sigset_t& ends, EventStream& stream) {
    UniqueFd signals(signalfd(-1, &ends, SFD_CLOEXEC));
    UniqueFd done(eventfd(0, EFD_CLOEXEC));
    if (!signals.valid() || !done.valid()) return FailErrno("waiting for signals", errno);
    return std::unique_ptr<Ender>(new Ender(std::move(signals), std::move(done), stream));
  }

  ~Ender() {
    eventfd_write(done_.get(), 1);
    thread_.join();
  }

 private:
  Ender(UniqueFd signals, UniqueFd done, EventStream& stream)
      : signals_(std::move(signals)), done_(std::move(done)), thread_([this, &stream] {
          std::array<pollfd, 3> waiting{{{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                                         {.fd = STDOUT_FILENO, .events = 0, .revents = 0},
                                         {.fd = done_.get(), .events = POLLIN, .revents = 0}}};
          while (poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {
          }
          stream.Cancel();
        }) {}

  UniqueFd signals_, done_;
  std::thread thread_;
};

Status Follow(const Session& session, Client& client, v1::EventsRequest request, const sigset_t& ends) {
  request.set_only_new(request.limit() == 0);
  OutliveReader();
  const auto stream = client.WatchEvents(request);
  const auto ender = Ender::Start(ends, *stream);
  if (!ender) return std::unexpected(ender.error());
  for (;;) {
    const auto event = stream->Next();
    if (!event) return std::unexpected(event.error());
    if (!*event) return {};
    Print(Text(session, **event));
    const auto is_read = Deliver();
    if (!is_read) return std::unexpected(is_read.error());
    if (!*is_read) return {};
  }
}

Status Events(const Session& session, const EventsWords& given) {
  Words words;
  v1::EventsRequest request;
  if (!given.vip.empty()) request.set_vip(VipText(words, given.vip));
  if (!given.real.empty()) request.set_real(AddressText(words, given.real));
  request.set_limit(words.Number("--limit", given.limit, given.follow ? 0 : 1, kMaxLimit));
  if (const auto status = words.status(); !status) return status;
  sigset_t ends{};
  if (given.follow) ends = Ender::BlockSignals();
  auto client = Connect(session);
  if (!client) return std::unexpected(client.error());
  if (given.follow) return Follow(session, **client, request, ends);
  const auto events = (*client)->ListEvents(request);
  if (!events) return std::unexpected(events.error());
  for (const v1::Event& event : events->events()) Print(Text(session, event));
  if (!session.json() && events->events().empty()) Say("Nothing has happened since shuntd started.");
  return {};
}

}  // namespace

void AddEvents(CLI::App& app, Session& session) {
  const auto words = std::make_shared<EventsWords>();
  CLI::App& verb =
      *AddVerb(app, session,
               {"events", "What happened to VIPs, reals, this host and its interfaces, the oldest first, and why",
                "shuntctl events --follow --limit=0",
                R"(a line for each: {"id", "at_ms", "kind", "vip", "real", "cause", "interface"}
  at_ms: milliseconds since 1970; kind: real_up, real_down, real_unknown, panic_entered, panic_left,
  backups_joined, backups_left, climb_ended, drain_ended, group_switched, rolled_back, host_serving, host_draining, host_leaving,
  interface_gone, interface_unattached, interface_attached; others may come.
  vip, real, interface: null where it is not about one.
  With --follow also events_missed: this reader was too slow; its cause says how many)"},
               [&session, words] { return Events(session, *words); });
  verb.add_flag("--follow", words->follow, "go on with each as it happens, until interrupted");
  verb.add_option("--vip", words->vip, "only this VIP's")->type_name("VIP");
  verb.add_option("--real", words->real, "only this real's")->type_name("ADDRESS");
  verb.add_option("--limit", words->limit, "the newest of those kept (100); with --follow 0: none of them")
      ->type_name("N");
}

}  // namespace shunt::ctl
