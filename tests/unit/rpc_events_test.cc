// SPDX-License-Identifier: Apache-2.0
// Health and events end to end: gRPC's stream on a real socket, and shuntctl as a process of its own that follows it.
#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <vector>

#include "tests/unit/control_testing.h"
#include "tests/unit/rpc_testing.h"
#include "userspace/base/unique_fd.h"
#include "userspace/rpc/service.h"

namespace shunt {
namespace {

using testing::Contains;
using testing::Eventually;
using Daemon = testing::RpcDaemon;

void AddEvent(Daemon& daemon, const std::string& real) {
  Event event;
  event.kind = "real_down";
  event.vip = testing::kRpcVip;
  event.real = real;
  event.cause = "a test";
  daemon.controller->events().Add(std::move(event));
}

constexpr std::chrono::seconds kPatience{10};  // then a stream is cancelled, so that a test fails instead of hanging

// What the stream tells next.
Result<std::optional<v1::Event>> NextOf(ctl::EventStream& stream) {
  auto next = std::async(std::launch::async, [&] { return stream.Next(); });
  if (next.wait_for(kPatience) != std::future_status::ready) stream.Cancel();
  return next.get();
}

std::string RealOf(const Result<std::optional<v1::Event>>& event) {
  REQUIRE(event);
  REQUIRE(*event);
  return (*event)->real();
}

// A watcher that the daemon has taken in: a stub of its own, because only gRPC tells that.
struct Watcher {
  explicit Watcher(const Daemon& daemon)
      : stub(v1::Shunt::NewStub(grpc::CreateChannel("unix:" + daemon.socket, grpc::InsecureChannelCredentials()))) {
    v1::EventsRequest request;
    request.set_only_new(true);
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    reader = stub->WatchEvents(&context, request);
    reader->WaitForInitialMetadata();
  }
  // Cancelled, and the status taken.
  grpc::Status End() {
    context.TryCancel();
    return Finish();
  }
  grpc::Status Finish() {
    v1::Event event;
    while (reader->Read(&event)) {
    }
    return reader->Finish();
  }

