// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "userspace/base/unique_fd.h"

namespace shunt {
namespace {

constexpr int kBatch = 256;
constexpr int kBatches = 64;  // of descriptors that are ready, before timers have their turn
// Cancelled timers stay in the heap until their time comes, or until they are this many and more than half of it.
constexpr size_t kFewCancelled = 1024;

// A descriptor, or a place in a table, and how often it had been given away before: what of old is told from what
// took its place.
constexpr uint64_t Pack(uint32_t generation, uint32_t index) { return uint64_t{generation} << 32 | index; }
constexpr uint32_t Generation(uint64_t packed) { return static_cast<uint32_t>(packed >> 32); }
constexpr uint32_t Index(uint64_t packed) { return static_cast<uint32_t>(packed); }

}  // namespace

struct EventLoop::Impl {
  struct Watched {
    bool watched = false;
    uint32_t generation = 0;
    Ready ready;
  };
  struct Timer {
    bool pending = false;
    uint32_t generation = 1;  // so that no id is 0
    Fire fire;
  };
  struct Due {
    SteadyTime when;
    uint64_t sequence;
    TimerId timer;
    // std::push_heap keeps the greatest in front: the greatest is the one that is due first.
    bool operator<(const Due& other) const {
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };

  bool IsPending(TimerId id) const {
    const uint32_t index = Index(id);
    return index < timers.size() && timers[index].pending && timers[index].generation == Generation(id);
  }
  Fire Take(TimerId id);
  void DropCancelled();
  void FireDue(SteadyTime now);
  bool WaitAndHandle();  // false: epoll itself failed
  void Handle(const epoll_event& event);
  const timespec* UntilNextTimer(timespec& left);

  UniqueFd epoll, wake;
  std::atomic<bool> stopping = false, woken = false;
  Fire on_wake;
  std::vector<Watched> watched;  // by descriptor
  std::vector<Timer> timers;
  std::vector<uint32_t> free_timers;
  std::vector<Due> heap;  // cancelled ones among them
  size_t cancelled = 0;
  uint64_t next_sequence = 0;
  std::vector<TimerId> firing;
};

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLoop::~EventLoop() = default;

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  auto impl = std::make_unique<Impl>();
  impl->epoll = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!impl->epoll.valid()) return FailErrno("making the checker's event loop", errno);
  impl->wake = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->wake.valid()) return FailErrno("making the event that wakes the checker", errno);
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(impl)));
  auto watching = loop->Watch(loop->impl_->wake.get(), EPOLLIN, [self = loop->impl_.get()](uint32_t) {
    uint64_t count = 0;
    // Read before `woken` is taken: a Wake() in between makes one call too many, never one too few.
    [[maybe_unused]] const auto bytes = read(self->wake.get(), &count, sizeof(count));
    if (self->woken.exchange(false) && self->on_wake) self->on_wake();
  });
  if (!watching) return std::unexpected(watching.error());
  return loop;
}

Status EventLoop::Watch(int fd, uint32_t events, Ready ready) {
  const auto index = static_cast<size_t>(fd);
  if (index >= impl_->watched.size()) impl_->watched.resize(index + 1);
  Impl::Watched& entry = impl_->watched[index];
  ++entry.generation;
  epoll_event event{};
  event.events = events;
  event.data.u64 = Pack(entry.generation, static_cast<uint32_t>(fd));
  const int first = entry.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(impl_->epoll.get(), first, fd, &event) != 0) {
    // Closed without Unwatch() and given out again by the kernel.
    const bool gone = first == EPOLL_CTL_MOD && errno == ENOENT;
    if (!gone || epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      const int error = errno;
      entry.watched = false;
      entry.ready = nullptr;
      return FailErrno("watching descriptor " + std::to_string(fd), error);
    }
  }
  entry.watched = true;
  entry.ready = std::move(ready);
  return {};
}

