// SPDX-License-Identifier: Apache-2.0
#include "userspace/daemon/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

std::string Take(const char* variable) {
  const char* const value = getenv(variable);
  std::string text = value ? value : "";
  unsetenv(variable);
  return text;
}

uint64_t NumberIn(const std::string& text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  manager.socket_ = Take("NOTIFY_SOCKET");
  const uint64_t watchdog_us = NumberIn(Take("WATCHDOG_USEC"));
  const std::string watched = Take("WATCHDOG_PID");
  if (watchdog_us != 0 && (watched.empty() || NumberIn(watched) == static_cast<uint64_t>(getpid())))
    manager.watchdog_ = std::chrono::microseconds(watchdog_us);
  return manager;
}

void ServiceManager::Ready() const { Tell("READY=1"); }

void ServiceManager::Reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t now_us = static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  Tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now_us));
}

void ServiceManager::Stopping() const { Tell("STOPPING=1"); }

void ServiceManager::Alive() const { Tell("WATCHDOG=1"); }

void ServiceManager::Show(const std::string& status) {
  if (status == shown_) return;
  shown_ = status;
  Tell("STATUS=" + status);
}

// Not heard is no error of ours: whoever waits for it acts on the silence.
void ServiceManager::Tell(std::string_view message) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.empty() || socket_.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_.front() == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return;
  static_cast<void>(sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&address), length));
}

}  // namespace shunt
