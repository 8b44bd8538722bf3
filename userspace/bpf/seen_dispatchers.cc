// SPDX-License-Identifier: Apache-2.0
#include "userspace/bpf/seen_dispatchers.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>
#include <utility>

namespace shunt {
namespace {

// As libxdp finds it.
UniqueFd OpenPins() {
  const char* bpffs = std::getenv("LIBXDP_BPFFS");
  const std::string folder = std::string(bpffs ? bpffs : "/sys/fs/bpf") + "/xdp";
  return UniqueFd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

bool MayOpenProgramsById() {
  return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) != 0;
}

void SeenDispatchers::Note(int interface_index, uint32_t dispatcher_id, XdpPresence presence) {
  if (!pins_.valid()) pins_ = OpenPins();
  seen_[interface_index] = {.dispatcher_id = dispatcher_id, .presence = std::move(presence)};
}

const XdpPresence* SeenDispatchers::Recall(int interface_index, uint32_t dispatcher_id) const {
  const auto known = seen_.find(interface_index);
  if (known == seen_.end()) return nullptr;
  if (known->second.dispatcher_id == dispatcher_id) return &known->second.presence;
  struct stat pins{};
  const std::string folder = fmt::format("dispatch-{}-{}", interface_index, dispatcher_id);
  const bool is_dispatcher = fstatat(pins_.get(), folder.c_str(), &pins, 0) == 0 && S_ISDIR(pins.st_mode);
  return is_dispatcher ? &known->second.presence : nullptr;
}

}  // namespace shunt