void EventLoop::Unwatch(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (index >= impl_->watched.size() || !impl_->watched[index].watched) return;
  Impl::Watched& entry = impl_->watched[index];
  entry.watched = false;
  ++entry.generation;
  entry.ready = nullptr;
  epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::At(SteadyTime when, Fire fire) {
  if (impl_->free_timers.empty()) {
    impl_->free_timers.push_back(static_cast<uint32_t>(impl_->timers.size()));
    impl_->timers.emplace_back();
  }
  const uint32_t index = impl_->free_timers.back();
  impl_->free_timers.pop_back();
  Impl::Timer& timer = impl_->timers[index];
  timer.pending = true;
  timer.fire = std::move(fire);
  const TimerId id = Pack(timer.generation, index);
  impl_->heap.push_back({when, impl_->next_sequence++, id});
  std::push_heap(impl_->heap.begin(), impl_->heap.end());
  return id;
}

void EventLoop::Cancel(TimerId timer) {
  if (!impl_->IsPending(timer)) return;
  const Fire dropped = impl_->Take(timer);  // destroyed last: what it holds may come back here
  ++impl_->cancelled;
  if (impl_->cancelled > kFewCancelled && impl_->cancelled > impl_->heap.size() / 2) impl_->DropCancelled();
}

// Its function, and its place is free for another.
EventLoop::Fire EventLoop::Impl::Take(TimerId id) {
  Timer& timer = timers[Index(id)];
  timer.pending = false;
  if (++timer.generation == 0) timer.generation = 1;
  free_timers.push_back(Index(id));
  return std::exchange(timer.fire, nullptr);
}

void EventLoop::Impl::DropCancelled() {
  std::erase_if(heap, [this](const Due& due) { return !IsPending(due.timer); });
  std::make_heap(heap.begin(), heap.end());
  cancelled = 0;
}

void EventLoop::Impl::FireDue(SteadyTime now) {
  // Only what is due now: a timer that sets itself again at once must not keep the descriptors waiting.
  firing.clear();
  while (!heap.empty() && (heap.front().when <= now || !IsPending(heap.front().timer))) {
    std::pop_heap(heap.begin(), heap.end());
    const TimerId timer = heap.back().timer;
    heap.pop_back();
    if (IsPending(timer)) {
      firing.push_back(timer);
    } else if (cancelled > 0) {
      --cancelled;
    }
  }
  for (const TimerId timer : firing) {
    if (!IsPending(timer)) {  // cancelled by one before it, when it was no longer in the heap
      if (cancelled > 0) --cancelled;
      continue;
    }
    const Fire fire = Take(timer);
    fire();
  }
}

const timespec* EventLoop::Impl::UntilNextTimer(timespec& left) {
  if (heap.empty()) return nullptr;
  const auto wait = std::max(SteadyTime::duration{}, heap.front().when - std::chrono::steady_clock::now());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
  left.tv_sec = seconds.count();
  left.tv_nsec = std::chrono::nanoseconds(wait - seconds).count();
  return &left;
}

void EventLoop::Impl::Handle(const epoll_event& event) {
  const size_t index = Index(event.data.u64);
  const uint32_t generation = Generation(event.data.u64);
  // Unwatched, or watched for something else, by a callback of the same batch.
  if (!watched[index].watched || watched[index].generation != generation) return;
  // Not called in its place: it may watch others (the table moves) or unwatch itself (it would be destroyed).
  Ready ready = std::move(watched[index].ready);
  ready(event.events);
  if (watched[index].watched && watched[index].generation == generation) watched[index].ready = std::move(ready);
}

bool EventLoop::Impl::WaitAndHandle() {
  std::array<epoll_event, kBatch> events;
  timespec left{};
  const timespec* wait = UntilNextTimer(left);
  for (int batch = 0; batch < kBatches; ++batch) {
    const int count = epoll_pwait2(epoll.get(), events.data(), kBatch, wait, nullptr);
    if (count < 0) return errno == EINTR;
    for (int i = 0; i < count; ++i) Handle(events[static_cast<size_t>(i)]);
    if (count < kBatch) return true;
    left = {};
    wait = &left;
  }
  return true;
}

void EventLoop::OnWake(Fire fire) { impl_->on_wake = std::move(fire); }

void EventLoop::Run() {
  while (!impl_->stopping) {
    // Timers that were due before the descriptors were looked at, and no others: where this thread had to wait for a
    // CPU, an answer that came in time is seen before its timeout.
    const SteadyTime looked_at = std::chrono::steady_clock::now();
    if (!impl_->WaitAndHandle() || impl_->stopping) break;
    impl_->FireDue(looked_at);
  }
  impl_->stopping = false;
}

void EventLoop::Wake() {
  if (impl_->woken.exchange(true)) return;  // the event is on its way
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = write(impl_->wake.get(), &one, sizeof(one));
}

void EventLoop::Stop() {
  impl_->stopping = true;
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = write(impl_->wake.get(), &one, sizeof(one));
}

}  // namespace shunt
