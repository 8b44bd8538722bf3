// SPDX-License-Identifier: Apache-2.0
// Keeps the balancer's program on the interfaces that an operator named: one that comes (back) gets it, one that
// somebody took it off gets it again, one where somebody else's stands now is asked again, quietly. Each change is an
// event. Called by the interface watch (daemon/interface_watch.h), on its thread. Not here: waiting for news of links,
// attaching.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/event_log.h"
#include "userspace/control/interface_report.h"
#include "userspace/dataplane/plan.h"
#include "userspace/net/link_programs.h"

namespace shunt {

class InterfaceKeeper {
 public:
  // No link is touched more often than this, whoever takes the program off again and again.
  static constexpr std::chrono::milliseconds kPause{500};
  // So often all are looked at without news: what the kernel does not tell (or told too fast) is found out all the
  // same.
  static constexpr std::chrono::seconds kLookAgain{5};

  struct Attached {
    bool native = false;
    bool was_there = false;  // it had our program already
  };
  using LookUp = std::function<Result<std::vector<std::optional<LinkProgram>>>(std::span<const std::string>)>;
  using Attach = std::function<Result<Attached>(const std::string&)>;  // as often as one likes

  // `events` outlives the keeper.
  InterfaceKeeper(std::vector<std::string> names, LookUp look_up, Attach attach, EventLog& events);

  // Looks at all and attaches where that is due. The first time what is as it should be is no news.
  void Look(SteadyTime now);
  // Something was heard of a link: Look() is due before long.
  void NoteNews(SteadyTime now);
  SteadyTime due_at() const { return look_at_; }

  InterfaceReport report() const;

 private:
  struct Entry {
    InterfaceStatus status;
    uint32_t program_id = 0;  // with our program on it; 0: not
    SteadyTime touched{};     // when it was last attached to, or that was tried
    bool is_news = true;      // something was heard since
  };

  void LookAt(Entry& entry, const std::optional<LinkProgram>& link, SteadyTime now);
  void AttachTo(Entry& entry, const LinkProgram& link, SteadyTime now);
  void NoteAttached(Entry& entry, const LinkProgram& before, const Attached& attached);
  void NoteGone(Entry& entry, const std::string& why);
  void NoteRefused(Entry& entry, const std::string& problem);
  void Tell(const Entry& entry, const char* kind, const std::string& cause);

  const LookUp look_up_;
  const Attach attach_;
  EventLog& events_;
  std::vector<std::string> names_;
  std::vector<Entry> entries_;
  SteadyTime look_at_{};
  std::string look_up_problem_;  // logged once
};

}  // namespace shunt
