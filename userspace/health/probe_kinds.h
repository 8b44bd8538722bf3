// SPDX-License-Identifier: Apache-2.0
// The maker of each kind of prober, for MakeProber alone: one file probe_KIND.cc each. What they have in common stands
// in probe.h and probe_base.h.
#pragma once

#include <memory>

#include "userspace/health/probe.h"

namespace shunt {

class CurlMulti;
class IcmpSockets;
class TlsContexts;

std::unique_ptr<Prober> MakeTcpProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done);
std::unique_ptr<Prober> MakeTlsProber(const ProbeTarget& target, EventLoop& loop, TlsContexts& contexts,
                                      OnOutcome done);
std::unique_ptr<Prober> MakeHttpProber(const ProbeTarget& target, EventLoop& loop, CurlMulti& curl, OnOutcome done);
std::unique_ptr<Prober> MakeGrpcProber(const ProbeTarget& target, EventLoop& loop, CurlMulti& curl, OnOutcome done);
std::unique_ptr<Prober> MakeUdpProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done);
std::unique_ptr<Prober> MakeDnsProber(const ProbeTarget& target, EventLoop& loop, OnOutcome done);
std::unique_ptr<Prober> MakeIcmpProber(const ProbeTarget& target, EventLoop& loop, IcmpSockets& sockets,
                                       OnOutcome done);
std::unique_ptr<Prober> MakeExecProber(const ProbeTarget& target, EventLoop& loop, ProgramStarter* programs,
                                       OnOutcome done);

}  // namespace shunt
