// SPDX-License-Identifier: Apache-2.0
// The event hook, with real programs that write down what they were told.
#include "userspace/health/hook.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/unit/control_testing.h"

using namespace shunt;           // NOLINT: the tests read like the code
using namespace shunt::testing;  // NOLINT

namespace {

using std::chrono::milliseconds;

struct HookBench {
  HookBench() {
    FLAGS_minloglevel = google::GLOG_FATAL;
    folder = mkdtemp(folder.data());
  }
  ~HookBench() {
    hook.reset();
    std::filesystem::remove_all(folder);
  }

  // `body` runs in a shell, in the folder.
  void Start(const std::string& body, HookOptions options = {}) {
    options.program = folder + "/hook";
    options.user = getpwuid(getuid())->pw_name;
    std::ofstream(options.program) << "#!/bin/sh\ncd " << folder << "\n" << body << "\n";
    REQUIRE(chmod(options.program.c_str(), 0700) == 0);
    auto started = Hook::Start(events, options);
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    hook = std::move(*started);
  }

  void Add(const std::string& real) {
    events.Add(
        {.id = 0, .at = {}, .kind = "real_down", .vip = "203.0.113.10:443/tcp", .real = real, .cause = "silent"});
  }

  std::string Text(const std::string& file) const {
    std::ifstream in(folder + "/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool SoonHas(const std::string& file, const std::string& text) const {
    return Eventually([&] { return Text(file) == text; });
  }

  std::string folder = "/tmp/shunt-hook-test.XXXXXX";
  EventLog events;
  std::unique_ptr<Hook> hook;
};

}  // namespace

TEST_CASE("An event is one line of JSON, whatever stands in it") {
  const Event event{.id = 7,
                    .at = std::chrono::system_clock::time_point(milliseconds(1700000000123)),
                    .kind = "panic_entered",
                    .vip = "[2001:db8::1]:53/udp",
                    .real = "",
                    .cause = "a \"b\" \\ c\nd"};
  CHECK(JsonLine(event) ==
        "{\"id\":7,\"at_ms\":1700000000123,\"kind\":\"panic_entered\",\"vip\":\"[2001:db8::1]:53/udp\",\"real\":null,"
        "\"cause\":\"a \\\"b\\\" \\\\ c\\u000ad\",\"interface\":null}\n");
}

TEST_CASE("The hook is told each event in its arguments and on its input, in their order") {
  HookBench bench;
  bench.Add("10.0.0.1");  // before it started
  bench.Start("echo $# $1 $2 $3 $4 >> arguments; cat >> input");
  bench.Add("10.0.0.2");
  bench.events.Add(
      {.id = 0, .at = {}, .kind = "interface_gone", .vip = "", .real = "", .cause = "", .interface = "e0"});
  std::string arguments, input;
  for (const Event& event : bench.events.Since(0, 10)) {
    // Arguments that are empty are there all the same, so that each has its place.
    arguments +=
        event.real.empty() ? "4 interface_gone e0\n" : fmt::format("4 real_down 203.0.113.10:443/tcp {}\n", event.real);
    input += JsonLine(event);
  }
  CHECK(bench.SoonHas("arguments", arguments));
  CHECK(bench.SoonHas("input", input));
}

TEST_CASE("The hook's environment is a path and nothing of the daemon's") {
  HookBench bench;
  setenv("SHUNT_SECRET", "x", 1);
  bench.Start("env | cut -d= -f1 | grep -v -e '^_$' -e '^PWD$' -e '^OLDPWD$' -e '^SHLVL$' >> names");
  bench.Add("10.0.0.1");
  CHECK(bench.SoonHas("names", "PATH\n"));
  unsetenv("SHUNT_SECRET");
}

TEST_CASE("A hook that runs for too long is killed with its children, and the next event is told") {
  HookBench bench;
  HookOptions options;
  options.time_limit = milliseconds(300);
  bench.Start("echo $3 >> told; [ $3 = 10.0.0.2 ] || { sleep 1000 & echo $! > child; sleep 1000; }", options);
  bench.Add("10.0.0.1");
  bench.Add("10.0.0.2");
  CHECK(bench.SoonHas("told", "10.0.0.1\n10.0.0.2\n"));
  const pid_t child = std::stoi(bench.Text("child"));
  CHECK(Eventually([&] {  // a zombie that nobody has reaped yet is dead as well
    std::ifstream status(fmt::format("/proc/{}/stat", child));
    const std::string text{std::istreambuf_iterator<char>(status), {}};
    return text.empty() || text.find(") Z ") != std::string::npos;
  }));
}

TEST_CASE("A hook that fails does not stop the next event") {
  HookBench bench;
  bench.Start("echo $3 >> told; exit 3");
  bench.Add("10.0.0.1");
  bench.Add("10.0.0.2");
  CHECK(bench.SoonHas("told", "10.0.0.1\n10.0.0.2\n"));
}

TEST_CASE("When too many events wait the oldest are left out") {
  HookBench bench;
  HookOptions options;
  options.max_waiting = 3;
  for (int i = 1; i <= 10; ++i) bench.Add(fmt::format("10.0.0.{}", i));
  bench.Start("echo $3 >> told", options);
  CHECK(bench.SoonHas("told", "10.0.0.8\n10.0.0.9\n10.0.0.10\n"));
}

TEST_CASE("A hook that is stopped does not wait for its program") {
  HookBench bench;
  bench.Start("echo $$ > running; sleep 1000");
  bench.Add("10.0.0.1");
  REQUIRE(Eventually([&] { return bench.Text("running").ends_with('\n'); }));
  const pid_t program = std::stoi(bench.Text("running"));
  bench.events.Close();
  bench.hook.reset();
  CHECK(kill(program, 0) != 0);
}

TEST_CASE("A hook of an unknown user is refused") {
  EventLog events;
  const auto started = Hook::Start(events, {.program = "/bin/true", .user = "no-such-user-here"});
  REQUIRE_FALSE(started);
  CHECK_THAT(started.error().message, Catch::Contains("no-such-user-here"));
}
