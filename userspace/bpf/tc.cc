// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "userspace/base/text.h"
#include "userspace/bpf/kernel_log.h"
#include "userspace/net/links.h"
#include "userspace/net/netlink.h"

namespace shunt {
namespace {

constexpr uint32_t kIngress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr uint32_t kEgress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);
constexpr size_t kMessageBytes = 32768;  // what the kernel fills at most in a dump

struct Filter {
  std::string kind;
  uint32_t priority = 0;
  uint32_t handle = 0;
  uint32_t program_id = 0;  // of kind "bpf"
  std::string program;      // the same; its name
};

// The name of an interface, or its number where it is gone.
std::string NameOf(uint32_t interface_index) {
  char name[IF_NAMESIZE];
  if (if_indextoname(interface_index, name)) return name;
  return fmt::format("interface {}", interface_index);
}

// libbpf calls a filter "program:[id]". From there and not from the kernel, which tells about programs of others only
// who has CAP_SYS_ADMIN.
std::string ProgramName(std::string_view filter) { return std::string(filter.substr(0, filter.find(":["))); }

int TakeFilter(const nlmsghdr* message, void* filters) {
  const auto* header = ReadHeader<tcmsg>(message);
  // Each priority of a kind is told first as a whole, without a handle.
  if (message->nlmsg_type != RTM_NEWTFILTER || !header || header->tcm_handle == 0) return MNL_CB_OK;
  const auto attributes = ReadAttributes<TCA_MAX + 1>(message, sizeof(tcmsg));
  Filter filter;
  filter.priority = TC_H_MAJ(header->tcm_info) >> 16;
  filter.handle = header->tcm_handle;
  if (attributes[TCA_KIND]) filter.kind = mnl_attr_get_str(attributes[TCA_KIND]);
  if (filter.kind == "bpf") {
    const auto options = ReadNested<TCA_BPF_MAX + 1>(attributes[TCA_OPTIONS]);
    filter.program_id = ReadU32(options[TCA_BPF_ID]).value_or(0);
    if (options[TCA_BPF_NAME]) filter.program = ProgramName(mnl_attr_get_str(options[TCA_BPF_NAME]));
  }
  static_cast<std::vector<Filter>*>(filters)->push_back(std::move(filter));
  return MNL_CB_OK;
}

// Without clsact, or without the interface, there are none.
Result<std::vector<Filter>> ReadFilters(uint32_t interface_index, uint32_t parent) {
  const auto failed = [&] { return FailErrno("asking what tc filters " + NameOf(interface_index) + " has", errno); };
  const NetlinkSocket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return failed();
  std::vector<char> buffer(kMessageBytes);
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETTFILTER;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* header = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(tcmsg)));
  header->tcm_family = AF_UNSPEC;
  header->tcm_ifindex = static_cast<int>(interface_index);
  header->tcm_parent = parent;
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return failed();
  std::vector<Filter> filters;
  for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
    const ssize_t bytes = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return failed();
    more = mnl_cb_run(buffer.data(), static_cast<size_t>(bytes), 0, 0, TakeFilter, &filters);
    if (more < 0) return failed();
  }
  return filters;
}

bool AtOurPlace(const Filter& filter) {
  return filter.kind == "bpf" && filter.priority == kTcPriority && filter.handle == kTcHandle;
}

// What is at our place; null if nothing is.
const Filter* Present(std::span<const Filter> filters) {
  const auto there = std::ranges::find_if(filters, AtOurPlace);
  return there == filters.end() ? nullptr : &*there;
}

Status CheckInterface(uint32_t interface_index) {
  auto client = NetlinkClient::Open();
  if (!client) return std::unexpected(client.error());
  auto links = LookUpLinks(*client, std::span(&interface_index, 1));
  if (!links) return std::unexpected(links.error());
  const std::optional<Link>& link = links->front();
  if (!link) return Fail(ErrorKind::kNotFound, "there is no such interface in this network namespace");
  if (!link->ethernet) return Fail(ErrorKind::kInvalid, "it is no Ethernet interface");
  return {};
}

std::unexpected<Error> SomebodyElse(const std::string& doing, std::string_view kind, const std::string& name) {
  return Fail(
      ErrorKind::kExists,
      fmt::format("{}: its place among the filters (priority {}, handle 0x{:x}) is taken by somebody else, {} {}; "
                  "give that one another priority",
                  doing, kTcPriority, kTcHandle, kind, Quote(name)));
}

bpf_tc_hook HookOf(uint32_t interface_index, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(interface_index);
  hook.attach_point = point;
  return hook;
}

Status Attach(const std::string& doing, uint32_t interface_index, int program_fd, bool replace) {
  bpf_tc_hook hook = HookOf(interface_index, BPF_TC_EGRESS);
  KernelLog log;
  int error = bpf_tc_hook_create(&hook);
  if (error && error != -EEXIST) return log.Fail(doing, -error);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = replace ? uint32_t{BPF_TC_F_REPLACE} : 0u,
              .handle = kTcHandle, .priority = kTcPriority);
  error = bpf_tc_attach(&hook, &options);
  if (error) return log.Fail(doing, -error);
  return {};
}

Status RemoveEmptyClsact(const std::string& doing, uint32_t interface_index) {
  for (const uint32_t parent : {kIngress, kEgress}) {
    auto filters = ReadFilters(interface_index, parent);
    if (!filters) return std::unexpected(filters.error());
    if (!filters->empty()) return {};
  }
  bpf_tc_hook hook =
      HookOf(interface_index, static_cast<bpf_tc_attach_point>(int{BPF_TC_INGRESS} | int{BPF_TC_EGRESS}));
  KernelLog log;
  const int error = bpf_tc_hook_destroy(&hook);
  if (error) return log.Fail(doing, -error);
  return {};
}

}  // namespace

Result<bool> AttachTcEgress(uint32_t interface_index, int program_fd, const ProgramIdentity& wanted) {
  const std::string doing = fmt::format("attaching {} to the egress of {}", wanted.name, NameOf(interface_index));
  if (auto fits = CheckInterface(interface_index); !fits) return Context(doing, fits.error());
  auto filters = ReadFilters(interface_index, kEgress);
  if (!filters) return Context(doing, filters.error());
  for (const Filter& filter : *filters)
    if (filter.priority == kTcPriority && filter.kind != "bpf")
      return SomebodyElse(doing, "a filter of kind", filter.kind);
  const Filter* present = Present(*filters);
  if (present && present->program != wanted.name) return SomebodyElse(doing, "program", present->program);
  if (present && present->program_id == wanted.id) return false;
  if (auto attached = Attach(doing, interface_index, program_fd, present != nullptr); !attached)
    return std::unexpected(attached.error());
  return true;
}

Result<bool> DetachTcEgress(uint32_t interface_index, const std::string& program) {
  const std::string doing = fmt::format("detaching {} from the egress of {}", program, NameOf(interface_index));
  auto filters = ReadFilters(interface_index, kEgress);
  if (!filters) return Context(doing, filters.error());
  const Filter* present = Present(*filters);
  if (!present || present->program != program) return false;
  const bpf_tc_hook hook = HookOf(interface_index, BPF_TC_EGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  KernelLog log;
  const int error = bpf_tc_detach(&hook, &options);
  if (error) return log.Fail(doing, -error);
  if (auto removed = RemoveEmptyClsact(doing, interface_index); !removed) return std::unexpected(removed.error());
  return true;
}

}  // namespace shunt
