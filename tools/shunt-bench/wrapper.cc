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
constexpr uint32_t kSlicePackets = 20000;  // two milliseconds
constexpr uint32_t kWarmingPackets = 200000;

std::span<const std::byte> Elf() {
  size_t bytes = 0;
  const void* elf = bench_bpf__elf_bytes(&bytes);
  return {static_cast<const std::byte*>(elf), bytes};
}

std::string WrapperFor(const Load& load, bench_program program) {
  constexpr size_t kFirstEtherTypeByte = 12;
  const bool ipv4 = load.frame[kFirstEtherTypeByte] == std::byte{0x08};
  return fmt::format("wrap_{}_{}",
                     !load.ipv6_frame.empty() ? "mixed"
                     : ipv4                   ? "ipv4"
                                              : "ipv6",
                     program == BENCH_FLOOR ? "floor" : "subject");
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
  return wrapper;
}

Status Wrapper::SetJob(const Load& load, uint64_t packets, bool noting) {
  bench_job job{};
  job.repetitions = packets;
  job.random = random_;
  job.flows = load.flows;
  job.next_flow = load.first_flow;
  job.order = load.sequential ? BENCH_SEQUENTIAL : BENCH_RANDOM;
  job.vips = load.vips;
  job.frame_bytes = static_cast<uint32_t>(load.frame.size());
  job.noting = noting ? 1 : 0;
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

Result<int> Wrapper::PrepareGenerator(const Load& load) {
  const auto tx_fd = Reference("tx");
  if (!tx_fd) return tx_fd;
  if (auto set = SetSubject(*tx_fd); !set) return std::unexpected(set.error());
  if (auto set = SetJob(load, 0, false); !set) return std::unexpected(set.error());
  return object_.ProgramFd(WrapperFor(load, BENCH_SUBJECT));
}

Result<double> Wrapper::RunTimed(const Load& load, int program, uint32_t packets) {
  const auto wrapper_fd = object_.ProgramFd(WrapperFor(load, static_cast<bench_program>(program)));
  if (!wrapper_fd) return std::unexpected(wrapper_fd.error());
  if (auto set = SetJob(load, packets, false); !set) return std::unexpected(set.error());
  if (auto ran = RepeatXdpProgram(*wrapper_fd, load.frame, packets); !ran) return std::unexpected(ran.error());
  bench_job job{};
  if (auto read = jobs_.Lookup(&kFirst, &job); !read) return std::unexpected(read.error());
  random_ = job.random;
  if (job.done != packets) return Fail(ErrorKind::kSystem, "measuring a program: it did not run to the end");
  return static_cast<double>(job.last_ns - job.first_ns) / (packets - 1);
}

Result<double> Wrapper::NetNs(const Load& load, uint32_t slices) {
  if (auto warm = Send(load, kWarmingPackets); !warm) return std::unexpected(warm.error());
  std::vector<double> net_ns;
  for (uint32_t slice = 0; slice < slices; ++slice) {
    const auto own = RunTimed(load, BENCH_FLOOR, kSlicePackets);
    if (!own) return own;
    const auto gross = RunTimed(load, BENCH_SUBJECT, kSlicePackets);
    if (!gross) return gross;
    net_ns.push_back(*gross - *own);
  }
  return Median(net_ns);
}

Status Wrapper::Send(const Load& load, uint32_t packets) {
  if (auto ran = RunTimed(load, BENCH_SUBJECT, packets); !ran) return std::unexpected(ran.error());
  return {};
}

Result<uint64_t> Wrapper::SendWatching(const Load& load, uint32_t packets) {
  if (auto sent = Send(load, packets); !sent) return std::unexpected(sent.error());
  bench_job job{};
  if (auto read = jobs_.Lookup(&kFirst, &job); !read) return std::unexpected(read.error());
  return job.watched_ns;
}

Result<std::vector<uint16_t>> Wrapper::SendNoting(const Load& load) {
  // One more than there are flows: each packet is noted when the next one begins, and the last goes nowhere.
  const auto packets = static_cast<uint32_t>(load.flows + 1);
  const auto wrapper_fd = object_.ProgramFd(WrapperFor(load, BENCH_SUBJECT));
  if (!wrapper_fd) return std::unexpected(wrapper_fd.error());
  if (auto set = SetJob(load, packets, true); !set) return std::unexpected(set.error());
  if (auto ran = RepeatXdpProgram(*wrapper_fd, load.frame, packets); !ran) return std::unexpected(ran.error());
  const auto noted = answers_.values().subspan(load.first_flow, load.flows);
  return std::vector<uint16_t>(noted.begin(), noted.end());
}

Result<uint64_t> Wrapper::ReadSunk() const {
  uint64_t count = 0;
  if (auto read = sunk_.Lookup(&kFirst, &count); !read) return std::unexpected(read.error());
  return count;
}

}  // namespace shunt::bench
