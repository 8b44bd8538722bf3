// SPDX-License-Identifier: Apache-2.0
#include "userspace/daemon/interface_watch.h"

#include <glog/logging.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "userspace/base/unique_fd.h"
#include "userspace/control/interface_keeper.h"
#include "userspace/control/log_once.h"
#include "userspace/net/links.h"
#include "userspace/net/netlink.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kGroups[] = {RTNLGRP_LINK};
// A link that comes is told several times; the first one starts the count, one look answers all.
constexpr milliseconds kCoalesce{50};
constexpr milliseconds kRetry{1000};  // reading events failed, which would be so again at once

}  // namespace

struct InterfaceWatch::Impl {
  Impl(std::vector<std::string> names, Controller& controller_in, KernelDataplane& dataplane, NetlinkClient client_in,
       NetlinkEvents links_in, UniqueFd stop_in)
      : controller(controller_in),
        client(std::move(client_in)),
        links(std::move(links_in)),
        stop(std::move(stop_in)),
        keeper(
            std::move(names),
            [this](std::span<const std::string> wanted) { return LookUpLinkPrograms(client, wanted); },
            [&dataplane](const std::string& name) -> Result<InterfaceKeeper::Attached> {
              const auto attached = dataplane.AttachTo(name);
              if (!attached) return std::unexpected(attached.error());
              return InterfaceKeeper::Attached{.native = attached->native, .was_there = attached->was_there};
            },
            controller.events()) {}

  void Run();
  void NoteLinks();
  void Look();
  bool IsOurs(const nlmsghdr* message) const;

  Controller& controller;
  NetlinkClient client;
  NetlinkEvents links;
  const UniqueFd stop;  // readable: the watch is to stop
  InterfaceKeeper keeper;
  bool burst = false;      // an event was heard; the rest of its burst waits in the descriptor
  InterfaceReport report;  // as it was published
  std::string problem;     // of reading events; logged once
  std::thread thread;
};

void InterfaceWatch::Impl::Run() {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(keeper.due_at() - steady_clock::now());
    std::array<pollfd, 2> waiting{{{.fd = stop.get(), .events = POLLIN, .revents = 0},
                                   {.fd = burst ? -1 : links.fd(), .events = POLLIN, .revents = 0}}};
    if (poll(waiting.data(), waiting.size(), static_cast<int>(std::max(left, milliseconds(0)).count())) < 0) continue;
    if (waiting[0].revents != 0) return;
    if (waiting[1].revents != 0) NoteLinks();
    if (steady_clock::now() >= keeper.due_at()) Look();
  }
}

// What an event says is never believed, as it may be older than what is; it is only a reason to look.
void InterfaceWatch::Impl::NoteLinks() {
  bool is_news = false;
  const auto complete = links.Drain([&](const nlmsghdr* message) { is_news |= IsOurs(message); });
  LogOnce("watching interfaces: ", complete, problem);
  if (complete && *complete && !is_news) return;
  burst = true;
  keeper.NoteNews(steady_clock::now() + (complete ? kCoalesce : kRetry));
}

// By its name now, or by the one it had: a link that is renamed is told by its new name.
bool InterfaceWatch::Impl::IsOurs(const nlmsghdr* message) const {
  const auto link = ReadLink(message);
  return link && std::ranges::any_of(report, [&](const InterfaceStatus& status) {
           return status.name == link->name || status.index == link->index;
         });
}

void InterfaceWatch::Impl::Look() {
  burst = false;
  keeper.Look(steady_clock::now());
  InterfaceReport now = keeper.report();
  if (now == report) return;
  report = now;
  controller.PublishInterfaces(std::move(now));
}

InterfaceWatch::InterfaceWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<InterfaceWatch>> InterfaceWatch::Start(std::vector<std::string> interfaces,
                                                              Controller& controller, KernelDataplane& dataplane) {
  constexpr const char* kDoing = "watching interfaces";
  auto client = NetlinkClient::Open();
  if (!client) return Context(kDoing, client.error());
  auto links = NetlinkEvents::Open(kGroups);
  if (!links) return Context(kDoing, links.error());
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return FailErrno(kDoing, errno);
  auto impl = std::make_unique<Impl>(std::move(interfaces), controller, dataplane, std::move(*client),
                                     std::move(*links), std::move(stop));
  impl->Look();
  Impl& running = *impl;
  impl->thread = std::thread([&running] { running.Run(); });
  return std::unique_ptr<InterfaceWatch>(new InterfaceWatch(std::move(impl)));
}

InterfaceWatch::~InterfaceWatch() {
  static_cast<void>(eventfd_write(impl_->stop.get(), 1));
  impl_->thread.join();
}

}  // namespace shunt
