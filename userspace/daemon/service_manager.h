// SPDX-License-Identifier: Apache-2.0
// What shuntd tells systemd, by the protocol of sd_notify(3): ready, status, that it is alive, that it stops. Twenty
// lines of datagrams instead of libsystemd, which would bring four compression and cryptography libraries into a
// process that starts as root. Called by main, on its thread. Without NOTIFY_SOCKET in the environment nothing happens.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace shunt {

class ServiceManager {
 public:
  // Reads the environment and takes the variables out of it, so that no program that is started believes them to be
  // meant for it. While the process has one thread.
  static ServiceManager FromEnvironment();

  void Ready() const;
  void Reloading() const;  // Ready() ends it
  void Stopping() const;
  void Alive() const;
  void Show(const std::string& status);  // one line for `systemctl status`; the same again costs nothing

  // Alive() is to be told at least this often; none: nobody watches.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

 private:
  void Tell(std::string_view message) const;

  std::string socket_;  // path, or @name of an abstract one; empty: nobody listens
  std::optional<std::chrono::microseconds> watchdog_;
  std::string shown_;
};

}  // namespace shunt
