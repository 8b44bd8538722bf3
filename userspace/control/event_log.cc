// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/event_log.h"

#include <fmt/format.h>
#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace shunt {
namespace {

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + '"';
}

std::string LineOf(const Event& event) {
  std::string line = fmt::format("event=\"{}\" id=\"{}\"", event.kind, event.id);
  if (!event.vip.empty()) line += " vip=" + Quoted(event.vip);
  if (!event.real.empty()) line += " real=" + Quoted(event.real);
  if (!event.interface.empty()) line += " interface=" + Quoted(event.interface);
  return line + " cause=" + Quoted(event.cause);
}

void Log(const Event& event) {
  if (event.planned) {
    LOG(INFO) << LineOf(event);
  } else if (event.kind == "panic_entered" || event.kind == "interface_gone" || event.kind == "interface_unattached" ||
             event.kind == "prefix_withdrawn") {
    LOG(ERROR) << LineOf(event);
  } else if (event.kind == "real_down" || event.kind == "backups_joined" || event.kind == "host_draining" ||
             event.kind == "prefix_lowered") {
    LOG(WARNING) << LineOf(event);
  } else {
    LOG(INFO) << LineOf(event);
  }
}

}  // namespace

void EventLog::Add(Event event) {
  event.at = std::chrono::system_clock::now();
  {
    const std::lock_guard lock(mutex_);
    event.id = ++last_id_;
    ++counts_[event.kind];
    events_.push_back(event);
    if (events_.size() > kKept) events_.pop_front();
  }
  added_.notify_all();
  Log(event);
}

std::vector<Event> EventLog::Since(uint64_t after_id, size_t limit) const {
  const std::lock_guard lock(mutex_);
  return SinceLocked(after_id, limit);
}

std::vector<Event> EventLog::WaitSince(uint64_t after_id, size_t limit, std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  added_.wait_for(lock, patience, [&] { return closed_ || last_id_ > after_id; });
  return SinceLocked(after_id, limit);
}

// Ids have no gaps, so the place of one follows from the first.
std::vector<Event> EventLog::SinceLocked(uint64_t after_id, size_t limit) const {
  if (events_.empty() || after_id >= last_id_) return {};
  const uint64_t first = std::max(after_id + 1, events_.front().id);
  const auto begin = events_.begin() + static_cast<std::ptrdiff_t>(first - events_.front().id);
  const size_t count = std::min(limit, static_cast<size_t>(events_.end() - begin));
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

uint64_t EventLog::last_id() const {
  const std::lock_guard lock(mutex_);
  return last_id_;
}

std::map<std::string, uint64_t> EventLog::CountsByKind() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void EventLog::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  added_.notify_all();
}

bool EventLog::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace shunt
