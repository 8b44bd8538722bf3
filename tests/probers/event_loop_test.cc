// SPDX-License-Identifier: Apache-2.0
// The event loop: order, cancelling, and descriptors that change hands while events are handled.
#include "userspace/health/event_loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <catch2/catch.hpp>
#include <thread>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<EventLoop> MakeLoop() {
  auto loop = EventLoop::Create();
  REQUIRE(loop);
  // No test may wait for ever.
  (*loop)->At(std::chrono::steady_clock::now() + std::chrono::seconds(20), [] { FAIL("nothing happened"); });
  return std::move(*loop);
}

UniqueFd Readable() { return UniqueFd(eventfd(1, EFD_CLOEXEC)); }

TEST_CASE("timers fire in the order of their times, equal ones in the order they were set") {
  auto loop = MakeLoop();
  const auto now = std::chrono::steady_clock::now();
  std::string fired;
  loop->At(now + milliseconds(3), [&] { loop->Stop(); });
  loop->At(now + milliseconds(2), [&] { fired += 'c'; });
  loop->At(now, [&] { fired += 'a'; });
  loop->At(now, [&] { fired += 'b'; });
  loop->Run();
  CHECK(fired == "abc");
}

TEST_CASE("no timer fires early") {
  auto loop = MakeLoop();
  for (int i = 0; i < 5; ++i) {
    const auto when = std::chrono::steady_clock::now() + std::chrono::microseconds(1700);
    loop->At(when, [&] {
      CHECK(std::chrono::steady_clock::now() >= when);
      loop->Stop();
    });
    loop->Run();
  }
}

TEST_CASE("a cancelled timer does not fire, not even one that is due in the same moment as the one that cancels it") {
  auto loop = MakeLoop();
  const auto now = std::chrono::steady_clock::now();
  std::string fired;
  EventLoop::TimerId second = 0;
  loop->At(now, [&] { loop->Cancel(second); });
  second = loop->At(now, [&] { fired += "cancelled "; });
  const auto third = loop->At(now + milliseconds(1), [&] { fired += "cancelled "; });
  loop->Cancel(third);
  loop->Cancel(third);
  loop->At(now + milliseconds(2), [&] {
    fired += "last";
    loop->Stop();
  });
  loop->Run();
  CHECK(fired == "last");
}

TEST_CASE("cancelling a timer that fired leaves the one in its place alone") {
  auto loop = MakeLoop();
  EventLoop::TimerId first = 0;
  bool fired = false;
  first = loop->At({}, [&] {
    loop->At({}, [&] {
      fired = true;
      loop->Stop();
    });
    loop->Cancel(first);
  });
  loop->Run();
  CHECK(fired);
}

TEST_CASE("a hundred thousand timers set and cancelled neither fire nor stay") {
  auto loop = MakeLoop();
  const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
  const auto held = std::make_shared<int>(0);
  for (int i = 0; i < 100000; ++i) loop->Cancel(loop->At(later, [held] { FAIL("it was cancelled"); }));
  CHECK(held.use_count() == 1);
  loop->At({}, [&] { loop->Stop(); });
  loop->Run();
}

TEST_CASE("a timer that sets itself again at once lets descriptors have their turn") {
  auto loop = MakeLoop();
  const UniqueFd fd = Readable();
  std::function<void()> again = [&] { loop->At({}, again); };
  again();
  REQUIRE(loop->Watch(fd.get(), EPOLLIN, [&](uint32_t) { loop->Stop(); }));
  loop->Run();
}

TEST_CASE("what was unwatched by a callback of the same batch is not called") {
  auto loop = MakeLoop();
  const std::array<UniqueFd, 2> fds{Readable(), Readable()};
  int called = 0;
  for (const UniqueFd& fd : fds) {
    REQUIRE(loop->Watch(fd.get(), EPOLLIN, [&](uint32_t) {
      ++called;
      for (const UniqueFd& each : fds) loop->Unwatch(each.get());
      loop->At(std::chrono::steady_clock::now() + milliseconds(5), [&] { loop->Stop(); });
    }));
  }
  loop->Run();
  CHECK(called == 1);
}

