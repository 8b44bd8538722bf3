// SPDX-License-Identifier: Apache-2.0
// What the service manager hears, on a socket of the test's.
#include "userspace/daemon/service_manager.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <string>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

struct Listener {
  Listener() {
    folder = mkdtemp(folder.data());
    path = folder + "/notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Listener() {
    std::filesystem::remove_all(folder);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  // "": nothing was told.
  std::string Heard() const {
    std::array<char, 256> text;
    const ssize_t bytes = recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT);
    return {text.data(), bytes > 0 ? static_cast<size_t>(bytes) : 0};
  }

  std::string folder = "/tmp/shunt-notify.XXXXXX";
  std::string path;
  UniqueFd fd{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_CASE("The service manager hears what happens, and a status only when it is another") {
  const Listener listener;
  ServiceManager manager = ServiceManager::FromEnvironment();
  CHECK(listener.Heard().empty());
  manager.Ready();
  CHECK(listener.Heard() == "READY=1");
  manager.Show("3 VIPs, 12 of 12 reals up");
  CHECK(listener.Heard() == "STATUS=3 VIPs, 12 of 12 reals up");
  manager.Show("3 VIPs, 12 of 12 reals up");
  CHECK(listener.Heard().empty());
  manager.Alive();
  CHECK(listener.Heard() == "WATCHDOG=1");
  manager.Reloading();
  CHECK(listener.Heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  manager.Stopping();
  CHECK(listener.Heard() == "STOPPING=1");
}

TEST_CASE("The watchdog counts only for the process that it names, and no program inherits the socket") {
  const Listener listener;
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  CHECK_FALSE(ServiceManager::FromEnvironment().watchdog());
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  CHECK(ServiceManager::FromEnvironment().watchdog() == std::chrono::seconds(30));
  CHECK(getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(getenv("WATCHDOG_USEC") == nullptr);
}

TEST_CASE("Without a service manager nothing is told, and nothing fails") {
  unsetenv("NOTIFY_SOCKET");
  const ServiceManager manager = ServiceManager::FromEnvironment();
  manager.Ready();
  manager.Alive();
  CHECK_FALSE(manager.watchdog());
}

}  // namespace
}  // namespace shunt
