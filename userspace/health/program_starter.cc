// SPDX-License-Identifier: Apache-2.0
// Both ends: the daemon's, and the process (Serving). They talk over a socket pair that keeps messages apart; each
// request has one answer.
#include "userspace/health/program_starter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>

#include "userspace/base/text.h"

namespace shunt {

enum class ProgramVerb : uint32_t { kStart, kKill, kReap, kDestroy };

struct ProgramMessage {
  std::string bytes;
  UniqueFd fd;
};

namespace {

constexpr size_t kMaxMessageBytes = 64 << 10;
constexpr int kServingSocket = 3;

// Numbers and texts, one behind the other. A reader that comes to the end early has failed, and stays so.
class MessageWriter {
 public:
  void Add(uint32_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value)); }
  void Add(std::string_view text) {
    Add(static_cast<uint32_t>(text.size()));
    bytes_.append(text);
  }
  void Add(const std::vector<std::string>& texts) {
    Add(static_cast<uint32_t>(texts.size()));
    for (const std::string& text : texts) Add(text);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class MessageReader {
 public:
  explicit MessageReader(std::string_view bytes) : rest_(bytes) {}
  uint32_t Number() {
    uint32_t value = 0;
    if (rest_.size() < sizeof(value)) return Fails();
    std::memcpy(&value, rest_.data(), sizeof(value));
    rest_.remove_prefix(sizeof(value));
    return value;
  }
  std::string Text() {
    const uint32_t size = Number();
    if (rest_.size() < size) return Fails(), "";
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    for (uint32_t left = Number(); left > 0 && ok_; --left) texts.push_back(Text());
    return texts;
  }
  bool ok() const { return ok_; }

 private:
  uint32_t Fails() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

Status SendMessage(int socket, const std::string& bytes, int fd = -1) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(fd))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(fd));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  }
  while (sendmsg(socket, &header, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return FailErrno("talking to the process that starts programs", errno);
  return {};
}

// Empty: the other end is gone.
Result<ProgramMessage> ReceiveMessage(int socket) {
  ProgramMessage message;
  message.bytes.resize(kMaxMessageBytes);
  iovec part{.iov_base = message.bytes.data(), .iov_len = message.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t bytes;
  do {
    bytes = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) return FailErrno("talking to the process that starts programs", errno);
  message.bytes.resize(static_cast<size_t>(bytes));
  const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
      rights->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
    message.fd = UniqueFd(fd);
  }
  return message;
}

// An answer begins with 0 and what was asked for, or with 1, the kind of the error and its words.
std::string AnswerOf(const Error& error) {
  MessageWriter answer;
  answer.Add(1u);
  answer.Add(static_cast<uint32_t>(error.kind));
  answer.Add(error.message);
  return answer.bytes();
}

// What the process does: requests one after another, until the daemon is gone.
class Serving {
 public:
  explicit Serving(const ProgramStarter::Options& options) : options_(options) {}

  void Run() {
    for (;;) {
      const auto request = ReceiveMessage(kServingSocket);
      if (!request || request->bytes.empty()) return;
      MessageReader reader(request->bytes);
      const auto verb = static_cast<ProgramVerb>(reader.Number());
      const Status answered = verb == ProgramVerb::kStart ? Start(reader) : About(verb, reader);
      if (!answered) return;
    }
  }

 private:
  // What the daemon says of a user counts only where everybody may run programs.
  Result<UserIds> Allowed(UserIds asked) const {
    if (options_.users.empty()) return asked;
    const auto found = std::ranges::find(options_.users, asked.user, &UserIds::user);
    if (found != options_.users.end()) return *found;
    std::vector<std::string> names;
    for (const UserIds& user : options_.users) names.push_back(user.name);
    return Fail(ErrorKind::kInvalid,
                fmt::format("user {} may not run programs, only {}; shuntd's --program_users names "
                            "those who may",
                            Quote(asked.name), fmt::join(names, ", ")));
  }

  Status Start(MessageReader& reader) {
    ChildCommand command{.arguments = reader.Texts(), .environment = reader.Texts(), .user = {}, .input = ""};
    command.user.user = reader.Number();
    command.user.group = reader.Number();
    command.user.groups.resize(std::min<size_t>(reader.Number(), kMaxMessageBytes / sizeof(gid_t)));
    for (gid_t& group : command.user.groups) group = reader.Number();
    command.user.name = reader.Text();
    command.input = reader.Text();
    if (!reader.ok()) return SendMessage(kServingSocket, AnswerOf({ErrorKind::kInvalid, "a broken request"}));
    auto user = Allowed(std::move(command.user));
    if (!user) return SendMessage(kServingSocket, AnswerOf(user.error()));
    command.user = std::move(*user);
    auto child = ChildProcess::Start(command);
    if (!child) return SendMessage(kServingSocket, AnswerOf(child.error()));
    const pid_t pid = child->pid();
    MessageWriter answer;
    answer.Add(0u);
    answer.Add(static_cast<uint32_t>(pid));
    const auto kept = children_.emplace(pid, std::move(*child)).first;
    return SendMessage(kServingSocket, answer.bytes(), kept->second.descriptor());
  }

  // Only of programs that were started here.
  Status About(ProgramVerb verb, MessageReader& reader) {
    const auto found = children_.find(static_cast<pid_t>(reader.Number()));
    MessageWriter answer;
    answer.Add(0u);
    std::optional<ChildEnd> end;
    if (found != children_.end()) {
      if (verb == ProgramVerb::kKill) found->second.Kill();
      if (verb == ProgramVerb::kReap) end = found->second.Reap();
      if (verb == ProgramVerb::kDestroy || end) children_.erase(found);
    }
    answer.Add(end ? 1u : 0u);
    answer.Add(end && end->by_signal ? 1u : 0u);
    answer.Add(end ? static_cast<uint32_t>(end->code) : 0u);
    return SendMessage(kServingSocket, answer.bytes());
  }

  const ProgramStarter::Options& options_;
  std::map<pid_t, ChildProcess> children_;
};

// The first message tells whether the process is ready.
void Serve(int socket, const ProgramStarter::Options& options) {
  prctl(PR_SET_NAME, "shuntd-programs", 0, 0, 0);
  if (socket != kServingSocket && dup2(socket, kServingSocket) < 0) return;
  if (close_range(kServingSocket + 1, ~0u, 0) != 0) return;
  // Not to the programs: dup2() makes a descriptor that they would keep, but they close all above the standard ones.
  const Status prepared = options.prepare ? options.prepare() : Status();
  MessageWriter ready;
  ready.Add(0u);
  if (!SendMessage(kServingSocket, prepared ? ready.bytes() : AnswerOf(prepared.error())) || !prepared) return;
  Serving(options).Run();
}

// What follows the 0 of an answer, or the error in it.
Result<ProgramMessage> Ask(int socket, const std::string& request) {
  const std::string doing = "asking the process that starts programs";
  if (!request.empty())
    if (auto sent = SendMessage(socket, request); !sent) return std::unexpected(sent.error());
  auto answer = ReceiveMessage(socket);
  if (!answer) return answer;
  if (answer->bytes.empty()) return Fail(ErrorKind::kSystem, doing + ": it is gone; restart shuntd");
  MessageReader reader(answer->bytes);
  if (reader.Number() == 0) {
    answer->bytes.erase(0, sizeof(uint32_t));
    return answer;
  }
  const auto kind = static_cast<ErrorKind>(reader.Number());
  return Fail(kind, reader.Text());
}

}  // namespace

