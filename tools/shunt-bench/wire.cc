// SPDX-License-Identifier: Apache-2.0
// shunt-bench wire: packets per second from one end of a veth pair to the other and back, through the balancer or a
// reference program in native mode. One CPU makes the packets and takes them in again, another runs the program.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tools/shunt-bench/frames.h"
#include "tools/shunt-bench/instance.h"
#include "tools/shunt-bench/options.h"
#include "tools/shunt-bench/wire_lab.h"
#include "tools/shunt-bench/wrapper.h"
#include "userspace/bpf/test_run.h"

namespace shunt::bench {
namespace {

using std::chrono::steady_clock;

constexpr uint16_t kReals = 10;
constexpr uint32_t kBatch = 64;                // frames that the generator sends at once
constexpr uint32_t kPacketsPerCall = 1 << 16;  // how soon the generator hears that it is over
constexpr uint32_t kMinimumCpus = 2;
constexpr std::chrono::milliseconds kSettle{200};  // before counting begins

struct WireCase {
  std::string name;
  Load load;
  int program_fd = -1;
};

// Sends a load into the pair from a thread of its own, until it goes.
class Generator {
 public:
  Generator(int program_fd, std::vector<std::byte> frame, uint32_t ifindex, uint32_t cpu)
      : thread_([this, program_fd, frame = std::move(frame), ifindex, cpu] {
          status_ = TakeCpu(cpu, CpuUse::kLoad);
          while (status_ && !stop_) status_ = RunLiveFrames(program_fd, frame, ifindex, kPacketsPerCall, kBatch);
        }) {}
  ~Generator() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  Status Stop() {
    stop_ = true;
    thread_.join();
    return status_;
  }

 private:
  std::atomic<bool> stop_ = false;
  Status status_;
  std::thread thread_;
};

Result<double> MeasureOnce(Wrapper& wrapper, const WireLab& lab, const WireCase& one,
                           std::chrono::milliseconds length) {
  const auto link = LinkXdp(one.program_fd, lab.balancer_ifindex(), XdpLinkMode::kNative);
  if (!link) return std::unexpected(link.error());
  const auto generator_fd = wrapper.PrepareGenerator(one.load);
  if (!generator_fd) return std::unexpected(generator_fd.error());
  if (auto moved = lab.MoveReceiver(); !moved) return std::unexpected(moved.error());
  Generator generator(*generator_fd, one.load.frame, lab.outside_ifindex(), lab.generator_cpu());
  std::this_thread::sleep_for(kSettle);
  const auto before = wrapper.ReadSunk();
  const auto begun = steady_clock::now();
  std::this_thread::sleep_for(length);
  const auto after = wrapper.ReadSunk();
  const std::chrono::duration<double> seconds = steady_clock::now() - begun;
  if (auto sent = generator.Stop(); !sent) return std::unexpected(sent.error());
  if (!before) return std::unexpected(before.error());
  if (!after) return std::unexpected(after.error());
  return static_cast<double>(*after - *before) / seconds.count();
}

Result<std::vector<WireCase>> MakeCases(const Wrapper& wrapper, const Instance& balancer) {
  std::vector<WireCase> cases;
  const auto load = [](uint64_t flows) {
    return Load{.frame = MakeFrame(NumberedVip(1), PacketKind::kAck), .flows = flows};
  };
  for (const char* name : {"tx", "encap"}) {
    const auto fd = wrapper.Reference(name);
    if (!fd) return std::unexpected(fd.error());
    cases.push_back({fmt::format("reference: {}", name), load(1), *fd});
  }
  cases.push_back({"balancer, 1 flow", load(1), balancer.program_fd()});
  cases.push_back({"balancer, 1M flows", load(1000000), balancer.program_fd()});
  return cases;
}

}  // namespace

Result<Report> MeasureWire(const Options& options) {
  if (options.machine.cpus < kMinimumCpus) return Fail(ErrorKind::kInvalid, "measuring on a wire: this needs two CPUs");
  const auto lab = WireLab::Make(options.cpu, options.cpu == 0 ? 1 : 0);
  if (!lab) return std::unexpected(lab.error());
  auto wrapper = Wrapper::Open();
  if (!wrapper) return std::unexpected(wrapper.error());
  const auto sink_fd = wrapper->Sink();
  if (!sink_fd) return std::unexpected(sink_fd.error());
  const auto sink = LinkXdp(*sink_fd, lab->outside_ifindex(), XdpLinkMode::kNative);
  if (!sink) return std::unexpected(sink.error());
  const auto balancer = Instance::Open({.interface_index = lab->balancer_ifindex()});
  if (!balancer) return std::unexpected(balancer.error());
  DesiredState desired = FreshState();
  desired.vips[NumberedVip(1)] = VipWithReals(kReals, Tracking::kMoving);
  if (auto applied = (*balancer)->Apply(desired); !applied) return std::unexpected(applied.error());
  const auto cases = MakeCases(*wrapper, **balancer);
  if (!cases) return std::unexpected(cases.error());

  Report report{.verb = "wire", .machine = options.machine};
  for (const WireCase& one : *cases) report.rows.push_back({.name = one.name, .unit = "packets/s"});
  const Progress progress;
  for (uint32_t round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < cases->size(); ++i) {
      progress.Show(fmt::format("round {} of {}: {}", round + 1, options.rounds, (*cases)[i].name));
      const std::chrono::milliseconds length(options.quick ? 500 : 2000);
      const auto rate = MeasureOnce(*wrapper, *lab, (*cases)[i], length);
      if (!rate) return std::unexpected(rate.error());
      report.rows[i].samples.push_back(*rate);
    }
  }
  const std::vector<double> encap = report.rows[1].samples;
  for (const size_t i : {size_t{2}, size_t{3}}) {
    Row ratio{.name = report.rows[i].name + " ÷ reference: encap",
              .unit = "x",
              .samples = Ratios(report.rows[i].samples, encap)};
    if (i == 3) ratio.target = Target{Target::Bound::kAtLeast, 0.9};
    report.rows.push_back(std::move(ratio));
  }
  return report;
}

}  // namespace shunt::bench
