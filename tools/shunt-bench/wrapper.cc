// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/wrapper.h"

#include <bench.skel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tools/shunt-bench/job.h"
#include "tools/shunt-bench/report.h"
#include "userspace/bpf/test_run.h"

namespace shunt::bench {
namespace {

constexpr uint32_t kFirst = 0;
constexpr uint32_t kLoopIfindex = 1;  // in every namespace
constexpr char kWrapper[] = "wrap";
constexpr uint32_t kSlicePackets = 20000;  // two milliseconds
constexpr uint32_t kWarmingPackets = 200000;

std::span<const std::byte> Elf() {
  size_t bytes = 0;
  const void* elf = bench_bpf__elf_bytes(&bytes);
  return {static_cast<const std::byte*>(elf), bytes};
}

}  // namespace

Result<Wrapper> Wrapper::Open(uint32_t answers) {
  auto object = Object::Open("bench", Elf());
  if (!object) return std::unexpected(object.error());
  if (auto sized = object->Resize("answers", answers); !sized) return std::unexpected(sized.error());
  if (auto loaded = object->Load(); !loaded) return std::unexpected(loaded.error());
  Wrapper wrapper;
  for (const auto& [map, name] :
       {std::pair(&wrapper.jobs_, "jobs"), std::pair(&wrapper.next_, "next"), std::pair(&wrapper.sunk_, "sunk")}) {
    auto found = object->Map(name);
    if (!found) return std::unexpected(found.error());
    *map = std::move(*found);
  }
  auto answers_map = object->Map("answers");
  if (!answers_map) return std::unexpected(answers_map.error());
  auto mapped = MappedArray<uint64_t>::Of(std::move(*answers_map));
  if (!mapped) return std::unexpected(mapped.error());
  wrapper.answers_ = std::move(*mapped);
  wrapper.object_ = std::move(*object);
  const auto drop_fd = wrapper.Reference("drop");
  if (!drop_fd) return std::unexpected(drop_fd.error());
  const uint32_t floor = BENCH_FLOOR;
  if (auto set = wrapper.next_.Update(&floor, &*drop_fd); !set) return std::unexpected(set.error());
  const auto wrap_fd = wrapper.object_.ProgramFd(kWrapper);
  if (!wrap_fd) return std::unexpected(wrap_fd.error());
  auto link = LinkXdp(*wrap_fd, kLoopIfindex, XdpLinkMode::kGeneric);
  if (!link) return std::unexpected(link.error());
  wrapper.loop_link_ = std::move(*link);
  return wrapper;
}

Status Wrapper::SetJob(const Load& load, const JobOptions& options) {
  bench_job job{};
  job.repetitions = options.packets;
  job.slice_packets = options.slice_packets;
  job.program = load.subject;
  job.mixed = load.ipv6_frame.empty() ? 0 : 1;
  job.random = random_;
  job.flows = load.flows;
  job.next_flow = load.first_flow;
  job.order = load.sequential ? BENCH_SEQUENTIAL : BENCH_RANDOM;
  job.vips = load.vips;
  job.frame_bytes = static_cast<uint32_t>(load.frame.size());
  job.noting = options.noting ? 1 : 0;
  job.watched = load.watched;
  const auto keep_head = [&job](const std::vector<std::byte>& frame, int which) {
    std::memcpy(job.heads[which], frame.data(), std::min<size_t>(frame.size(), BENCH_HEAD_BYTES));
  };
  keep_head(load.frame, 0);
  keep_head(load.ipv6_frame, 1);
  return jobs_.Update(&kFirst, &job);
}

Status Wrapper::SetSubject(int program_fd) {
  const uint32_t subject = BENCH_SUBJECT;
  return next_.Update(&subject, &program_fd);
}

Result<uint32_t> Wrapper::AddSubject(int program_fd) {
  const uint32_t place = BENCH_FLOOR + ++subjects_;
  if (auto set = next_.Update(&place, &program_fd); !set) return std::unexpected(set.error());
  return place;
}

Result<int> Wrapper::PrepareGenerator(const Load& load) {
  const auto tx_fd = Reference("tx");
  if (!tx_fd) return tx_fd;
  if (auto set = SetSubject(*tx_fd); !set) return std::unexpected(set.error());
  if (auto set = SetJob(load, {}); !set) return std::unexpected(set.error());
  return object_.ProgramFd(kWrapper);
}

Result<bench_job> Wrapper::Run(const Load& load, const JobOptions& options) {
  const std::lock_guard lock(*running_);
  return RunLocked(load, options);
}

Result<bench_job> Wrapper::RunLocked(const Load& load, const JobOptions& options) {
  const auto wrapper_fd = object_.ProgramFd(kWrapper);
  if (!wrapper_fd) return std::unexpected(wrapper_fd.error());
  if (auto set = SetJob(load, options); !set) return std::unexpected(set.error());
  if (auto ran = RepeatXdpProgram(*wrapper_fd, load.frame, options.packets); !ran) return std::unexpected(ran.error());
  bench_job job{};
  if (auto read = jobs_.Lookup(&kFirst, &job); !read) return std::unexpected(read.error());
  random_ = job.random;
  if (job.done == options.packets) return job;
  return Fail(ErrorKind::kSystem,
              fmt::format("running {} packets through a program: it ended after {}", options.packets, job.done));
}

Result<double> Wrapper::NetNs(const Load& load, uint32_t turns) {
  if (auto warm = Send(load, kWarmingPackets); !warm) return std::unexpected(warm.error());
  // One packet more, at which the last slice has ended.
  const auto job = Run(load, {.packets = 2 * turns * kSlicePackets + 1, .slice_packets = kSlicePackets});
  if (!job) return std::unexpected(job.error());
  std::vector<double> net_ns;
  for (size_t i = 0; i + 2 < std::min<size_t>(job->marks, BENCH_MAX_MARKS); i += 2) {
    const auto begun = static_cast<double>(job->mark_ns[i]);
    const auto turned = static_cast<double>(job->mark_ns[i + 1]);
    const auto ended = static_cast<double>(job->mark_ns[i + 2]);
    net_ns.push_back(((ended - turned) - (turned - begun)) / kSlicePackets);
  }
  return Median(net_ns);
}

Status Wrapper::Send(const Load& load, uint32_t packets) {
  if (auto ran = Run(load, {.packets = packets}); !ran) return std::unexpected(ran.error());
  return {};
}

Result<uint64_t> Wrapper::SendWatching(const Load& load, uint32_t packets) {
  const auto job = Run(load, {.packets = packets});
  if (!job) return std::unexpected(job.error());
  return job->watched_ns;
}

Result<std::vector<uint16_t>> Wrapper::SendNoting(const Load& load) {
  // One more than there are flows: each packet is noted when the next one begins, and the last goes nowhere.
  const auto packets = static_cast<uint32_t>(load.flows + 1);
  const std::lock_guard lock(*running_);
  if (auto ran = RunLocked(load, {.packets = packets, .noting = true}); !ran) return std::unexpected(ran.error());
  const auto noted = answers_.values().subspan(load.first_flow, load.flows);
  return std::vector<uint16_t>(noted.begin(), noted.end());
}

Result<uint64_t> Wrapper::ReadSunk() const {
  uint64_t count = 0;
  if (auto read = sunk_.Lookup(&kFirst, &count); !read) return std::unexpected(read.error());
  return count;
}

}  // namespace shunt::bench