Result<std::unique_ptr<ProgramStarter>> ProgramStarter::Fork(const Options& options) {
  const std::string doing = "making the process that starts programs";
  std::array<int, 2> ends{-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return FailErrno(doing, errno);
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return FailErrno(doing, errno);
  if (pid == 0) {
    Serve(theirs.get(), options);
    _exit(0);
  }
  theirs = UniqueFd();
  std::unique_ptr<ProgramStarter> starter(new ProgramStarter(std::move(ours), pid));
  if (auto ready = Ask(starter->socket_.get(), ""); !ready) return Context(doing, ready.error());
  return starter;
}

ProgramStarter::~ProgramStarter() {
  socket_ = UniqueFd();
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<ProgramMessage> ProgramStarter::AskAbout(ProgramVerb verb, pid_t pid) {
  MessageWriter request;
  request.Add(static_cast<uint32_t>(verb));
  request.Add(static_cast<uint32_t>(pid));
  const std::scoped_lock lock(mutex_);
  return Ask(socket_.get(), request.bytes());
}

Result<ChildProcess> ProgramStarter::Start(const ChildCommand& command) {
  MessageWriter request;
  request.Add(static_cast<uint32_t>(ProgramVerb::kStart));
  request.Add(command.arguments);
  request.Add(command.environment);
  request.Add(command.user.user);
  request.Add(command.user.group);
  request.Add(static_cast<uint32_t>(command.user.groups.size()));
  for (const gid_t group : command.user.groups) request.Add(group);
  request.Add(command.user.name);
  request.Add(command.input);
  if (request.bytes().size() > kMaxMessageBytes)
    return Fail(ErrorKind::kInvalid, fmt::format("starting a program: its arguments and its input are longer than {} "
                                                 "bytes",
                                                 kMaxMessageBytes));
  std::unique_lock lock(mutex_);
  auto answer = Ask(socket_.get(), request.bytes());
  lock.unlock();
  if (!answer) return std::unexpected(answer.error());
  const auto pid = static_cast<pid_t>(MessageReader(answer->bytes).Number());
  ChildProcess child(*this, pid, std::move(answer->fd));  // which kills the program if it cannot be watched
  if (child.descriptor() < 0) return Fail(ErrorKind::kSystem, "starting a program: too many open files");
  return child;
}

// A starter that is gone took its programs with it.
void ProgramStarter::Kill(pid_t pid) { static_cast<void>(AskAbout(ProgramVerb::kKill, pid)); }

std::optional<ChildEnd> ProgramStarter::Reap(pid_t pid) {
  const auto answer = AskAbout(ProgramVerb::kReap, pid);
  if (!answer) return ChildEnd{.by_signal = true, .code = SIGKILL};
  MessageReader reader(answer->bytes);
  if (reader.Number() == 0) return std::nullopt;
  const bool by_signal = reader.Number() != 0;
  return ChildEnd{.by_signal = by_signal, .code = static_cast<int>(reader.Number())};
}

void ProgramStarter::Destroy(pid_t pid) { static_cast<void>(AskAbout(ProgramVerb::kDestroy, pid)); }

Result<ChildProcess> StartProgram(ProgramStarter* starter, const ChildCommand& command) {
  return starter ? starter->Start(command) : ChildProcess::Start(command);
}

}  // namespace shunt
