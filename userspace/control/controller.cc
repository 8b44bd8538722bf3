// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/controller.h"

#include <glog/logging.h>
#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "userspace/control/log_once.h"
#include "userspace/control/task_queue.h"
#include "userspace/model/store_file.h"

namespace shunt {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Routes and neighbours change in bursts: the first event of one starts the count, the answer covers all.
constexpr milliseconds kCoalesce{50};
// A real without a next hop, or an error, is looked at again so often, event or not.
constexpr milliseconds kRetry{1000};

}  // namespace

struct Controller::Impl {
  Impl(std::string store_path_in, Dataplane& dataplane_in, NextHopSource& next_hops_in, uint32_t kept_generations)
      : store_path(std::move(store_path_in)),
        dataplane(dataplane_in),
        writer(store_path, dataplane, next_hops_in, events, steady_clock::now, kept_generations),
        next_hops(next_hops_in) {}

  Result<ChangeReport> Post(EditFunction edit, bool dry_run, const ChangeTerms& terms);
  // `work` on the writer thread, which is waited for.
  template <class T>
  Result<T> RunOnWriter(std::function<Result<T>()> work);
  void PostHealth(std::vector<HealthChange> changes);
  void RunOnWriter(void (Writer::*step)());  // waits until it is done

  // The writer thread's.
  void Run();
  void NoteEvent();
  void RefreshNextHops();
  void RefreshWithin(milliseconds delay);
  void NoteHealth();
  void Tend();

  const std::string store_path;
  Dataplane& dataplane;
  EventLog events;
  Writer writer;
  NextHopSource& next_hops;
  std::unique_ptr<TaskQueue> queue;
  std::thread thread;

  std::mutex reports_mutex;  // guards what follows
  InterfaceReport interfaces;
  std::shared_ptr<const AnnounceReport> announcements = std::make_shared<const AnnounceReport>();

  Digests digests;

  std::mutex health_mutex;  // guards what follows
  std::vector<HealthChange> judged;
  std::shared_ptr<const HealthReport> health = std::make_shared<const HealthReport>();

  // The writer thread's.
  SteadyTime refresh_at = SteadyTime::max();
  bool burst = false;           // an event was seen; the rest of its burst waits in the descriptor
  std::string refresh_problem;  // the last one, so that what lasts is logged once
  std::string tend_problem;
};

void Controller::Impl::Run() {
  for (;;) {
    if (!writer.settled()) RefreshWithin(kRetry);
    const SteadyTime due_at = std::min(refresh_at, writer.due_at());
    const auto left = std::chrono::ceil<milliseconds>(due_at - steady_clock::now());
    const int timeout = due_at != SteadyTime::max() ? static_cast<int>(std::max(left, milliseconds(0)).count()) : -1;
    std::array<pollfd, 2> waiting{{{.fd = queue->fd(), .events = POLLIN, .revents = 0},
                                   {.fd = burst ? -1 : next_hops.fd(), .events = POLLIN, .revents = 0}}};
    if (poll(waiting.data(), waiting.size(), timeout) < 0) continue;  // EINTR
    if (waiting[0].revents != 0) {
      const TaskQueue::Task task = queue->Take();
      if (!task) return;
      task();
    }
    if (waiting[1].revents != 0) NoteEvent();
    if (steady_clock::now() >= refresh_at) RefreshNextHops();
    if (steady_clock::now() >= writer.due_at()) Tend();
  }
}

void Controller::Impl::NoteEvent() {
  const auto changed = next_hops.Changed();
  if (changed && !*changed) return;
  burst = true;
  RefreshWithin(changed ? kCoalesce : kRetry);  // an error would be there again at once
}

void Controller::Impl::RefreshNextHops() {
  refresh_at = SteadyTime::max();
  burst = false;
  const Status refreshed = writer.Refresh();
  if (!refreshed) {
    burst = true;
    RefreshWithin(kRetry);
  }
  LogOnce("following next hops: ", refreshed, refresh_problem);
}

