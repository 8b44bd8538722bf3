// SPDX-License-Identifier: Apache-2.0
#include "userspace/health/probe.h"

#include <utility>

#include "userspace/health/curl_multi.h"
#include "userspace/health/icmp_sockets.h"
#include "userspace/health/probe_kinds.h"
#include "userspace/health/tls_context.h"

namespace shunt {

struct ProbeShared::Impl {
  Impl(EventLoop& loop, ProgramStarter* programs_in) : curl(loop), icmp(loop), programs(programs_in) {}
  CurlMultis curl;
  IcmpSockets icmp;
  TlsContexts tls;
  ProgramStarter* const programs;
};

ProbeShared::ProbeShared(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProbeShared::~ProbeShared() = default;

std::unique_ptr<ProbeShared> ProbeShared::Create(EventLoop& loop, ProgramStarter* programs) {
  return std::unique_ptr<ProbeShared>(new ProbeShared(std::make_unique<Impl>(loop, programs)));
}

std::unique_ptr<Prober> MakeProber(const ProbeTarget& target, EventLoop& loop, ProbeShared& shared, OnOutcome done) {
  ProbeShared::Impl& impl = shared.impl();
  switch (target.check.kind) {
    case CheckKind::kNone:
      break;
    case CheckKind::kTcp:
      return MakeTcpProber(target, loop, std::move(done));
    case CheckKind::kHttp:
    case CheckKind::kHttps:
    case CheckKind::kHttp2:
      return MakeHttpProber(target, loop, impl.curl.ForOneMore(), std::move(done));
    case CheckKind::kGrpc:
      return MakeGrpcProber(target, loop, impl.curl.ForOneMore(), std::move(done));
    case CheckKind::kUdp:
      return MakeUdpProber(target, loop, std::move(done));
    case CheckKind::kDns:
      return MakeDnsProber(target, loop, std::move(done));
    case CheckKind::kTls:
      return MakeTlsProber(target, loop, impl.tls, std::move(done));
    case CheckKind::kIcmp:
      return MakeIcmpProber(target, loop, impl.icmp, std::move(done));
    case CheckKind::kExec:
      return MakeExecProber(target, loop, impl.programs, std::move(done));
  }
  return nullptr;
}

}  // namespace shunt
