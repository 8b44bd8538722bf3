// SPDX-License-Identifier: Apache-2.0
// Generations as shuntctl prints them, and the words about them.
#include <catch2/catch.hpp>

#include "tools/shuntctl/format.h"
#include "tools/shuntctl/history_format.h"
#include "tools/shuntctl/json.h"

namespace shunt::ctl {
namespace {

v1::Generations SomeGenerations() {
  v1::Generations generations;
  generations.set_in_force(13);
  v1::Generation& first = *generations.add_generations();
  first.set_number(9);
  v1::Generation& second = *generations.add_generations();
  second.set_number(13);
  second.set_since_s(1795772898);
  second.set_by("apply (uid 0)");
  second.set_changes(1235);
  second.set_first_change("+ vip 203.0.113.10:443/tcp");
  return generations;
}

TEST_CASE("Generations are a table, with what is not known as a dash", "[shuntctl]") {
  CHECK(FormatGenerations(SomeGenerations(), false) ==
        "GENERATION  SINCE                 BY             CHANGED\n"
        "         9  -                     -              -\n"
        "        13  2026-11-27T09:48:18Z  apply (uid 0)  + vip 203.0.113.10:443/tcp and 1,234 more\n");
}

TEST_CASE("A change that waits is said below the history, and above the state", "[shuntctl]") {
  v1::Generations generations = SomeGenerations();
  generations.mutable_unconfirmed()->set_back_to(12);
  generations.mutable_unconfirmed()->set_seconds_left(90);
  const std::string words = "waits to be confirmed: back to generation 12 in 1 min 30 s, unless: shuntctl confirm\n";
  CHECK_THAT(FormatGenerations(generations, false), Catch::EndsWith("generation 13 " + words));
  v1::State state;
  state.set_generation(13);
  CHECK(FormatOverview(state, false).empty());
  *state.mutable_unconfirmed() = generations.unconfirmed();
  CHECK(FormatOverview(state, false) == "generation 13 of the store " + words);
}

TEST_CASE("Generations as JSON have null where nothing is known", "[shuntctl]") {
  const Json json = ToJson(SomeGenerations());
  CHECK(json["generations"][0] ==
        Json{{"number", 9}, {"since_s", nullptr}, {"by", nullptr}, {"changes", nullptr}, {"first_change", nullptr}});
  CHECK(json["generations"][1]["since_s"] == 1795772898);
  CHECK(json["in_force"] == 13);
  CHECK(json["unconfirmed"].is_null());
  v1::ChangeReply reply;
  reply.set_generation(4);
  CHECK(ToJson(reply, false)["generation"] == 4);
  CHECK(ToJson(reply, false)["unconfirmed"].is_null());
  reply.mutable_unconfirmed()->set_back_to(3);
  CHECK(ToJson(reply, false)["unconfirmed"]["back_to"] == 3);
  v1::Differences differences;
  differences.set_from(1);
  differences.set_to(2);
  CHECK(ToJson(differences) == Json{{"from", 1}, {"to", 2}, {"changes", Json::array()}});
}

TEST_CASE("Generations and times to confirm are read strictly", "[shuntctl]") {
  Words words;
  CHECK(GenerationNumber(words, "12") == 12);
  CHECK(ConfirmSeconds(words, "") == 0);
  CHECK(ConfirmSeconds(words, "60s") == 60);
  CHECK(ConfirmSeconds(words, "5m") == 300);
  CHECK(ConfirmSeconds(words, "24h") == 86400);
  REQUIRE(words.status());
  for (const char* text : {"", "0", "-1", "+1", "1.5", "0x10", "twelve", "1000000000000", "99999999999999999999"}) {
    CAPTURE(text);
    Words bad;
    GenerationNumber(bad, text);
    REQUIRE_FALSE(bad.status());
    CHECK_THAT(bad.status().error().message, Catch::Contains("shuntctl history"));
  }
  for (const char* text : {"0s", "60", "500ms", "25h", "-5s", "soon"}) {
    CAPTURE(text);
    Words bad;
    ConfirmSeconds(bad, text);
    REQUIRE_FALSE(bad.status());
    CHECK_THAT(bad.status().error().message, Catch::Contains("--confirm") && Catch::Contains("from 1s to 86400s"));
  }
}

}  // namespace
}  // namespace shunt::ctl
