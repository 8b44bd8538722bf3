// SPDX-License-Identifier: Apache-2.0
// The generations of a store as files: head comments, names, limits, and a folder that others put things into.
#include "userspace/model/store_history.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "userspace/model/store_file.h"

namespace shunt {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

class Folder {
 public:
  Folder() { path_ = mkdtemp(path_.data()); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  std::string store() const { return path_ + "/shunt.yaml"; }
  std::string history(const std::string& name) const { return store() + ".history/" + name; }

 private:
  std::string path_ = "/tmp/shunt-history-test.XXXXXX";
};

void Put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string Contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A VIP whose port tells the states apart.
DesiredState State(uint16_t port) {
  DesiredState state;
  state.hash_key[0] = 0xab;
  state.vips[VipKey{*IpAddress::Parse("203.0.113.10"), port, Protocol::kTcp}]
      .reals[*IpAddress::Parse("10.0.0.11")] = {};
  return state;
}

Generation Numbered(uint64_t number) {
  return {.number = number,
          .since = ParseWallTime("2026-11-27T09:48:18Z"),
          .by = "real add (uid 0)",
          .changes = 3,
          .first_change = "+ real 203.0.113.10:443/tcp 10.0.0.11"};
}

std::vector<uint64_t> NumbersOf(const StoreHistory& history) {
  std::vector<uint64_t> numbers;
  const auto generations = history.List().value();
  for (const Generation& generation : generations) numbers.push_back(generation.number);
  return numbers;
}

using Numbers = std::vector<uint64_t>;

TEST_CASE("A kept generation is a whole store that says since when, by whom and what it changed") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(12), State(443)));
  CHECK(history.List() == std::vector{Numbered(12)});
  CHECK(history.Load(12) == State(443));
  constexpr Capacities kPlenty{.max_vips = 8, .max_reals = 64, .max_flows = 64};
  CHECK(LoadFile(folder.history("00000012.yaml"), kPlenty) == State(443));
  const std::string text = Contents(folder.history("00000012.yaml"));
  CHECK_THAT(text, Contains("# generation: 12\n# in force since: 2026-11-27T09:48:18Z\n# by: real add (uid 0)\n"));
  struct stat status{};
  REQUIRE(stat(folder.history("00000012.yaml").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  REQUIRE(stat((folder.store() + ".history").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
}

TEST_CASE("Without a folder there is no generation, and its number is refused by name") {
  const Folder folder;
  const StoreHistory history(folder.store());
  CHECK(history.List().value().empty());
  CHECK(history.Newest() == 0);
  const auto none = history.Load(1);
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::kNotFound);
  CHECK_THAT(none.error().message, Contains("no generation 1: none is kept"));
}

TEST_CASE("A generation that is not kept is refused with those that are") {
  const Folder folder;
  const StoreHistory history(folder.store());
  for (const uint64_t number : {3, 4, 7}) REQUIRE(history.Add(Numbered(number), State(1)));
  const auto none = history.Load(5);
  REQUIRE_FALSE(none);
  CHECK_THAT(none.error().message, Contains("no generation 5; kept are 3 to 7"));
}

TEST_CASE("Pruning leaves the newest and as many older ones as are to be kept, and what is not a generation") {
  const Folder folder;
  const StoreHistory history(folder.store());
  for (uint64_t number = 1; number <= 6; ++number) REQUIRE(history.Add(Numbered(number), State(1)));
  Put(folder.history("notes.txt"), "mine\n");
  REQUIRE(history.Prune(3));
  CHECK(NumbersOf(history) == Numbers{3, 4, 5, 6});
  REQUIRE(history.Prune(0));
  CHECK(NumbersOf(history) == Numbers{6});
  CHECK(Contents(folder.history("notes.txt")) == "mine\n");
}

TEST_CASE("Names that are no generation's are neither read nor removed") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(5), State(1)));
  const std::vector<std::string> rubbish = {"0.yaml",        "00000000.yaml",
                                            "4.yaml",        "000000004.yaml",
                                            "-0000004.yaml", "0000000x.yaml",
                                            "00000004",      "00000004.yaml.bak",
                                            "١٢.yaml",       "9999999999999.yaml",
                                            ".yaml",         "unconfirmed.yaml",
                                            "00000004.yml",  "18446744073709551616.yaml"};
  for (const std::string& name : rubbish) Put(folder.history(name), "rubbish");
  CHECK(NumbersOf(history) == Numbers{5});
  CHECK(history.Newest() == 5);
  REQUIRE(history.Prune(0));
  for (const std::string& name : rubbish) CHECK(fs::exists(folder.history(name)));
}

