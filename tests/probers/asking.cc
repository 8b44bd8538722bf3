// SPDX-License-Identifier: Apache-2.0
#include "tests/probers/asking.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "userspace/health/probe_socket.h"

namespace shunt {
namespace {

constexpr std::chrono::seconds kDeadline{20};  // of anything that must happen

uint16_t PortOf(int fd) {
  sockaddr_in bound{};
  socklen_t length = sizeof(bound);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length) == 0);
  return ntohs(bound.sin_port);
}

UniqueFd Bound(int type, uint16_t port) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  REQUIRE(fd.valid());
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const SocketAddress address(Address("127.0.0.1"), port);
  REQUIRE(bind(fd.get(), address.get(), address.length) == 0);
  return fd;
}

}  // namespace

IpAddress Address(const std::string& text) {
  const auto address = IpAddress::Parse(text);
  REQUIRE(address);
  return *address;
}

ProbeTarget Target(CheckKind kind, const std::string& address, uint16_t port) {
  ProbeTarget target{.real = Address(address), .destination = Address(address), .port = port, .check = {}};
  target.check.kind = kind;
  return target;
}

Asking::Asking() {
  auto loop = EventLoop::Create();
  REQUIRE(loop);
  loop_ = std::move(*loop);
  shared_ = ProbeShared::Create(*loop_);
}

Asking::Asked& Asking::Prober(const ProbeTarget& target) {
  Asked& asked = asked_.emplace_back();
  asked.prober = MakeProber(target, *loop_, *shared_, [this, &asked](Outcome outcome) {
    asked.outcomes.push_back(std::move(outcome));
    loop_->Stop();
  });
  REQUIRE(asked.prober);
  return asked;
}

Outcome Asking::Ask(Asked& asked, std::chrono::milliseconds timeout, const ProbeRoute& route) {
  const size_t before = asked.outcomes.size();
  asked.prober->Start(route, timeout);
  REQUIRE(asked.outcomes.size() == before);  // never from within Start()
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  const auto timer = loop_->At(deadline, [this] { loop_->Stop(); });
  loop_->Run();
  loop_->Cancel(timer);
  REQUIRE(asked.outcomes.size() == before + 1);
  return asked.outcomes.back();
}

void Asking::RunFor(std::chrono::milliseconds time) {
  loop_->At(std::chrono::steady_clock::now() + time, [this] { loop_->Stop(); });
  loop_->Run();
}

TcpServer::TcpServer(Serve serve, uint16_t port) : serve_(std::move(serve)), listener_(Bound(SOCK_STREAM, port)) {
  REQUIRE(listen(listener_.get(), 64) == 0);
  port_ = PortOf(listener_.get());
  accepting_ = std::thread([this] { Accept(); });
}

TcpServer::~TcpServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  accepting_.join();
  BreakConnections();
  for (std::thread& thread : threads_) thread.join();
}

void TcpServer::Accept() {
  while (true) {
    UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid() && errno == EINVAL) return;  // shut down
    if (!connection.valid()) continue;                   // gone before it was accepted
    ++accepted_;
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([this, fd = connection.get()] {
      serve_(fd);
      shutdown(fd, SHUT_RDWR);
    });
    connections_.push_back(std::move(connection));
  }
}

void TcpServer::BreakConnections() {
  const std::lock_guard lock(mutex_);
  for (const UniqueFd& connection : connections_) shutdown(connection.get(), SHUT_RDWR);
}

UdpServer::UdpServer(Answer answer) : answer_(std::move(answer)), fd_(Bound(SOCK_DGRAM, 0)) {
  const int on = 1;
  REQUIRE(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVMARK, &on, sizeof(on)) == 0);
  port_ = PortOf(fd_.get());
  thread_ = std::thread([this] {
    while (!stopping_) {
      pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      std::array<char, 2048> buffer;
      std::array<char, 256> control;
      sockaddr_storage from{};
      iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof(from);
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      const ssize_t bytes = recvmsg(fd_.get(), &message, 0);
      if (bytes < 0) continue;
      uint32_t mark = 0;
      for (cmsghdr* option = CMSG_FIRSTHDR(&message); option; option = CMSG_NXTHDR(&message, option)) {
        if (option->cmsg_level == SOL_SOCKET && option->cmsg_type == SO_MARK)
          std::memcpy(&mark, CMSG_DATA(option), sizeof(mark));
      }
      const std::string text = answer_({buffer.data(), static_cast<size_t>(bytes)}, mark);
      if (!text.empty())
        sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), message.msg_namelen);
    }
  });
}

UdpServer::~UdpServer() {
  stopping_ = true;
  thread_.join();
}

std::string ReadRequest(int fd) {
  std::string request;
  while (!request.ends_with("\r\n\r\n")) {
    char byte = 0;
    if (recv(fd, &byte, 1, 0) != 1) return "";
    request += byte;
  }
  return request;
}

void SendAll(int fd, const std::string& text) {
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t bytes = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (bytes <= 0) return;
    sent += static_cast<size_t>(bytes);
  }
}

std::string HttpAnswer(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " Words\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

uint16_t ClosedPort() { return PortOf(Bound(SOCK_STREAM, 0).get()); }

TemporaryFolder::TemporaryFolder() : path_("/tmp/shunt-probers-XXXXXX") { REQUIRE(mkdtemp(path_.data())); }
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(const std::string& name, const std::string& text) const {
  std::ofstream file(File(name));
  file << text;
  file.close();
  REQUIRE(file);
  return File(name);
}

namespace {

ChildProcess StartAsRoot(std::vector<std::string> arguments) {
  const auto user = LookUpUser("root");
  REQUIRE(user);
  auto child = ChildProcess::Start(
      {.arguments = std::move(arguments), .environment = {"PATH=/usr/sbin:/usr/bin"}, .user = *user, .input = {}});
  if (!child) FAIL(child.error().message);
  return std::move(*child);
}

}  // namespace

Program::Program(std::vector<std::string> arguments) : child_(StartAsRoot(std::move(arguments))) {}

void Program::Signal(int signal) {
  REQUIRE(syscall(SYS_pidfd_send_signal, child_.descriptor(), signal, nullptr, 0) == 0);
}

Certificate::Certificate(const TemporaryFolder& folder, const std::string& name)
    : certificate(folder.File(name + ".pem")), key(folder.File(name + ".key")) {
  Shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=" + name +
        " -addext subjectAltName=DNS:" + name + " -keyout " + key + " -out " + certificate + " 2>/dev/null");
}

bool Comes(const std::function<bool()>& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!wanted()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool Listens(const std::string& address, uint16_t port) {
  const SocketAddress to(Address(address), port);
  return Comes([&] {
    const UniqueFd fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(fd.get(), to.get(), to.length) == 0;
  });
}

void Shell(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

}  // namespace shunt
