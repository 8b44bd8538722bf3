// SPDX-License-Identifier: Apache-2.0
// What the tests of probers share: asking and waiting for the outcome, and the servers that are asked. All in a network
// namespace of this process (main.cc), in which 127.0.0.1 and ::1 answer and kSilent never does.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "userspace/base/unique_fd.h"
#include "userspace/health/child_process.h"
#include "userspace/health/event_loop.h"
#include "userspace/health/probe.h"

namespace shunt {

inline constexpr char kSilent[] = "10.99.0.2";  // packets to it leave and are never answered
inline constexpr char kSilentIpv6[] = "fd99::2";

IpAddress Address(const std::string& text);

// A probe of `address`, not through a tunnel.
ProbeTarget Target(CheckKind kind, const std::string& address, uint16_t port);

// A loop with probers on it. Ask() runs the loop until the outcome is there.
class Asking {
 public:
  Asking();

  struct Asked;
  Asked& Prober(const ProbeTarget& target);
  Outcome Ask(Asked& asked, std::chrono::milliseconds timeout, const ProbeRoute& route = {});
  Outcome Ask(Asked& asked) { return Ask(asked, std::chrono::seconds(5)); }
  void RunFor(std::chrono::milliseconds time);

  EventLoop& loop() { return *loop_; }
  ProbeShared& shared() { return *shared_; }

  struct Asked {
    std::unique_ptr<shunt::Prober> prober;
    std::vector<Outcome> outcomes;
  };

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ProbeShared> shared_;
  std::list<Asked> asked_;
};

// A TCP server: `serve` has each connection to itself, on a thread of its own, until it returns.
class TcpServer {
 public:
  using Serve = std::function<void(int fd)>;
  explicit TcpServer(Serve serve, uint16_t port = 0);  // 0: any that is free, on 127.0.0.1
  ~TcpServer();                                        // breaks all connections
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  uint16_t port() const { return port_; }
  uint32_t accepted() const { return accepted_; }
  void BreakConnections();

 private:
  void Accept();

  const Serve serve_;
  uint16_t port_ = 0;
  UniqueFd listener_;
  std::atomic<uint32_t> accepted_ = 0;
  std::mutex mutex_;
  std::vector<UniqueFd> connections_;  // under mutex_; kept so that a number is not used twice
  std::vector<std::thread> threads_;   // under mutex_
  std::thread accepting_;              // last
};

// A UDP server: answers each datagram with what `answer` makes of it; an empty answer is none.
class UdpServer {
 public:
  using Answer = std::function<std::string(const std::string& datagram, uint32_t mark)>;
  explicit UdpServer(Answer answer);
  ~UdpServer();
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;

  uint16_t port() const { return port_; }

 private:
  const Answer answer_;
  uint16_t port_ = 0;
  UniqueFd fd_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// One HTTP request up to its empty line; empty if the connection ended.
std::string ReadRequest(int fd);
void SendAll(int fd, const std::string& text);
std::string HttpAnswer(int status, const std::string& body);

// A port of 127.0.0.1 at which nobody listens.
uint16_t ClosedPort();

// A directory that is gone with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const;  // its path

 private:
  std::string path_;
};

// A real server program as root, in the foreground. Gone with the object.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments);
  void Signal(int signal);

 private:
  ChildProcess child_;
};

// Certificates made by openssl(1): self-signed, each its own authority.
struct Certificate {
  Certificate(const TemporaryFolder& folder, const std::string& name);  // of DNS name NAME
  std::string certificate, key;                                         // files
};

// Waits until it is so, twenty seconds at most; false if it never was.
bool Comes(const std::function<bool()>& wanted);

// Waits until a connection to it is accepted; false if it never was.
bool Listens(const std::string& address, uint16_t port);

void Shell(const std::string& command);  // must succeed

}  // namespace shunt
