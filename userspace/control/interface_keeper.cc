// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/interface_keeper.h"

#include <fmt/format.h>
#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "userspace/control/log_once.h"

namespace shunt {
namespace {

constexpr const char* kNotThere = "there is no such interface in this network namespace";

}  // namespace

InterfaceKeeper::InterfaceKeeper(std::vector<std::string> names, LookUp look_up, Attach attach, EventLog& events)
    : look_up_(std::move(look_up)), attach_(std::move(attach)), events_(events), names_(std::move(names)) {
  for (const std::string& name : names_) {
    Entry& entry = entries_.emplace_back();
    entry.status.name = name;
  }
}

void InterfaceKeeper::NoteNews(SteadyTime now) {
  for (Entry& entry : entries_) entry.is_news = true;
  look_at_ = std::min(look_at_, now);
}

void InterfaceKeeper::Look(SteadyTime now) {
  look_at_ = now + kLookAgain;
  const auto links = look_up_(names_);
  LogOnce("watching interfaces: ", links, look_up_problem_);
  if (!links) return;
  for (size_t i = 0; i < entries_.size(); ++i) LookAt(entries_[i], (*links)[i], now);
}

void InterfaceKeeper::LookAt(Entry& entry, const std::optional<LinkProgram>& link, SteadyTime now) {
  InterfaceStatus& status = entry.status;
  if (!link) {
    if (status.index != 0) {
      NoteGone(entry, "it was deleted, renamed, or moved to another network namespace");
    } else if (status.problem.empty()) {
      LOG(WARNING) << fmt::format("{}: {}; it gets the program when it comes", status.name, kNotThere);
    }
    status = {.name = status.name, .index = 0, .attached = false, .native = false, .problem = kNotThere};
    entry.program_id = 0;
    return;
  }
  if (status.index != 0 && status.index != link->index) {
    NoteGone(entry, "another one stands under its name");
    status = {.name = status.name, .index = 0, .attached = false, .native = false, .problem = kNotThere};
    entry.program_id = 0;
  }
  status.carrier = link->carrier;
  if (status.attached && link->program_id == entry.program_id) return;
  // One that refuses is asked again when something happened to it, and now and then.
  const bool is_new = status.index == 0;
  if (!is_new && now < entry.touched + kPause) {
    look_at_ = std::min(look_at_, entry.touched + kPause);
    return;
  }
  if (!is_new && !status.attached && !entry.is_news && now < entry.touched + kLookAgain) return;
  AttachTo(entry, *link, now);
}

void InterfaceKeeper::AttachTo(Entry& entry, const LinkProgram& link, SteadyTime now) {
  entry.touched = now;
  entry.is_news = false;
  const auto attached = attach_(entry.status.name);
  if (attached) {
    NoteAttached(entry, link, *attached);
  } else {
    NoteRefused(entry, attached.error().message);
  }
  entry.status.index = link.index;
  entry.program_id = 0;
  if (!attached) return;
  // What stands there now, be it libxdp's dispatcher around ours.
  const auto links = look_up_(std::span(&entry.status.name, 1));
  if (links && links->front() && links->front()->index == link.index) entry.program_id = links->front()->program_id;
}

void InterfaceKeeper::NoteAttached(Entry& entry, const LinkProgram& before, const Attached& attached) {
  InterfaceStatus& status = entry.status;
  const bool first_look = status.index == 0 && status.problem.empty();
  const bool lost_it = status.attached && !attached.was_there;
  const bool is_change = !status.attached && !first_look;
  status.attached = true;
  status.native = attached.native;
  status.problem.clear();
  if (lost_it) {
    Tell(entry, "interface_unattached",
         before.program_id == 0 ? "somebody took the program off it" : "somebody put another program in its place");
  }
  if (lost_it || is_change) {
    Tell(entry, "interface_attached",
         fmt::format("it has the program{}, {} (interface {})", lost_it ? " again" : "",
                     attached.native ? "native" : "generic", before.index));
  }
}

void InterfaceKeeper::NoteGone(Entry& entry, const std::string& why) { Tell(entry, "interface_gone", why); }

void InterfaceKeeper::NoteRefused(Entry& entry, const std::string& problem) {
  InterfaceStatus& status = entry.status;
  const bool is_said = !status.attached && status.problem == problem;
  status.attached = false;
  status.problem = problem;
  if (!is_said) Tell(entry, "interface_unattached", problem);
}

void InterfaceKeeper::Tell(const Entry& entry, const char* kind, const std::string& cause) {
  events_.Add({.id = 0, .at = {}, .kind = kind, .vip = "", .real = "", .cause = cause, .interface = entry.status.name});
}

InterfaceReport InterfaceKeeper::report() const {
  InterfaceReport report;
  for (const Entry& entry : entries_) report.push_back(entry.status);
  return report;
}

}  // namespace shunt
