// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/hook.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>
#include <thread>
#include <utility>

#include "userspace/base/unique_fd.h"
#include "userspace/health/child_process.h"
#include "userspace/health/program_starter.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience{500};  // for an event; a hook that is to stop is noticed so late at most

std::string JsonText(std::string_view text) {
  if (text.empty()) return "null";
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      json += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      json += c;
    }
  }
  return json + '"';
}

}  // namespace

std::string JsonLine(const Event& event) {
  const auto at_ms = std::chrono::duration_cast<milliseconds>(event.at.time_since_epoch()).count();
  return fmt::format("{{\"id\":{},\"at_ms\":{},\"kind\":{},\"vip\":{},\"real\":{},\"cause\":{},\"interface\":{}}}\n",
                     event.id, at_ms, JsonText(event.kind), JsonText(event.vip), JsonText(event.real),
                     JsonText(event.cause), JsonText(event.interface));
}

struct Hook::Impl {
  Impl(EventLog& events_in, HookOptions options_in, UserIds user_in, UniqueFd stop_in)
      : events(events_in), options(std::move(options_in)), user(std::move(user_in)), stop(std::move(stop_in)) {}

  void Run();
  void SkipOldest();
  void Tell(const Event& event);
  bool AwaitEnd(const ChildProcess& child) const;  // false: its time is up, or the hook stops

  EventLog& events;
  const HookOptions options;
  const UserIds user;
  const UniqueFd stop;  // readable: the hook is to stop
  std::atomic<bool> stopping = false;
  std::thread thread;
  std::atomic<uint64_t> told = 0;  // as last_id, once its program has ended
  uint64_t last_id = 0;            // the hook's thread's: of the last event that was told or left out
};

void Hook::Impl::Run() {
  while (!stopping) {
    const bool some = !events.WaitSince(last_id, 1, kPatience).empty();
    if (!some && events.closed()) return;
    SkipOldest();
    const auto next = events.Since(last_id, 1);
    if (next.empty() || stopping) continue;
    last_id = next.front().id;
    Tell(next.front());
    told = last_id;
  }
}

void Hook::Impl::SkipOldest() {
  const uint64_t waiting = events.last_id() - last_id;
  if (waiting <= options.max_waiting) return;
  const uint64_t skipped = waiting - options.max_waiting;
  last_id += skipped;
  LOG(WARNING) << fmt::format("event hook {}: {} events were left out, the last with id {}: it is too slow for them",
                              options.program, skipped, last_id);
}

void Hook::Impl::Tell(const Event& event) {
  const std::string doing = fmt::format("event hook {}: event {} ({})", options.program, event.id, event.kind);
  auto child = StartProgram(options.programs,
                            {.arguments = {options.program, event.kind, event.vip, event.real, event.interface},
                             .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                             .user = user,
                             .input = JsonLine(event)});
  if (!child) {
    LOG(WARNING) << doing << ": " << child.error().message;
    return;
  }
  if (!AwaitEnd(*child)) {
    child->Kill();
    LOG(WARNING) << doing << ": "
                 << (stopping ? "killed, since shuntd stops"
                              : fmt::format("killed after {} ms", options.time_limit.count()));
    return;
  }
  if (const auto end = child->Reap(); end && !end->passed()) LOG(WARNING) << doing << ": " << end->ToString();
}

bool Hook::Impl::AwaitEnd(const ChildProcess& child) const {
  const auto deadline = steady_clock::now() + options.time_limit;
  for (;;) {
    std::array<pollfd, 2> waiting{{{.fd = child.descriptor(), .events = POLLIN, .revents = 0},
                                   {.fd = stop.get(), .events = POLLIN, .revents = 0}}};
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds(0)) return false;
    if (poll(waiting.data(), waiting.size(), static_cast<int>(left.count())) <= 0) continue;
    if (waiting[0].revents != 0) return true;
    if (waiting[1].revents != 0) return false;
  }
}

Hook::Hook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Hook>> Hook::Start(EventLog& events, HookOptions options) {
  auto user = LookUpUser(options.user);
  if (!user) return Context("starting the event hook", user.error());
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return FailErrno("starting the event hook", errno);
  auto impl = std::make_unique<Impl>(events, std::move(options), std::move(*user), std::move(stop));
  Impl& running = *impl;
  impl->thread = std::thread([&running] { running.Run(); });
  return std::unique_ptr<Hook>(new Hook(std::move(impl)));
}

uint64_t Hook::told() const { return impl_->told; }

Hook::~Hook() {
  impl_->stopping = true;
  static_cast<void>(eventfd_write(impl_->stop.get(), 1));
  impl_->thread.join();
}

}  // namespace shunt
