// SPDX-License-Identifier: Apache-2.0
// The only writer of the store and the data plane. A change is validated, planned, prepared on disk, written to the
// data plane, and only then committed to the store; an error at any point puts everything back as it was and says
// so. As time goes by, it follows the reals' health, lets slots settle, removes what has drained and measures what goes
// on. Not here: threads (controller.h), what follows from health (weights.h) and when (health_state.h), what a plan is
// (planner.h), in which order it is written (writes.h), when a slot settles (sweeper.h).
// Everything but snapshot() is called by the controller's writer thread, Adopt() before that thread starts.
// In four files: changes (writer.cc), the start (writer_adopt.cc), what is due as time goes by (writer_tend.cc),
// changes that wait to be confirmed (writer_confirm.cc).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/activity.h"
#include "userspace/control/drains.h"
#include "userspace/control/event_log.h"
#include "userspace/control/generations.h"
#include "userspace/control/health_state.h"
#include "userspace/control/host_phase.h"
#include "userspace/control/liveness.h"
#include "userspace/control/observation.h"
#include "userspace/control/pending_confirmation.h"
#include "userspace/control/sweeper.h"
#include "userspace/control/weights.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/model/desired_state.h"
#include "userspace/model/whole_file.h"
#include "userspace/net/next_hop_source.h"

namespace shunt {

// The store behind the desired state.
struct StoreStatus {
  uint64_t generation = 0;
  std::vector<Generation> unkept;          // those that the history lacks for now
  std::optional<Unconfirmed> unconfirmed;  // the change that waits to be confirmed
};

// What readers see: one consistent moment, never changed once published.
struct Snapshot {
  DesiredState desired;
  Plan plan;
  NextHopTable next_hops;
  Liveness liveness{};    // of the reals of checked VIPs, as it is in force
  WeightTable weights{};  // what followed from it; the ring's members
  HostPhase host = HostPhase::kServing;
  uint64_t generation = 0;  // another one whenever desired state, or id, entry or next hop of a real changed
  std::shared_ptr<const Observation> observed = std::make_shared<const Observation>();
  std::shared_ptr<const StoreStatus> store = std::make_shared<const StoreStatus>();
};

struct ChangeReport {
  std::vector<std::string> changes;                         // lines of Diff(); empty = nothing changed
  std::vector<std::string> warnings;                        // e.g. a real without a next hop yet, or flows that move
  uint64_t generation = 0;                                  // of the store, in force afterwards
  std::optional<std::chrono::seconds> confirm_within = {};  // else it is taken back, to
  uint64_t back_to = 0;                                     // this generation
};

// What a change is beside its edit.
struct ChangeTerms {
  std::string by = "unknown";                               // for the history: the verb, and who
  std::optional<std::chrono::seconds> confirm_within = {};  // else it is taken back; unset: it is final
  std::optional<FileIdentity> read_from = {};  // the store holds it already, in the file of this identity (reload)
  std::optional<uint64_t> rollback_to = {};    // it goes back to this generation
};

using EditFunction = std::function<Status(DesiredState&)>;

using Clock = std::function<SteadyTime()>;

class Writer {
 public:
  // `now` tells plans and slots the time; waiting for next hops goes by the real one. `kept_generations`: older ones.
  Writer(std::string store_path, Dataplane& dataplane, NextHopSource& next_hops, EventLog& events,
         Clock now = std::chrono::steady_clock::now, uint32_t kept_generations = kDefaultKeptGenerations);

  // The first call: loads the store, adopts what the data plane holds and writes the differences.
  Status Adopt();

  Result<ChangeReport> Change(const EditFunction& edit, bool dry_run, const ChangeTerms& terms = {});

  // The change that waits is final; the generation that is.
  Result<uint64_t> Confirm();

  // Tells the host's state as an event: packets are balanced from now on.
  void TellHost();
  // From now on the host leaves. Tells it; the same again changes nothing.
  void Leave();

  // Plans and writes what became of the next hops, and mends what an undo could not.
  Status Refresh();

  // Judgements, newest last. They take effect in Tend(), or with the next change.
  void NoteHealth(const std::vector<HealthChange>& changes);

  // What is due by now, bounded: a change that nobody confirmed is taken back, what follows from the reals' health, a
  // step of the sweeper, drains that ended, a turn of the estimates, what the history lacks. Nothing is due before
  // due_at().
  Status Tend();
  SteadyTime due_at() const;

  // Waits until no packet is under way that met what the last change replaced, so that the next one need not.
  void Synchronize();

  // False: some real has no next hop, or an error left something to mend; Refresh() is to be called before long.
  bool settled() const { return all_resolved_ && follows_current_ && !plan_in_doubt_ && !store_in_doubt_; }

  std::shared_ptr<const Snapshot> snapshot() const;                       // any thread; never null
  const StoreHistory& history() const { return generations_.history(); }  // any thread

 private:
  Result<DesiredState> LoadOrCreateStore();
  Status Save(const DesiredState& state);
  void OpenHistory(const DesiredState& in_force);
  Status MayChange(const ChangeTerms& terms);
  Result<ChangeReport> ChangeNothing(ChangeReport report, const DesiredState& wanted, bool lacks_key, bool dry_run,
                                     const ChangeTerms& terms);
  Result<std::optional<WholeWrite>> PrepareStoreFor(const DesiredState& wanted, bool lacks_key,
                                                    const ChangeTerms& terms);
  Status CommitStore(std::optional<WholeWrite>& store, const ChangeTerms& terms);
  void GiveUpConfirmation(const ChangeTerms& terms);
  void NoteGeneration(const DesiredState& state, const ChangeTerms& terms, ChangeReport& report);
  Result<NextHopTable> Resolve(const DesiredState& wanted, std::chrono::milliseconds patience);
  Result<Plan> MakeNextPlan(const DesiredState& desired, const WeightTable& weights, const NextHopTable& next_hops,
                            const WeightTable* reweighed = nullptr) const;
  Status Write(const Plan& plan);
  Error Undo(const Error& cause, const Plan& attempted);
  Result<Plan> ReadPlan();
  Status ReadBack();
  Status PutBackStore();
  Status FollowNextHops();
  HostPhase PhaseOf(const DesiredState& desired) const;
  Status FollowHealth(SteadyTime now);
  Status Sweep(SteadyTime now);
  Status EndDrains(SteadyTime now);
  Status TakeBackUnconfirmed(SteadyTime now);
  Status KeepGenerations(SteadyTime now);
  Status MeasureActivity(SteadyTime now);
  void Publish(Snapshot next);

  const std::string store_path_;
  Dataplane& dataplane_;
  NextHopSource& next_hops_;
  EventLog& events_;
  const Clock now_;
  HealthState health_;
  Drains drains_;
  Sweeper sweeper_;
  ActivityMeter meter_;
  Generations generations_;
  PendingConfirmation pending_;
  std::optional<FileIdentity> store_identity_;  // of the store as it was read or written last
  std::map<VipKey, VipActivity> activity_;      // as it was measured last
  SteadyTime measure_at_;
  bool leaving_ = false;
  bool all_resolved_ = true;     // every real of the snapshot has a next hop
  bool follows_current_ = true;  // `next_hops_` follows the reals of the snapshot, not those of a change that failed
  bool plan_in_doubt_ = false;   // an undo failed: the snapshot's plan may not be what the data plane holds
  bool store_in_doubt_ = false;  // the store holds a change that was taken back, and could not be put back itself

  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> current_;  // written under mutex_ and by the writer alone, which reads it without
};

}  // namespace shunt
