// SPDX-License-Identifier: Apache-2.0
// What happened to VIPs, reals, this host and its interfaces, with its cause: a bounded history that readers can wait
// on, each event logged once. Any thread. Written by the writer; read by rpc (history, streaming) and the hook runner.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace shunt {

struct Event {
  uint64_t id = 0;  // 1 and up, without gaps
  std::chrono::system_clock::time_point at{};
  std::string kind;    // real_up, real_down, real_unknown, panic_entered, panic_left, backups_joined, backups_left,
                       // climb_ended, drain_ended, group_switched, rolled_back, host_serving, host_draining,
                       // host_leaving, interface_gone, interface_unattached, interface_attached, prefix_announced,
                       // prefix_lowered, prefix_graceful, prefix_withdrawn, communities_changed
  std::string vip{};   // 203.0.113.10:443/tcp, or 203.0.113.10/32 for prefix_*; empty: it is about the store, the host
                       // or an interface
  std::string real{};  // empty: the VIP as a whole
  std::string cause;   // one sentence
  std::string interface{};  // eth0
  bool planned = false;     // an operator asked for what follows: logged as news, not as trouble
  bool operator==(const Event&) const = default;
};

class EventLog {
 public:
  static constexpr size_t kKept = 10000;

  void Add(Event event);  // fills id and `at`; logs it in one line of key="value" pairs

  // The events after `after_id` that are still kept, at most `limit` of them, oldest first.
  std::vector<Event> Since(uint64_t after_id, size_t limit) const;
  // The same, waiting up to `patience` for the first, or until Close().
  std::vector<Event> WaitSince(uint64_t after_id, size_t limit, std::chrono::milliseconds patience) const;
  uint64_t last_id() const;
  std::map<std::string, uint64_t> CountsByKind() const;  // of all there ever were, kept or not

  void Close();  // wakes and ends all waiting, now and later
  bool closed() const;

 private:
  std::vector<Event> SinceLocked(uint64_t after_id, size_t limit) const;  // mutex_ is held

  mutable std::mutex mutex_;
  mutable std::condition_variable added_;
  std::deque<Event> events_;
  std::map<std::string, uint64_t> counts_;  // by kind
  uint64_t last_id_ = 0;
  bool closed_ = false;
};

}  // namespace shunt
