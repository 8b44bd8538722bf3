// SPDX-License-Identifier: Apache-2.0
// The store as a file: written whole or not at all, and what stands in the way. Its text: store_yaml_test.cc.
#include "userspace/model/store_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace shunt {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

constexpr Capacities kPlenty{.max_vips = 4096, .max_reals = 262144, .max_flows = 262144};

IpAddress Address(std::string_view text) { return *IpAddress::Parse(text); }

// Two VIPs, one of them empty, and settings that are not the defaults.
DesiredState SomeState() {
  DesiredState state;
  state.hash_key[0] = 0xab;
  state.defaults.ring_size = 4099;
  state.vips[*VipKey::Parse("203.0.113.10:443/tcp")].reals[Address("10.0.0.11")] = {20, RealState::kDrain};
  state.vips[*VipKey::Parse("[2001:db8:1::10]:53/udp")] = {};
  return state;
}

// A folder of its own for each test, gone afterwards.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "shunt_store_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const fs::path& path() const { return path_; }
  size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(path_), {})); }

 private:
  fs::path path_;
};

void Put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string Contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

mode_t Mode(const std::string& path) {
  struct stat status{};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

Status Write(const std::string& path, const DesiredState& state) {
  auto write = PrepareStore(path, state);
  if (!write) return std::unexpected(write.error());
  return write->Commit();
}

TEST_CASE("a written store is loaded equal, readable by its owner only, and nothing is left beside it") {
  const Folder folder;
  const std::string path = folder / "shunt.yaml";
  Put(path, "old\n");
  fs::permissions(path, fs::perms(0666));
  REQUIRE(Write(path, SomeState()));
  CHECK(LoadFile(path, kPlenty) == SomeState());
  CHECK(Mode(path) == 0600);
  CHECK(folder.files() == 1);
}

TEST_CASE("a prepared write that is not committed leaves the store as it was") {
  const Folder folder;
  const std::string path = folder / "shunt.yaml";
  Put(path, "old\n");
  {
    const auto write = PrepareStore(path, SomeState());
    REQUIRE(write);
    CHECK(folder.files() == 2);
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      if (entry.path() != path) CHECK(Mode(entry.path().string()) == 0600);
    }
    CHECK(Contents(path) == "old\n");
  }
  CHECK(folder.files() == 1);
  CHECK(Contents(path) == "old\n");
}

TEST_CASE("a prepared write survives being moved and is committed once") {
  const Folder folder;
  const std::string path = folder / "shunt.yaml";
  auto first = PrepareStore(path, SomeState());
  REQUIRE(first);
  WholeWrite second = std::move(*first);
  CHECK_FALSE(first->Commit());
  REQUIRE(second.Commit());
  const auto again = second.Commit();
  REQUIRE_FALSE(again);
  CHECK_THAT(again.error().message, Contains("written already"));
  CHECK(LoadFile(path, kPlenty) == SomeState());
  CHECK(folder.files() == 1);
}

TEST_CASE("a move onto a prepared write does not lose either file's cleanup") {
  const Folder folder;
  {
    auto first = PrepareStore(folder / "one.yaml", {});
    auto second = PrepareStore(folder / "two.yaml", {});
    REQUIRE((first && second));
    CHECK(folder.files() == 2);
    *first = std::move(*second);
    REQUIRE(first->Commit());
    CHECK(fs::exists(folder / "two.yaml"));
  }
  CHECK(folder.files() == 1);
}

TEST_CASE("a store that is a symlink stays one, and its target is replaced") {
  const Folder folder;
  fs::create_directory(folder / "data");
  fs::create_symlink("data/real.yaml", folder / "relative.yaml");
  fs::create_symlink(folder / "relative.yaml", folder / "shunt.yaml");
  for (const DesiredState& state : {SomeState(), DesiredState{}}) {  // the target is made first, then replaced
    REQUIRE(Write(folder / "shunt.yaml", state));
    CHECK(fs::is_symlink(folder / "shunt.yaml"));
    CHECK(fs::is_symlink(folder / "relative.yaml"));
    CHECK(LoadFile(folder / "data/real.yaml", kPlenty) == state);
    CHECK(LoadFile(folder / "shunt.yaml", kPlenty) == state);
  }
  CHECK(folder.files() == 3);
}

TEST_CASE("links in a circle are refused") {
  const Folder folder;
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  const auto write = PrepareStore(folder / "a", {});
  REQUIRE_FALSE(write);
  CHECK_THAT(write.error().message, Contains("writing " + (folder / "a")) && Contains("following the link"));
  const auto load = LoadFile(folder / "a", kPlenty);
  REQUIRE_FALSE(load);
  CHECK(load.error().kind == ErrorKind::kSystem);
}

