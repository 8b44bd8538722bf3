// SPDX-License-Identifier: Apache-2.0
// What is remembered of dispatchers: the one that was seen, and those that libxdp put in its place, told by its pins.
// Stories with real dispatchers need another kernel: tests/vm.
#include <cap-ng.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/dataplane/sandbox.h"
#include "userspace/bpf/seen_dispatchers.h"

namespace shunt {
namespace {

// libxdp's folder, as this process finds it while this lives.
class LibxdpFolder {
 public:
  LibxdpFolder() {
    std::filesystem::create_directory(bpffs_.path() + "/xdp");
    setenv("LIBXDP_BPFFS", bpffs_.path().c_str(), 1);
  }
  ~LibxdpFolder() { unsetenv("LIBXDP_BPFFS"); }
  LibxdpFolder(const LibxdpFolder&) = delete;
  LibxdpFolder& operator=(const LibxdpFolder&) = delete;
  void AddDispatcher(int interface_index, uint32_t id) const {
    std::filesystem::create_directory(fmt::format("{}/xdp/dispatch-{}-{}", bpffs_.path(), interface_index, id));
  }

 private:
  TemporaryBpffs bpffs_;
};

XdpPresence OneProgram() {
  XdpPresence presence{.native = true, .dispatcher = true, .programs = {}};
  presence.programs.emplace_back().id = 32;
  return presence;
}

TEST_CASE("a dispatcher that was seen is known, and one that libxdp put in its place carries the same programs") {
  const LibxdpFolder folder;
  SeenDispatchers seen;
  CHECK(seen.Recall(3, 23) == nullptr);
  seen.Note(3, 23, OneProgram());
  REQUIRE(seen.Recall(3, 23));
  CHECK(seen.Recall(3, 23)->programs.front().id == 32);
  CHECK(seen.Recall(3, 40) == nullptr);  // no dispatcher: a stranger's program
  CHECK(seen.Recall(4, 23) == nullptr);
  folder.AddDispatcher(3, 40);
  folder.AddDispatcher(4, 41);
  REQUIRE(seen.Recall(3, 40));
  CHECK(seen.Recall(3, 40)->programs.front().id == 32);
  CHECK(seen.Recall(4, 41) == nullptr);  // there was none of ours
}

TEST_CASE("without CAP_SYS_ADMIN no program is opened by its id") {
  CHECK(MayOpenProgramsById());
  bool may = true;
  std::thread([&] {  // rights are a thread's
    capng_get_caps_process();
    REQUIRE(capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_SYS_ADMIN) == 0);
    REQUIRE(capng_apply(CAPNG_SELECT_CAPS) == 0);
    may = MayOpenProgramsById();
  })
      .join();
  CHECK_FALSE(may);
}

}  // namespace
}  // namespace shunt
