// SPDX-License-Identifier: Apache-2.0
// A configuration on a data plane of its own and frames run through it one by one, each held against the packet
// model: a replay is a check of the program too. Not here: files (replay.cc, capture.h). One thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/dataplane/dataplane.h"
#include "userspace/dataplane/packet_model.h"
#include "userspace/net/mac.h"

namespace shunt::ctl {

struct ReplayOptions {
  MacAddress local_mac;    // source of the frames that leave
  MacAddress gateway_mac;  // their destination
  uint32_t mtu_bytes = 1500;
};

struct ReplayedFrame {
  std::string line;                            // JSON, with its newline
  std::optional<std::vector<uint8_t>> leaves;  // as it goes out, if it does
  bool failed = false;                         // the line tells an error
};

// What a data plane for this configuration alone must hold.
Capacities CapacitiesFor(const DesiredState& desired);

class Replay {
 public:
  // Fills the tables. Every real has one next hop, on interface 1, where the frames come in by as well.
  static Result<Replay> Prepare(const DesiredState& desired, const ReplayOptions& options,
                                std::unique_ptr<Dataplane> dataplane);
  ReplayedFrame Run(std::span<const uint8_t> frame);

 private:
  Replay(std::unique_ptr<Dataplane> dataplane, DataplaneTables tables)
      : dataplane_(std::move(dataplane)), tables_(std::move(tables)) {}
  std::unique_ptr<Dataplane> dataplane_;
  DataplaneTables tables_;  // the model's
  uint64_t frame_number_ = 0;
};

}  // namespace shunt::ctl
