// SPDX-License-Identifier: Apache-2.0
// The data plane in the kernel: the balancer program, its maps, their pins and the interfaces it is attached to.
// Speaks model terms outward and ABI structs (encode.h) through userspace/bpf inward.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "userspace/bpf/xdp_mode.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/upgrade.h"

namespace shunt {

struct KernelDataplaneOptions {
  std::vector<std::string> interfaces;  // names, in the caller's network namespace
  std::string bpffs = "/sys/fs/bpf";    // a mounted bpffs; pins stand in its folder "shunt"
  XdpMode xdp_mode = XdpMode::kAuto;
  Capacities capacities;
  uint32_t max_vlan_tags = 2;
  // Entries that one CPU may make in the flow table in one second. Unset: as many as a flood may make without filling
  // more than half of the table before the sweeper drops them.
  std::optional<uint32_t> flow_entries_per_second;
};

class KernelDataplane final : public Dataplane {
 public:
  // Adopts what is pinned, or creates and pins it. What is pinned by an earlier version, or with other capacities, is
  // copied to new maps, and Attach() takes over from it; a layout that is not known is refused with the remedy.
  // Attaches nothing yet: the caller fills the tables first.
  static Result<std::unique_ptr<KernelDataplane>> Open(const KernelDataplaneOptions& options);
  // An instance of its own: no pins, no interfaces; for replay and tests. Gone with the object.
  static Result<std::unique_ptr<KernelDataplane>> OpenPrivate(const Capacities& capacities, uint32_t max_vlan_tags = 2,
                                                              std::optional<uint32_t> flow_entries_per_second = {});
  ~KernelDataplane() override;  // what is pinned and attached stays

  struct Attachment {
    std::string interface;
    bool native = false;
    bool was_there = false;  // our program was attached already; it stayed, or this version replaced it
  };
  // Attaches to every interface of the options that is there or, after an error, to none that it had not been attached
  // to. None there at all: kNotFound. Another version is replaced under way: where it is the only program in one step,
  // in a dispatcher by handing over to the new one beside it; packets meet one of the two.
  Result<std::vector<Attachment>> Attach();
  // The same for one interface, which may have come back; one that has the program keeps it. Any thread.
  Result<Attachment> AttachTo(const std::string& interface);
  // The pins belong to that user from now on, as whom this process goes on.
  Status GivePins(uid_t user, gid_t group);
  // Detaches from the interfaces of the options, closes the probes' tunnel on all interfaces, whoever opened it, and
  // removes every pin.
  Status Detach();

  // From now on probes that leave by these interfaces take the tunnel of the entry that their mark names
  // (probe_mark.h): attaches bpf/probe.bpf.c to their egress where it is not there yet, and in place of one that an
  // earlier process or version left. An interface that cannot have it does not keep it from the others. Stays attached
  // until Detach(). Any thread.
  Status OpenProbeTunnel(std::span<const uint32_t> interface_indices);

  // Sentences about what Open() and Attach() took over from an earlier process, other than the maps as they are.
  const std::vector<std::string>& notes() const;

  // The loaded program, for measuring it; closed with this object.
  int program_fd() const;

  Capacities capacities() const override;
  Result<Plan> Read() override;
  Status SetReals(std::span<const RealWrite> reals) override;
  Status ClearReals(std::span<const uint32_t> entries) override;
  Status SetVips(const Plan& plan) override;
  Status SetSlots(uint32_t vip_id, const std::shared_ptr<const Ring>& ring, std::span<const uint32_t> slots) override;
  Status Synchronize() override;
  uint64_t flow_places() const override;
  Result<std::vector<FlowEntry>> ReadFlowEntries(uint64_t first_place, uint64_t places) override;
  Result<size_t> DropFlows(std::span<const FlowRef> flows) override;
  Result<std::vector<Refusals>> ReadRefusals(std::span<const uint32_t> vip_ids) override;
  Result<std::vector<RememberedFlow>> ReadFlows(size_t limit) override;
  Status ForgetFlowsExcept(const Plan& plan) override;
  Status ResetTraffic(std::span<const uint32_t> vip_ids, std::span<const uint32_t> entries) override;
  Status CarryTraffic(uint32_t from, uint32_t to) override;
  Result<std::vector<Traffic>> ReadVipTraffic(std::span<const uint32_t> vip_ids) override;
  Result<std::vector<Traffic>> ReadRealTraffic(std::span<const uint32_t> entries) override;
  Result<std::vector<VerdictCount>> ReadVerdicts() override;
  Result<std::vector<double>> ReadFlowEstimates(std::span<const uint32_t> entries) override;
  Status TurnFlowEstimates() override;
  Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t ingress_ifindex) override;
  Result<std::optional<std::vector<uint8_t>>> Forward(std::span<const uint8_t> frame,
                                                      uint32_t ingress_ifindex) override;

 private:
  struct Impl;
  friend Result<UpgradeReport> Upgrade(const std::string& bpffs, bool dry_run);
  explicit KernelDataplane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shunt
