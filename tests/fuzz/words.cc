// SPDX-License-Identifier: Apache-2.0
// Words of shuntctl's command line, one a line: the first ones are read as a VIP, an address, numbers and times, the
// rest fills the options of a health check in their order. What is read is in its range, and its text reads as the
// same.
#include "tools/shuntctl/words.h"
#include "tests/fuzz/fuzzing.h"
#include "tools/shuntctl/check_options.h"
#include "userspace/net/endpoint.h"
#include "userspace/net/mac.h"
#include "userspace/rpc/edit.h"

namespace shunt {
namespace {

template <class Value>
void ReadsAsItself(const std::string& word) {
  const auto value = Value::Parse(word);
  if (!value) return Require(!value.error().message.empty(), "a refusal says why", word);
  const std::string text = value->ToString();
  const auto again = Value::Parse(text);
  Require(again.has_value() && *again == *value, "the text of a value reads as the same value", word);
  Require(again->ToString() == text, "and has the same text", word);
}

template <class Number, class Read>
void StaysInRange(Number min, Number max, const std::string& word, Read read) {
  ctl::Words words;
  const Number value = read(words);
  Require(value >= min && value <= max, "a number is in its range", word);
  Require(words.status() || !words.status().error().message.empty(), "a refusal says why", word);
}

void ReadNumbers(const std::string& word, uint32_t min, uint32_t max) {
  StaysInRange(min, max, word, [&](ctl::Words& words) { return words.Number("--n", word, min, max); });
  StaysInRange(min, max, word, [&](ctl::Words& words) { return words.Milliseconds("--t", word, min, max); });
  StaysInRange(min, max, word, [&](ctl::Words& words) { return words.Seconds("--t", word, min, max); });
  StaysInRange(0.1, 50.0, word, [&](ctl::Words& words) { return words.Decimal("--x", word, 0.1, 50.0); });
}

// What the options give is taken or refused by the daemon as any message is.
void ReadCheck(Lines& lines) {
  ctl::CheckWords given;
  for (auto& value : given.values) {
    if (lines.done()) break;
    if (std::string word = lines.Next(); !word.empty()) value = std::move(word);
  }
  while (!lines.done()) given.command.push_back(lines.Next());
  ctl::Words words;
  const auto check = ctl::CheckOf(given, words);
  if (!check || !words.status()) return;
  v1::Vip vip;
  vip.set_vip("203.0.113.10:80/udp");
  *vip.mutable_health() = *check;
  DesiredState state;
  const Status added = AddVip(state, vip);
  Require(added || !added.error().message.empty(), "a refusal says why");
}

}  // namespace
}  // namespace shunt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shunt;
  Lines lines(data, size);
  for (int i = 0; i < 4 && !lines.done(); ++i) {
    const std::string word = lines.Next();
    ReadsAsItself<VipKey>(word);
    ReadsAsItself<IpAddress>(word);
    ReadsAsItself<Endpoint>(word);
    ReadsAsItself<Prefix>(word);
    ReadsAsItself<MacAddress>(word);
    ReadNumbers(word, 1, 3600000);
    ReadNumbers(word, 0, 0xffffffff);
  }
  ReadCheck(lines);
  return 0;
}