// Many at once are one task.
void Controller::Impl::PostHealth(std::vector<HealthChange> changes) {
  const std::lock_guard lock(health_mutex);
  const bool is_posted = !judged.empty();
  std::ranges::move(changes, std::back_inserter(judged));
  // Refused: shuntd is stopping.
  if (!is_posted && !judged.empty()) static_cast<void>(queue->Post([this] { NoteHealth(); }));
}

void Controller::Impl::NoteHealth() {
  std::vector<HealthChange> changes;
  {
    const std::lock_guard lock(health_mutex);
    changes.swap(judged);
  }
  writer.NoteHealth(changes);
}

void Controller::Impl::Tend() { LogOnce("", writer.Tend(), tend_problem); }

void Controller::Impl::RefreshWithin(milliseconds delay) {
  refresh_at = std::min(refresh_at, steady_clock::now() + delay);
}

template <class T>
Result<T> Controller::Impl::RunOnWriter(std::function<Result<T>()> work) {
  // Shared: the waiting caller may be gone before set_value() returns.
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto done = promise->get_future();
  const bool posted = queue->Post([this, promise, work = std::move(work)] {
    NoteHealth();
    promise->set_value(work());
  });
  if (!posted) return Fail(ErrorKind::kSystem, "changing the desired state: shuntd is stopping");
  return done.get();
}

Result<ChangeReport> Controller::Impl::Post(EditFunction edit, bool dry_run, const ChangeTerms& terms) {
  auto report = RunOnWriter<ChangeReport>(
      [this, edit = std::move(edit), dry_run, terms] { return writer.Change(edit, dry_run, terms); });
  // Nobody waits for this; it saves the next change the wait. Refused: shuntd is stopping.
  if (!dry_run) static_cast<void>(queue->Post([this] { writer.Synchronize(); }));
  return report;
}

void Controller::Impl::RunOnWriter(void (Writer::*step)()) {
  auto promise = std::make_shared<std::promise<void>>();
  auto done = promise->get_future();
  const bool posted = queue->Post([this, promise, step] {
    (writer.*step)();
    promise->set_value();
  });
  if (posted) done.get();  // refused: shuntd is stopping
}

Controller::Controller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Controller>> Controller::Open(const std::string& store_path, Dataplane& dataplane,
                                                     NextHopSource& next_hops, uint32_t kept_generations) {
  auto impl = std::make_unique<Impl>(store_path, dataplane, next_hops, kept_generations);
  auto queue = TaskQueue::Create();
  if (!queue) return std::unexpected(queue.error());
  impl->queue = std::move(*queue);
  if (auto adopted = impl->writer.Adopt(); !adopted) return std::unexpected(adopted.error());
  return std::unique_ptr<Controller>(new Controller(std::move(impl)));
}

void Controller::Run() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  pthread_setname_np(impl_->thread.native_handle(), "writer");
}

Result<std::unique_ptr<Controller>> Controller::Start(const std::string& store_path, Dataplane& dataplane,
                                                      NextHopSource& next_hops, uint32_t kept_generations) {
  auto opened = Open(store_path, dataplane, next_hops, kept_generations);
  if (opened) (*opened)->Run();
  return opened;
}

Controller::~Controller() {
  impl_->queue->Close();
  if (impl_->thread.joinable()) impl_->thread.join();
}

bool Controller::Answers(milliseconds patience) {
  // Shared: the task may run when nobody waits for it any more.
  auto promise = std::make_shared<std::promise<void>>();
  const auto answered = promise->get_future();
  return impl_->queue->Post([promise] { promise->set_value(); }) &&
         answered.wait_for(patience) == std::future_status::ready;
}

Result<ChangeReport> Controller::Apply(const DesiredState& wanted, bool dry_run, const ChangeTerms& terms) {
  return impl_->Post(
      [&wanted](DesiredState& state) -> Status {
        state = wanted;
        return {};
      },
      dry_run, terms);
}