TEST_CASE("a descriptor whose number is used again within a batch does not get the events of the one before") {
  auto loop = MakeLoop();
  std::array<UniqueFd, 2> fds{Readable(), Readable()};
  int called = 0;
  bool stale = false;
  for (size_t mine : {size_t{0}, size_t{1}}) {
    REQUIRE(loop->Watch(fds[mine].get(), EPOLLIN, [&, mine](uint32_t) {
      ++called;
      loop->Unwatch(fds[mine].get());
      // The other, whose event is in the same batch, gives its number to one that is never readable.
      UniqueFd& other = fds[1 - mine];
      const int number = other.get();
      loop->Unwatch(number);
      UniqueFd quiet(eventfd(0, EFD_CLOEXEC));
      REQUIRE(dup3(quiet.get(), number, O_CLOEXEC) == number);
      REQUIRE(loop->Watch(number, EPOLLIN, [&](uint32_t) { stale = true; }));
      loop->At(std::chrono::steady_clock::now() + milliseconds(5), [&] { loop->Stop(); });
    }));
  }
  loop->Run();
  CHECK(called == 1);
  CHECK_FALSE(stale);
}

TEST_CASE("a callback may unwatch itself, watch itself anew, and watch many others") {
  auto loop = MakeLoop();
  const UniqueFd fd = Readable();
  std::vector<UniqueFd> others;
  const std::string kept(100, 'k');  // so long that a destroyed callback would be noticed
  REQUIRE(loop->Watch(fd.get(), EPOLLIN, [&, kept](uint32_t) {
    loop->Unwatch(fd.get());
    for (int i = 0; i < 500; ++i) {
      others.push_back(UniqueFd(eventfd(0, EFD_CLOEXEC)));
      REQUIRE(loop->Watch(others.back().get(), EPOLLIN, [](uint32_t) { FAIL("never readable"); }));
    }
    CHECK(kept == std::string(100, 'k'));
    REQUIRE(loop->Watch(fd.get(), EPOLLIN, [&](uint32_t) { loop->Stop(); }));
  }));
  loop->Run();
}

TEST_CASE("a descriptor closed without being unwatched can be watched again") {
  auto loop = MakeLoop();
  int number = 0;
  {
    const UniqueFd fd = Readable();
    number = fd.get();
    REQUIRE(loop->Watch(number, EPOLLIN, [](uint32_t) { FAIL("it is closed"); }));
  }
  const UniqueFd fd = Readable();
  REQUIRE(fd.get() == number);
  REQUIRE(loop->Watch(number, EPOLLIN, [&](uint32_t) { loop->Stop(); }));
  loop->Run();
}

TEST_CASE("what cannot be watched is an error that names it") {
  auto loop = MakeLoop();
  const auto watching = loop->Watch(900, EPOLLIN, [](uint32_t) {});
  REQUIRE_FALSE(watching);
  CHECK(watching.error().message == "watching descriptor 900: Bad file descriptor");
}

TEST_CASE("any number of wakes from other threads is one call, and none is lost") {
  auto loop = MakeLoop();
  int calls = 0;
  loop->OnWake([&] {
    ++calls;
    loop->Stop();
  });
  std::thread([&] {
    for (int i = 0; i < 1000; ++i) loop->Wake();
  }).join();
  loop->Run();
  CHECK(calls == 1);
  for (int i = 0; i < 1000; ++i) {
    std::thread waker([&] { loop->Wake(); });
    loop->Run();
    waker.join();
  }
  CHECK(calls == 1001);
}

TEST_CASE("Stop from another thread ends the loop, and one before Run ends the next Run") {
  auto loop = MakeLoop();
  loop->Stop();
  loop->Run();
  std::thread stopper([&] { loop->Stop(); });
  loop->Run();
  stopper.join();
}

}  // namespace
}  // namespace shunt
