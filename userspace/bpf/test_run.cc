// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/test_run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include <cerrno>

namespace shunt {

Status RepeatXdpProgram(int program_fd, std::span<const std::byte> frame, uint32_t repetitions) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_size_in = static_cast<uint32_t>(frame.size()),
              .repeat = static_cast<int>(repetitions));
  const int error = bpf_prog_test_run_opts(program_fd, &options);
  if (error) return FailErrno(fmt::format("running a program {} times", repetitions), -error);
  return {};
}

Status RunLiveFrames(int program_fd, std::span<const std::byte> frame, uint32_t ingress_ifindex, uint32_t repetitions,
                     uint32_t batch) {
  xdp_md context{};
  context.data_end = static_cast<uint32_t>(frame.size());
  context.ingress_ifindex = ingress_ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_size_in = static_cast<uint32_t>(frame.size()),
              .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = static_cast<int>(repetitions),
              .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = batch);
  const int error = bpf_prog_test_run_opts(program_fd, &options);
  if (error) return FailErrno(fmt::format("sending {} frames", repetitions), -error);
  return {};
}

Result<UniqueFd> OpenProgramById(uint32_t id) {
  UniqueFd fd(bpf_prog_get_fd_by_id(id));
  if (fd.valid()) return fd;
  if (errno == ENOENT) return Fail(ErrorKind::kNotFound, fmt::format("opening program {}: there is none", id));
  return FailErrno(fmt::format("opening program {}", id), errno);
}

Result<UniqueFd> LinkXdp(int program_fd, uint32_t ifindex, XdpLinkMode mode) {
  const bool native = mode == XdpLinkMode::kNative;
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
  UniqueFd link(bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP, &options));
  if (link.valid()) return link;
  return FailErrno(
      fmt::format("attaching a program to interface {} in {} mode", ifindex, native ? "native" : "generic"), errno);
}

}  // namespace shunt