Result<ChangeReport> Controller::Edit(const std::function<Status(DesiredState&)>& edit, bool dry_run,
                                      const ChangeTerms& terms) {
  return impl_->Post(edit, dry_run, terms);
}

// A large store takes a while to be read, in which the writer thread has other things to do.
Result<ChangeReport> Controller::Reload(const ChangeTerms& terms) {
  const auto loaded = LoadStore(impl_->store_path, impl_->dataplane.capacities());
  if (!loaded) return std::unexpected(loaded.error());
  ChangeTerms reload = terms;
  reload.read_from = loaded->identity;
  DesiredState wanted = loaded->state;
  if (!wanted.host) wanted.host = HostState::kServe;  // the store is about this host alone
  return Apply(wanted, false, reload);
}

Result<ChangeReport> Controller::Rollback(uint64_t generation, bool dry_run, ChangeTerms terms) {
  auto wanted = LoadGeneration(generation);
  if (!wanted) return std::unexpected(wanted.error());
  wanted->host.reset();  // a host that drains goes on draining, whatever was so then
  terms.rollback_to = generation;
  return Apply(*wanted, dry_run, terms);
}

Result<uint64_t> Controller::Confirm() {
  return impl_->RunOnWriter<uint64_t>([this] { return impl_->writer.Confirm(); });
}

Result<std::vector<Generation>> Controller::ListGenerations() const {
  const auto store = snapshot()->store;  // first: what is written meanwhile stands in both
  auto generations = impl_->writer.history().List();
  if (!generations) return generations;
  for (const Generation& unkept : store->unkept) {
    if (generations->empty() || generations->back().number < unkept.number) generations->push_back(unkept);
  }
  return generations;
}

// What the writer knows needs no disk.
Result<DesiredState> Controller::LoadGeneration(uint64_t generation) const {
  const auto now = snapshot();
  if (generation == now->store->generation) return now->desired;
  const auto& unconfirmed = now->store->unconfirmed;
  if (unconfirmed && unconfirmed->back_to == generation) return *unconfirmed->before;
  return impl_->writer.history().Load(generation);
}

void Controller::NoteHealth(std::vector<HealthChange> changes) { impl_->PostHealth(std::move(changes)); }

void Controller::PublishHealth(std::shared_ptr<const HealthReport> report) {
  const std::lock_guard lock(impl_->health_mutex);
  impl_->health.swap(report);
}

std::shared_ptr<const HealthReport> Controller::health() const {
  const std::lock_guard lock(impl_->health_mutex);
  return impl_->health;
}

void Controller::Ready() { impl_->RunOnWriter(&Writer::TellHost); }

void Controller::Leave() { impl_->RunOnWriter(&Writer::Leave); }

void Controller::PublishInterfaces(InterfaceReport report) {
  const std::lock_guard lock(impl_->reports_mutex);
  impl_->interfaces = std::move(report);
}

InterfaceReport Controller::interfaces() const {
  const std::lock_guard lock(impl_->reports_mutex);
  return impl_->interfaces;
}

void Controller::PublishAnnouncements(AnnounceReport report) {
  auto published = std::make_shared<const AnnounceReport>(std::move(report));
  const std::lock_guard lock(impl_->reports_mutex);
  impl_->announcements = std::move(published);
}

std::shared_ptr<const AnnounceReport> Controller::announcements() const {
  const std::lock_guard lock(impl_->reports_mutex);
  return impl_->announcements;
}

std::map<VipKey, VipDigest> Controller::DigestsOf(const Snapshot& snapshot) { return impl_->digests.Of(snapshot); }

EventLog& Controller::events() { return impl_->events; }

std::shared_ptr<const Snapshot> Controller::snapshot() const { return impl_->writer.snapshot(); }

}  // namespace shunt