  std::unique_ptr<v1::Shunt::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader;
};

TEST_CASE("Health is told over the API, of a VIP that is not there with the remedy", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  v1::VipRequest vip;
  vip.mutable_vip()->set_vip(testing::kRpcVip);
  vip.mutable_vip()->mutable_health()->set_kind(v1::CHECK_KIND_TCP);
  REQUIRE(daemon.client->SetVip(vip));
  HealthReport report;
  report.totals.targets = 2;
  daemon.controller->PublishHealth(std::make_shared<const HealthReport>(report));

  const auto health = daemon.client->GetHealth({});
  REQUIRE(health);
  REQUIRE(health->vips_size() == 1);
  CHECK(health->vips(0).reals_size() == 2);
  CHECK(health->vips(0).reals(0).health() == "up");  // has served unchecked
  CHECK(health->totals().targets() == 2);
  v1::GetHealthRequest request;
  request.set_vip("203.0.113.99:443/tcp");
  const auto none = daemon.client->GetHealth(request);
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::kNotFound);
  CHECK(Contains(none.error().message, "shuntctl vip list"));
  request.set_vip("203.0.113.99");
  CHECK(daemon.client->GetHealth(request).error().kind == ErrorKind::kInvalid);
}

TEST_CASE("Explain tells that the VIP's only real is down", "[rpc]") {
  Daemon daemon;
  daemon.AddVipWithReals();
  v1::VipRequest vip;
  vip.mutable_vip()->set_vip(testing::kRpcVip);
  vip.mutable_vip()->mutable_health()->set_kind(v1::CHECK_KIND_TCP);
  vip.mutable_vip()->set_panic_action(v1::PANIC_ACTION_FAIL_CLOSED);
  REQUIRE(daemon.client->SetVip(vip));
  const VipKey key = *VipKey::Parse(testing::kRpcVip);
  daemon.controller->NoteHealth({{key, *IpAddress::Parse("10.0.0.11"), Health::kDown, "a test"}});
  REQUIRE(Eventually([&] { return daemon.client->GetState()->vips(0).mode() == "panic_closed"; }));

  v1::ExplainRequest request;
  request.set_source("198.51.100.7:40000");
  request.set_destination(testing::kRpcVip);
  const auto explanation = daemon.client->Explain(request);
  REQUIRE(explanation);
  CHECK(explanation->verdict() == "DROP_NO_REAL");
  std::string health;
  for (const v1::Step& step : explanation->steps()) {
    if (step.stage() == "health") health = step.sentence();
  }
  CHECK(Contains(health, "only the healthy ones take traffic"));
  CHECK(Contains(health, "1 of 2 reals down"));
  CHECK(daemon.client->GetState()->vips(0).reals(0).health() == "down");
  // What happened is in the history, for the real and for the VIP.
  v1::EventsRequest events;
  events.set_real("10.0.0.11");
  CHECK(daemon.client->ListEvents(events)->events(0).kind() == "real_down");
}

TEST_CASE("Events are listed with filter and limit, and bad names are refused", "[rpc]") {
  Daemon daemon;
  for (const char* real : {"10.0.0.11", "10.0.0.12", "10.0.0.13"}) AddEvent(daemon, real);
  v1::EventsRequest request;
  CHECK(daemon.client->ListEvents(request)->events_size() == 3);
  request.set_limit(1);
  CHECK(daemon.client->ListEvents(request)->events(0).real() == "10.0.0.13");
  request.set_real("10.0.0.11");
  CHECK(daemon.client->ListEvents(request)->events(0).id() == 1);
  request.set_real("10.0.0");
  CHECK(daemon.client->ListEvents(request).error().kind == ErrorKind::kInvalid);
  CHECK(NextOf(*daemon.client->WatchEvents(request)).error().kind == ErrorKind::kInvalid);
}

TEST_CASE("A stream of events begins with those kept and goes on as they happen", "[rpc]") {
  Daemon daemon;
  AddEvent(daemon, "10.0.0.11");
  const auto stream = daemon.client->WatchEvents({});
  CHECK(RealOf(NextOf(*stream)) == "10.0.0.11");
  AddEvent(daemon, "10.0.0.12");
  CHECK(RealOf(NextOf(*stream)) == "10.0.0.12");
  stream->Cancel();
  const auto end = NextOf(*stream);
  REQUIRE(end);
  CHECK_FALSE(*end);
}

TEST_CASE("A watcher that was taken in gets everything from then on", "[rpc]") {
  Daemon daemon;
  AddEvent(daemon, "10.0.0.11");
  Watcher watcher(daemon);
  AddEvent(daemon, "10.0.0.12");
  v1::Event event;
  REQUIRE(watcher.reader->Read(&event));
  CHECK(event.id() == 2);
  CHECK(watcher.End().error_code() == grpc::StatusCode::CANCELLED);
}

TEST_CASE("The 65th watcher is refused with the remedy, and taken when another one ends", "[rpc]") {
  Daemon daemon;
  AddEvent(daemon, "10.0.0.11");
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < kMaxWatchers; ++i) watchers.push_back(std::make_unique<Watcher>(daemon));
  const grpc::Status refused = Watcher(daemon).Finish();
  CHECK(refused.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(Contains(refused.error_message(), "64 readers watch already"));
  CHECK(Contains(refused.error_message(), "shuntctl events"));
  const auto by_client = NextOf(*daemon.client->WatchEvents({}));
  REQUIRE_FALSE(by_client);
  CHECK(by_client.error().kind == ErrorKind::kSystem);

  watchers.back()->End();
  watchers.pop_back();
  CHECK(Eventually([&] {
    const auto next = NextOf(*daemon.client->WatchEvents({}));
    return next && *next;
  }));
  for (auto& watcher : watchers) watcher->End();
}

TEST_CASE("A closed log ends every watcher, after the last event", "[rpc]") {
  Daemon daemon;
  Watcher watcher(daemon);
  const auto stream = daemon.client->WatchEvents({});
  AddEvent(daemon, "10.0.0.11");
  daemon.controller->events().Close();
  v1::Event event;
  REQUIRE(watcher.reader->Read(&event));
  CHECK(event.real() == "10.0.0.11");
  CHECK(watcher.Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(RealOf(NextOf(*stream)) == "10.0.0.11");
  const auto gone = NextOf(*stream);
  REQUIRE_FALSE(gone);
  CHECK(Contains(gone.error().message, "went away: shuntd is stopping"));
}

// ---- shuntctl events --follow as a process

class Follower {
 public:
  explicit Follower(const Daemon& daemon) {
    int out[2], err[2];
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    REQUIRE(pipe2(err, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    std::vector<std::string> words = {SHUNTCTL_PATH, "--socket=" + daemon.socket, "-o", "json", "events", "--follow"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    REQUIRE(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = UniqueFd(out[0]);
    err_ = UniqueFd(err[0]);
  }
  ~Follower() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  std::string Line() { return Read(out_, true); }
  std::string Words() { return Read(err_, false); }
  void CloseOutput() { out_ = UniqueFd(); }
  void Signal(int number) const { REQUIRE(kill(pid_, number) == 0); }

  // As a shell tells it: 128 and the signal if that ended it; -1: still there after ten seconds.
  int Status() {
    int status = 0;
    if (!Eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  // Up to the end, or of a line; what came within ten seconds.
  static std::string Read(const UniqueFd& from, bool one_line) {
    constexpr int kPatienceMs = 10000;
    std::string text;
    char c = 0;
    pollfd waiting{.fd = from.get(), .events = POLLIN, .revents = 0};
    while (poll(&waiting, 1, kPatienceMs) == 1 && read(from.get(), &c, 1) == 1) {
      if (one_line && c == '\n') break;
      text += c;
    }
    return text;
  }

  pid_t pid_ = 0;
  UniqueFd out_, err_;
};

TEST_CASE("shuntctl that follows prints each event at once, and ends quietly when interrupted", "[rpc]") {
  Daemon daemon;
  AddEvent(daemon, "10.0.0.11");
  Follower follower(daemon);
  CHECK(Contains(follower.Line(), R"("kind":"real_down","vip":"203.0.113.10:443/tcp","real":"10.0.0.11")"));
  AddEvent(daemon, "10.0.0.12");
  CHECK(Contains(follower.Line(), R"("id":2,)"));
  follower.Signal(SIGINT);
  CHECK(follower.Status() == 0);
  CHECK(follower.Words().empty());
}

TEST_CASE("shuntctl that follows ends when nobody reads it any more, without waiting for an event", "[rpc]") {
  Daemon daemon;
  AddEvent(daemon, "10.0.0.11");
  Follower follower(daemon);
  CHECK_FALSE(follower.Line().empty());
  follower.CloseOutput();
  CHECK(follower.Status() == 0);
  CHECK(follower.Words().empty());
}

TEST_CASE("shuntctl that follows says when the daemon goes away", "[rpc]") {
  Daemon daemon;
  AddEvent(daemon, "10.0.0.11");
  Follower follower(daemon);
  CHECK_FALSE(follower.Line().empty());
  daemon.controller->events().Close();
  daemon.server.reset();
  CHECK(follower.Status() == 1);
  CHECK(Contains(follower.Words(), "went away"));
}

}  // namespace
}  // namespace shunt