TEST_CASE("What bears a generation's name and is no file is not one, and nothing is read through links") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(9), State(1)));
  fs::create_directory(folder.history("00000003.yaml"));
  Put(folder.store(), ToYaml(State(2)));
  fs::create_symlink(folder.store(), folder.history("00000004.yaml"));
  REQUIRE(mkfifo(folder.history("00000005.yaml").c_str(), 0600) == 0);
  CHECK(NumbersOf(history) == Numbers{9});
  for (const auto& [number, said] : {std::pair(3, "a folder"), std::pair(4, "a link"), std::pair(5, "a pipe")}) {
    const auto load = history.Load(static_cast<uint64_t>(number));
    REQUIRE_FALSE(load);
    CHECK_THAT(load.error().message, Contains(said));
  }
  REQUIRE(history.Prune(0));
  CHECK(fs::is_directory(folder.history("00000003.yaml")));
  CHECK(Contents(folder.store()) == ToYaml(State(2)));
}

TEST_CASE("Garbage under a generation's name is listed without a word of it, and refused with its problems") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(1), State(1)));
  Put(folder.history("00000002.yaml"), std::string(100000, '\0') + "\n: [");
  Put(folder.history("00000003.yaml"), "# in force since: yesterday\n# changes: many\n# by: \x1b[2Jme\n");
  const auto list = history.List().value();
  REQUIRE(list.size() == 3);
  CHECK(list[1] == Generation{.number = 2});
  CHECK(list[2] == Generation{.number = 3, .by = " [2Jme"});
  CHECK_FALSE(history.Load(2));
  const auto empty = history.Load(3);
  REQUIRE_FALSE(empty);
  CHECK_THAT(empty.error().message, Contains("00000003.yaml"));
}

TEST_CASE("A generation larger than a store may be is refused without being read whole") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(1), State(1)));
  fs::resize_file(folder.history("00000001.yaml"), uintmax_t{1} << 40);
  const auto load = history.Load(1);
  REQUIRE_FALSE(load);
  CHECK_THAT(load.error().message, Contains("too large"));
}

TEST_CASE("Numbers end, and the last one is said to be in the way") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(kMaxGeneration), State(1)));
  CHECK(history.Newest() == kMaxGeneration);
  const auto more = history.Add(Numbered(kMaxGeneration + 1), State(1));
  REQUIRE_FALSE(more);
  CHECK_THAT(more.error().message, Contains("remove the file " + folder.history("999999999999.yaml")));
}

TEST_CASE("A file in the folder's place is an error that names it") {
  const Folder folder;
  Put(folder.store() + ".history", "mine");
  const StoreHistory history(folder.store());
  CHECK_FALSE(history.List());
  const auto added = history.Add(Numbered(1), State(1));
  REQUIRE_FALSE(added);
  CHECK_THAT(added.error().message, Contains(folder.store() + ".history"));
  CHECK(Contents(folder.store() + ".history") == "mine");
}

TEST_CASE("What a process that died left of a generation goes, and nothing like it") {
  const Folder folder;
  const StoreHistory history(folder.store());
  REQUIRE(history.Add(Numbered(1), State(1)));
  Put(folder.history(".00000002.yaml.aB3xYz"), "half a st");
  Put(folder.history(".00000002.yaml.toolong"), "mine");
  Put(folder.history("00000002.yaml.aB3xYz"), "mine");
  history.RemoveLeftoversOf(2);
  CHECK_FALSE(fs::exists(folder.history(".00000002.yaml.aB3xYz")));
  CHECK(fs::exists(folder.history(".00000002.yaml.toolong")));
  CHECK(fs::exists(folder.history("00000002.yaml.aB3xYz")));
}

TEST_CASE("Times are read as they are written, and nothing else is") {
  for (const char* text : {"1970-01-01T00:00:00Z", "2026-02-28T23:59:59Z", "2028-02-29T12:30:00Z"}) {
    REQUIRE(ParseWallTime(text));
    CHECK(ToText(*ParseWallTime(text)) == text);
  }
  CHECK(ParseWallTime("1970-01-02T00:00:01Z")->time_since_epoch().count() == 86401);
  for (const char* text : {"", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z",
                           "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01 00:00:00Z",
                           "2026-01-01T00:00:00", "2026-01-01T00:00:00Z ", "+026-01-01T00:00:00Z"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseWallTime(text));
  }
}

TEST_CASE("A head comment is lines of printable text, however long or strange its values are") {
  StoreHead head("What this is.");
  head.Add("by", "one\nvips: []\r\x1b");
  head.Add("long", std::string(299, 'x') + "é and more");
  const std::string text = head.text() + "vips: []\n";
  const auto keys = ReadStoreHead(text);
  CHECK(keys.at("by") == "one vips: []  ");
  CHECK(keys.at("long") == std::string(299, 'x') + "…");
  CHECK(keys.size() == 2);
  CHECK(ReadStoreHead("vips: []\n# by: nobody\n").empty());
  CHECK(ReadStoreHead("# by: first\n# by: second\n").at("by") == "first");
  CHECK(ReadStoreHead("# by: no end of the line").empty());
}

}  // namespace
}  // namespace shunt
