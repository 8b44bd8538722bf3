// SPDX-License-Identifier: Apache-2.0
#include "userspace/rpc/acceptor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

namespace shunt {
namespace {

constexpr std::chrono::milliseconds kBreath{50};  // when no descriptor is left; those that wait go on waiting

}  // namespace

struct Acceptor::Impl {
  Status Watch(int fd, uint32_t events) const;
  void Run();
  void Accept();
  void Admit(UniqueFd connection);
  void Forget(int copy);

  std::function<const Reception*(int)> kind_of;
  int listener = -1;
  UniqueFd stop, epoll;
  std::thread thread;

  // A second descriptor of each connection that is served: the end of the connection, whoever brings it about, shows
  // there.
  struct Served {
    UniqueFd copy;
    const Reception* kind;
  };
  std::map<int, Served> served;
  std::map<const Reception*, size_t> count;
};

Status Acceptor::Impl::Watch(int fd, uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return FailErrno("watching a connection of the API", errno);
}

void Acceptor::Impl::Run() {
  std::array<epoll_event, 64> events;
  for (;;) {
    const int ready = epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == stop.get()) return;
      if (fd != listener) Forget(fd);
    }
    // After those that ended: they make room.
    Accept();
  }
}

void Acceptor::Impl::Accept() {
  for (;;) {
    UniqueFd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      Admit(std::move(connection));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) std::this_thread::sleep_for(kBreath);
    return;
  }
}

void Acceptor::Impl::Admit(UniqueFd connection) {
  const Reception* const kind = kind_of(connection.get());
  if (count[kind] >= kind->max_connections) return;
  UniqueFd copy(fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid() || !Watch(copy.get(), EPOLLRDHUP)) return;
  const int key = copy.get();
  served[key] = {.copy = std::move(copy), .kind = kind};
  ++count[kind];
  kind->serve(std::move(connection));
}

void Acceptor::Impl::Forget(int copy) {
  const auto found = served.find(copy);
  if (found == served.end()) return;
  --count[found->second.kind];
  // Closing it would not end the watch while gRPC still has the connection.
  epoll_ctl(epoll.get(), EPOLL_CTL_DEL, copy, nullptr);
  served.erase(found);
}

Acceptor::Acceptor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Acceptor>> Acceptor::Start(const std::string& name, int listener,
                                                  std::function<const Reception*(int)> kind_of) {
  auto impl = std::make_unique<Impl>();
  impl->kind_of = std::move(kind_of);
  impl->listener = listener;
  impl->stop = UniqueFd(eventfd(0, EFD_CLOEXEC));
  impl->epoll = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!impl->stop.valid() || !impl->epoll.valid()) return FailErrno("accepting connections of the API", errno);
  for (const int fd : {impl->stop.get(), listener})
    if (auto watching = impl->Watch(fd, EPOLLIN); !watching) return std::unexpected(watching.error());
  impl->thread = std::thread([&running = *impl] { running.Run(); });
  pthread_setname_np(impl->thread.native_handle(), name.c_str());
  return std::unique_ptr<Acceptor>(new Acceptor(std::move(impl)));
}

Acceptor::~Acceptor() {
  static_cast<void>(eventfd_write(impl_->stop.get(), 1));
  impl_->thread.join();
}

}  // namespace shunt
