// SPDX-License-Identifier: Apache-2.0
// The writer thread: everything that changes the store or the data plane runs on it, one after another. Changes
// come from any thread, which waits; changed next hops come from the kernel; slots settle as time goes by. Not here:
// what a change is (writer.h).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/control/announce_report.h"
#include "userspace/control/digests.h"
#include "userspace/control/event_log.h"
#include "userspace/control/health_report.h"
#include "userspace/control/interface_report.h"
#include "userspace/control/liveness.h"
#include "userspace/control/writer.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/model/desired_state.h"
#include "userspace/net/next_hop_source.h"

namespace shunt {

class Controller {
 public:
  // Loads the store (a missing one is created empty with a fresh hash key), adopts what the data plane holds and
  // writes the differences. An invalid store is an error with all its problems, and the data plane is not touched.
  // `dataplane` and `next_hops` outlive the controller; `next_hops` is its alone from now on.
  // `kept_generations`: how many older stores are kept beside it.
  static Result<std::unique_ptr<Controller>> Start(const std::string& store_path, Dataplane& dataplane,
                                                   NextHopSource& next_hops,
                                                   uint32_t kept_generations = kDefaultKeptGenerations);
  // Start() in two steps, for a caller that gives up rights in between, which only a thread can for itself: Open() does
  // all but start the writer thread, Run() starts it, once, and first of all that is called.
  static Result<std::unique_ptr<Controller>> Open(const std::string& store_path, Dataplane& dataplane,
                                                  NextHopSource& next_hops,
                                                  uint32_t kept_generations = kDefaultKeptGenerations);
  void Run();
  ~Controller();  // finishes the changes under way and stops the thread; the data plane stays as it is

  // Each runs on the writer thread, one after another; the caller waits. An all-zero hash key in `wanted` means
  // the one in force. A dry run reports what would change and plans it, but touches nothing.
  Result<ChangeReport> Apply(const DesiredState& wanted, bool dry_run, const ChangeTerms& terms = {});
  // `edit` changes a copy of the desired state or says why it cannot.
  Result<ChangeReport> Edit(const std::function<Status(DesiredState&)>& edit, bool dry_run = false,
                            const ChangeTerms& terms = {});
  // Reads the store again, which somebody edited, and makes the differences.
  Result<ChangeReport> Reload(const ChangeTerms& terms);
  // A change whose wanted state is that of a generation that is kept.
  Result<ChangeReport> Rollback(uint64_t generation, bool dry_run, ChangeTerms terms);
  // The change that waits is final; the generation that is.
  Result<uint64_t> Confirm();

  // The generations that are kept, the one in force last. Any thread; these read the disk and hold nobody up.
  Result<std::vector<Generation>> ListGenerations() const;
  Result<DesiredState> LoadGeneration(uint64_t generation) const;

  // Judgements of health/, newest last; any thread, returns at once. Of reals that are gone meanwhile they are ignored.
  void NoteHealth(std::vector<HealthChange> changes);
  void PublishHealth(std::shared_ptr<const HealthReport> report);  // any thread

  // Packets are balanced from now on: tells the host's state, as the first event that a hook can act on.
  void Ready();
  // The host leaves, until the end: told by an event, which is in the log when this returns. Waits for the changes
  // under way. Any thread.
  void Leave();
  void PublishInterfaces(InterfaceReport report);    // any thread
  void PublishAnnouncements(AnnounceReport report);  // any thread
  // Whether the writer thread takes up a task within this time: else it hangs, or has a very long change to make.
  bool Answers(std::chrono::milliseconds patience);  // any thread

  std::shared_ptr<const Snapshot> snapshot() const;             // any thread; never null
  std::shared_ptr<const HealthReport> health() const;           // any thread; never null
  InterfaceReport interfaces() const;                           // any thread
  std::shared_ptr<const AnnounceReport> announcements() const;  // any thread; never null
  // Of a snapshot; the rings' are remembered between calls.
  std::map<VipKey, VipDigest> DigestsOf(const Snapshot& snapshot);  // any thread
  EventLog& events();                                               // any thread

 private:
  struct Impl;
  explicit Controller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt
