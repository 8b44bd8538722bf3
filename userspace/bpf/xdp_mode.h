// SPDX-License-Identifier: Apache-2.0
// XdpMode: how a program is to be attached. A plain value that callers outside this folder name too.
#pragma once

namespace shunt {

enum class XdpMode { kAuto, kNative, kGeneric };  // auto: native, or generic where the driver has no XDP

}  // namespace shunt
