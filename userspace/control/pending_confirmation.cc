// SPDX-License-Identifier: Apache-2.0
#include "userspace/control/pending_confirmation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "userspace/model/store_file.h"
#include "userspace/model/store_head.h"
#include "userspace/model/whole_file.h"

namespace shunt {
namespace {

using std::chrono::seconds;

constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
constexpr std::string_view kSentence =
    "The store from before a change that nobody has confirmed yet: shuntd goes back to it unless shuntctl confirm "
    "comes "
    "in time.";

}  // namespace

PendingConfirmation::PendingConfirmation(const StoreHistory& history)
    : history_(history), path_(history.folder() + "/unconfirmed.yaml") {}

SteadyTime PendingConfirmation::due_at() const { return waiting_ ? waiting_->deadline : SteadyTime::max(); }

Status PendingConfirmation::Resume(const DesiredState& in_force, SteadyTime now) {
  RemoveLeftovers(path_);
  const auto file = ReadWhole(path_, kMaxStoreBytes, Accept::kOwnFile);
  if (!file && file.error().kind == ErrorKind::kNotFound) return {};
  if (!file) return std::unexpected(file.error());
  const auto head = ReadStoreHead(file->text);
  const auto value = [&head](const char* key) {
    const auto found = head.find(key);
    return found == head.end() ? std::string() : found->second;
  };
  const auto generation = ReadNumber(value("generation"));
  const auto until = ParseWallTime(value("unconfirmed until"));
  const auto within = ReadNumber(value("seconds"));
  if (!generation || !until || !within) {
    return Fail(ErrorKind::kInvalid, fmt::format("reading {}: its head comment is not shuntd's; remove it", path_));
  }
  auto before = ParseYaml(file->text, path_, {.max_vips = kNoLimit, .max_reals = kNoLimit, .max_flows = kNoLimit});
  if (!before) return std::unexpected(before.error());
  if (*before == in_force) {  // the change was not made, or taken back
    is_left_over_ = true;
    return Settled();
  }
  const seconds whole(std::min(*within, static_cast<uint64_t>(kMaxConfirmWithin.count())));
  const seconds left = std::clamp<seconds>(*until - WallNow(), seconds(0), whole);
  waiting_ = Unconfirmed{.back_to = *generation,
                         .deadline = now + left,
                         .before = std::make_shared<const DesiredState>(*std::move(before))};
  return {};
}

Status PendingConfirmation::Prepare(const DesiredState& before, uint64_t generation, seconds within) {
  constexpr std::string_view kDoing = "noting that the change is to be confirmed";
  if (auto made = history_.MakeFolder(); !made) return Context(kDoing, made.error());
  StoreHead head(kSentence);
  head.Add("generation", fmt::format("{}", generation));
  head.Add("unconfirmed until", ToText(WallNow() + within));
  head.Add("seconds", fmt::format("{}", within.count()));
  const std::string text = head.text() + ToYaml(before);
  if (text.size() > kMaxStoreBytes) return Fail(ErrorKind::kInvalid, fmt::format("{}: the store is too large", kDoing));
  auto write = WholeWrite::Prepare(path_, text);
  if (!write) return Context(kDoing, write.error());
  const Status committed = write->Commit();
  prepared_ = {.unconfirmed = {.back_to = generation,
                               .deadline = SteadyTime::max(),
                               .before = std::make_shared<const DesiredState>(before)},
               .within = within};
  if (committed) return {};
  static_cast<void>(End());  // what cannot be removed is told before the next change
  return Context(kDoing, committed.error());
}

void PendingConfirmation::Begin(SteadyTime now) {
  waiting_ = std::move(prepared_->unconfirmed);
  waiting_->deadline = now + prepared_->within;
  prepared_.reset();
}

Status PendingConfirmation::Confirm() {
  if (auto removed = RemoveForGood(path_); !removed) return removed;
  waiting_.reset();
  return {};
}

Status PendingConfirmation::End() {
  prepared_.reset();
  waiting_.reset();
  is_left_over_ = true;
  return Settled();
}

void PendingConfirmation::TryAgainAt(SteadyTime at) { waiting_->deadline = at; }

Status PendingConfirmation::Settled() {
  if (!is_left_over_) return {};
  if (auto removed = RemoveForGood(path_); !removed) {
    return Context("a change that is over would be taken back after a restart", removed.error());
  }
  is_left_over_ = false;
  return {};
}

}  // namespace shunt