TEST_CASE("a missing store is told apart from one that cannot be read") {
  const Folder folder;
  const auto missing = LoadFile(folder / "none.yaml", kPlenty);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::kNotFound);
  CHECK(missing.error().message == "reading " + (folder / "none.yaml") + ": no such file");
  Put(folder / "file", "");
  const auto below_a_file = LoadFile(folder / "file/none.yaml", kPlenty);
  REQUIRE_FALSE(below_a_file);
  CHECK(below_a_file.error().kind == ErrorKind::kSystem);
}

TEST_CASE("a folder is no store") {
  const Folder folder;
  const std::string path = folder.path().string();
  const auto load = LoadFile(path, kPlenty);
  REQUIRE_FALSE(load);
  CHECK(load.error().message == "reading " + path + ": a folder; expected a file");
  const auto write = PrepareStore(path, {});
  REQUIRE_FALSE(write);
  CHECK(write.error().message == "writing " + path + ": a folder; expected a file");
}

TEST_CASE("a store in a folder that does not exist is refused with the remedy") {
  const Folder folder;
  const auto write = PrepareStore(folder / "none/shunt.yaml", {});
  REQUIRE_FALSE(write);
  CHECK(write.error().kind == ErrorKind::kSystem);
  CHECK_THAT(write.error().message, Contains("writing " + (folder / "none/shunt.yaml")) &&
                                        Contains("No such file or directory; make the folder"));
}

// Gives up root's power over permissions while it lives.
class Unprivileged {
 public:
  Unprivileged() {
    if (geteuid() == 0) REQUIRE(seteuid(65534) == 0);
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (geteuid() != getuid() && seteuid(getuid()) != 0) std::abort();
  }
};

TEST_CASE("a store in a folder that may not be written is refused with the remedy") {
  const Folder folder;
  fs::permissions(folder.path(), fs::perms(0555));
  std::optional<Result<WholeWrite>> write;
  {
    const Unprivileged unprivileged;
    write.emplace(PrepareStore(folder / "shunt.yaml", {}));
  }
  fs::permissions(folder.path(), fs::perms(0755));
  REQUIRE_FALSE(*write);
  CHECK_THAT(write->error().message, Contains("Permission denied; the folder must be writable"));
  CHECK(folder.files() == 0);
}

TEST_CASE("a file beyond the size limit is refused without reading it whole") {
  const Folder folder;
  const std::string path = folder / "large.yaml";
  Put(path, "");
  fs::resize_file(path, uintmax_t{1} << 40);
  const auto load = LoadFile(path, kPlenty);
  REQUIRE_FALSE(load);
  CHECK(load.error().kind == ErrorKind::kInvalid);
  CHECK_THAT(load.error().message, Contains("reading " + path + ": too large"));
}

TEST_CASE("a state that would not be read back for its size is not written") {
  const Folder folder;
  const std::string path = folder / "shunt.yaml";
  DesiredState state;
  // 91 bytes a real, as long as they come: a little more than the limit.
  constexpr uint16_t kVips = 46;
  for (uint16_t port = 1; port <= kVips; ++port) {
    auto& reals = state.vips[VipKey{Address("203.0.113.10"), port, Protocol::kTcp}].reals;
    IpAddress::Bytes bytes = Address("2001:1db8:1111:1111:1111:1111:1111:1000").bytes();
    for (uint32_t i = 0; i < kMaxRealsPerVip; ++i) {
      bytes[12] = static_cast<uint8_t>(0x10 + (i >> 8));
      bytes[13] = static_cast<uint8_t>(i);
      reals.emplace_hint(reals.end(), IpAddress(bytes), Real{kMaxWeight, RealState::kDrain});
    }
  }
  const auto write = PrepareStore(path, state);
  REQUIRE_FALSE(write);
  CHECK_THAT(write.error().message, Contains("writing " + path + ": too large"));
  CHECK(folder.files() == 0);
}

TEST_CASE("problems of a loaded file carry its path and line") {
  const Folder folder;
  const std::string path = folder / "bad.yaml";
  Put(path, "vips:\n  - vip: nonsense\n");
  const auto load = LoadFile(path, kPlenty);
  REQUIRE_FALSE(load);
  CHECK_THAT(load.error().message, Catch::Matchers::StartsWith(path + ":2: vips[0].vip: VIP \"nonsense\": "));
}

TEST_CASE("a configuration is read from a pipe too") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const std::string text = ToYaml(SomeState());
  REQUIRE(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  close(ends[1]);
  CHECK(LoadFile("/proc/self/fd/" + std::to_string(ends[0]), kPlenty) == SomeState());
  close(ends[0]);
}

}  // namespace
}  // namespace shunt
