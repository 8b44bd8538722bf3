// SPDX-License-Identifier: Apache-2.0
// What a change means for the store: whether it may be written now, its generation, and taking it back where nobody
// confirms it.
#include <fmt/format.h>
#include <glog/logging.h>

#include <utility>

#include "userspace/control/writer.h"
#include "userspace/model/store_file.h"

namespace shunt {
namespace {

using std::chrono::seconds;

// What could not be taken back is tried again after so long.
constexpr seconds kRetry{1};

}  // namespace

Status Writer::MayChange(const ChangeTerms& terms) {
  if (const auto& within = terms.confirm_within;
      within && (*within < kMinConfirmWithin || *within > kMaxConfirmWithin)) {
    return Fail(ErrorKind::kInvalid, fmt::format("to be confirmed within {} s: expected {} to {} s", within->count(),
                                                 kMinConfirmWithin.count(), kMaxConfirmWithin.count()));
  }
  if (auto put_back = PutBackStore(); !put_back) return put_back;
  if (auto settled = pending_.Settled(); !settled) return settled;
  const auto& waiting = pending_.waiting();
  if (waiting && (terms.rollback_to != waiting->back_to || terms.confirm_within)) {
    return Fail(ErrorKind::kExists,
                fmt::format("generation {} of the store waits to be confirmed, for {} s more; until then nothing else "
                            "changes: shuntctl confirm keeps it, shuntctl rollback {} takes it back",
                            generations_.current(), std::chrono::ceil<seconds>(waiting->deadline - now_()).count(),
                            waiting->back_to));
  }
  const auto found = IdentityOf(store_path_);
  const auto& expected = terms.read_from ? terms.read_from : store_identity_;
  if (!found || found == expected || waiting) return {};
  if (terms.read_from) {
    return Fail(ErrorKind::kSystem, fmt::format("{} was replaced while it was read; reload again", store_path_));
  }
  return Fail(ErrorKind::kExists,
              fmt::format("{} was edited by somebody else, which a change would undo: shuntctl reload takes the edit "
                          "over; shuntctl dump prints what is in force",
                          store_path_));
}

// An edit of the store that means the same is taken over too.
Result<ChangeReport> Writer::ChangeNothing(ChangeReport report, const DesiredState& wanted, bool lacks_key,
                                           bool dry_run, const ChangeTerms& terms) {
  if (dry_run || !terms.read_from) return report;
  store_identity_ = terms.read_from;
  if (!lacks_key) return report;
  // Without the key a start would make another one.
  if (auto saved = Save(wanted); !saved) return std::unexpected(saved.error());
  return report;
}

// Nothing to write: the store is what was read.
Result<std::optional<WholeWrite>> Writer::PrepareStoreFor(const DesiredState& wanted, bool lacks_key,
                                                          const ChangeTerms& terms) {
  std::optional<WholeWrite> store;
  if (!terms.read_from || lacks_key) {
    auto prepared = PrepareStore(store_path_, wanted);
    if (!prepared) return std::unexpected(prepared.error());
    store = std::move(*prepared);
  }
  if (terms.confirm_within) {
    const Status noted = pending_.Prepare(current_->desired, generations_.current(), *terms.confirm_within);
    if (!noted) return std::unexpected(noted.error());
  }
  return store;
}

Status Writer::CommitStore(std::optional<WholeWrite>& store, const ChangeTerms& terms) {
  if (!store) {
    store_identity_ = terms.read_from;
    return {};
  }
  if (auto committed = store->Commit(); !committed) return committed;
  store_identity_ = store->identity();
  return {};
}

Status Writer::Save(const DesiredState& state) {
  auto prepared = PrepareStore(store_path_, state);
  if (!prepared) return std::unexpected(prepared.error());
  if (auto committed = prepared->Commit(); !committed) return committed;
  store_identity_ = prepared->identity();
  return {};
}

void Writer::GiveUpConfirmation(const ChangeTerms& terms) {
  if (!terms.confirm_within) return;
  if (auto ended = pending_.End(); !ended) LOG(WARNING) << ended.error().message;
}

void Writer::NoteGeneration(const DesiredState& state, const ChangeTerms& terms, ChangeReport& report) {
  if (pending_.waiting()) {  // it is being taken back
    if (auto ended = pending_.End(); !ended) report.warnings.push_back(ended.error().message);
  }
  if (terms.confirm_within) {
    pending_.Begin(now_());
    report.confirm_within = terms.confirm_within;
    report.back_to = pending_.waiting()->back_to;
  }
  const std::string problem = generations_.Begin(state, report.changes, terms.by, now_());
  if (!problem.empty()) {
    LOG(WARNING) << "the history of " << store_path_ << ": " << problem;
    report.warnings.push_back(problem);
  }
  report.generation = generations_.current();
}

Result<uint64_t> Writer::Confirm() {
  if (!pending_.waiting()) {
    return Fail(ErrorKind::kNotFound,
                "nothing waits to be confirmed; what was taken back because nobody did: shuntctl history");
  }
  if (auto confirmed = pending_.Confirm(); !confirmed) return std::unexpected(confirmed.error());
  LOG(INFO) << fmt::format("generation {} of the store is confirmed", generations_.current());
  Publish(*current_);
  return generations_.current();
}

Status Writer::TakeBackUnconfirmed(SteadyTime now) {
  const Unconfirmed unconfirmed = *pending_.waiting();
  const uint64_t generation = generations_.current();
  const auto go_back = [&unconfirmed](DesiredState& state) -> Status {
    state = *unconfirmed.before;
    if (!state.host) state.host = HostState::kServe;
    return {};
  };
  const auto taken_back =
      Change(go_back, false,
             {.by = fmt::format("shuntd: back to {}, for nobody confirmed {}", unconfirmed.back_to, generation),
              .confirm_within = std::nullopt,
              .read_from = std::nullopt,
              .rollback_to = unconfirmed.back_to});
  if (pending_.waiting()) pending_.TryAgainAt(now + kRetry);
  if (!taken_back) {
    return Context(fmt::format("taking back generation {} of the store, which nobody confirmed", generation),
                   taken_back.error());
  }
  events_.Add({.id = 0,
               .at = {},
               .kind = "rolled_back",
               .vip = "",
               .real = "",
               .cause = fmt::format("nobody confirmed generation {} of the store: it is as in generation {} again",
                                    generation, unconfirmed.back_to)});
  return {};
}

// The same problem is logged once.
Status Writer::KeepGenerations(SteadyTime now) {
  const std::string problem = generations_.Retry(now);
  Publish(*current_);
  if (problem.empty()) return {};
  return Fail(ErrorKind::kSystem, fmt::format("the history of {}: {}", store_path_, problem));
}

}  // namespace shunt
