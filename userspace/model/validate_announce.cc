// SPDX-License-Identifier: Apache-2.0
#include "userspace/model/validate_announce.h"

#include <fmt/format.h>

#include <limits>
#include <string_view>

#include "userspace/base/text.h"
#include "userspace/model/desired_state.h"

namespace shunt {
namespace {

using Problems = std::vector<Problem>;

// `high` is what comes back, and cannot be less than what it went away at.
void CheckOrder(const std::optional<uint32_t>& low, const std::optional<uint32_t>& high, std::string_view low_name,
                const std::string& path, Problems& problems) {
  if (!low || !high || *high >= *low) return;
  problems.push_back({path, fmt::format("{} is less than {} ({}); expected at least that", *high, low_name, *low)});
}

// Numbers with colons between them: two of 16 bits (RFC 1997), or three of 32 (RFC 8092).
bool IsCommunity(std::string_view text) {
  std::vector<uint32_t> numbers;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(':', start), text.size());
    const auto number = ParseDecimal(text.substr(start, end - start), std::numeric_limits<uint32_t>::max());
    if (!number) return false;
    numbers.push_back(*number);
    start = end + 1;
  }
  constexpr uint32_t kMaxPart = std::numeric_limits<uint16_t>::max();
  return numbers.size() == 3 || (numbers.size() == 2 && numbers[0] <= kMaxPart && numbers[1] <= kMaxPart);
}

void CheckCommunities(const std::vector<std::string>& communities, const std::string& path, Problems& problems) {
  if (communities.size() > kMaxCommunities) {
    problems.push_back({path, fmt::format("{} communities; expected at most {}", communities.size(), kMaxCommunities)});
  }
  for (const std::string& community : communities) {
    if (IsCommunity(community)) continue;
    problems.push_back(
        {path, fmt::format("{} is no community; expected 64512:100, or 64512:1:2 for a large one", Quote(community))});
  }
}

}  // namespace

void ValidateAnnounce(const AnnounceSettings& settings, const std::string& path, Problems& problems) {
  constexpr uint32_t kPercent = 100;
  CheckRange(settings.min_reals, 0, kMaxRealsPerVip, path + ".min_reals", problems);
  CheckRange(settings.min_percent, 0, kPercent, path + ".min_percent", problems);
  CheckRange(settings.return_reals, 0, kMaxRealsPerVip, path + ".return_reals", problems);
  CheckRange(settings.return_percent, 0, kPercent, path + ".return_percent", problems);
  CheckOrder(settings.min_reals, settings.return_reals, "min_reals", path + ".return_reals", problems);
  CheckOrder(settings.min_percent, settings.return_percent, "min_percent", path + ".return_percent", problems);
  CheckRange(settings.preference, kMinPreference, kMaxPreference, path + ".preference", problems);
  CheckRange(settings.hold_seconds, 0, kMaxHoldSeconds, path + ".hold_seconds", problems);
  CheckRange(settings.max_hold_seconds, 0, kMaxHoldSeconds, path + ".max_hold_seconds", problems);
  CheckOrder(settings.hold_seconds, settings.max_hold_seconds, "hold_seconds", path + ".max_hold_seconds", problems);
  if (settings.prefix && settings.prefix->length == 0) {
    problems.push_back(
        {path + ".prefix", fmt::format("{} is a default route, and no prefix of VIPs", settings.prefix->ToString())});
  }
  if (settings.communities) CheckCommunities(*settings.communities, path + ".communities", problems);
}

std::string PrefixProblem(const AnnounceSettings& settings, const IpAddress& address) {
  if (!settings.prefix || settings.prefix->Contains(address)) return {};
  return fmt::format("{} does not hold the VIP's address {}", settings.prefix->ToString(), address.ToString());
}

}  // namespace shunt
