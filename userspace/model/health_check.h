// SPDX-License-Identifier: Apache-2.0
// How a VIP's reals are checked, as plain values: what is asked, what counts as an answer, how often, and how many
// answers make a judgement. Not here: asking (health/), and what follows from a judgement (control/weights.h).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace shunt {

enum class CheckKind : uint8_t {
  kNone,   // not checked
  kTcp,    // a connection is accepted
  kHttp,   // HTTP/1.1
  kHttps,  // the same over TLS
  kHttp2,  // HTTP/2; without TLS with prior knowledge (RFC 9113, 3.3)
  kGrpc,   // grpc.health.v1.Health/Check says SERVING
  kUdp,    // a datagram is answered
  kDns,    // a query is answered
  kTls,    // a TLS handshake succeeds
  kIcmp,   // an echo request is answered (RFC 792, RFC 4443)
  kExec,   // a program ends with status 0
};

enum class ProbeVia : uint8_t {
  kTunnel,  // to the VIP on the real, in the outer header that data gets
  kDirect,  // to the real's own address
};

enum class DnsType : uint8_t { kA, kAaaa, kNs, kSoa, kTxt };

struct StatusRange {
  uint16_t first = 0, last = 0;  // 100 to 599, both included
  auto operator<=>(const StatusRange&) const = default;
};

inline constexpr uint32_t kMinIntervalMs = 100;
inline constexpr uint32_t kMaxIntervalMs = 3600000;
inline constexpr uint32_t kMinTimeoutMs = 10;
inline constexpr uint32_t kMaxTimeoutMs = 60000;
inline constexpr uint32_t kMaxRiseFall = 100;
inline constexpr uint32_t kMaxJitterPercent = 50;
inline constexpr size_t kMaxUdpPayloadBytes = 1200;
inline constexpr size_t kMaxTextBytes = 4096;   // of each text, and of a command with all its arguments
inline constexpr size_t kMaxCommandWords = 33;  // the program and 32 arguments
inline constexpr size_t kMaxBodyBytes = 65536;  // that a probe reads of an answer

struct HealthCheck {
  CheckKind kind = CheckKind::kNone;
  ProbeVia via = ProbeVia::kTunnel;
  uint16_t port = 0;  // 0: the VIP's own; icmp and exec have none

  uint32_t interval_ms = 2000;       // from the start of one probe to the start of the next
  uint32_t failing_interval_ms = 0;  // the same while it is down, and on the way there if shorter; 0: interval_ms
  uint32_t timeout_ms = 1000;        // at most interval_ms and, if set, failing_interval_ms
  uint32_t rise = 2;                 // passes in a row that make a down real up
  uint32_t fall = 3;                 // failures in a row that make an up real down
  uint32_t jitter_percent = 10;      // each interval is longer or shorter at random, by so much at most
  bool initially_up = false;         // a new real takes traffic before its first pass

  // http, https, http2
  std::string method = "GET";
  std::string path = "/";
  std::string host{};  // Host or :authority; empty: the VIP's address
  std::vector<StatusRange> status = {{200, 399}};
  std::string body{};  // the answer holds this text; empty: any

  // https, tls; http2 and grpc if `tls`
  bool tls = false;
  bool tls_verify = true;                    // the certificate's chain and name
  std::string tls_name{};                    // SNI, and the name that is verified; empty: `host`, or none
  std::string tls_ca{};                      // file of trusted certificates; empty: the system's
  std::string tls_certificate{}, tls_key{};  // files of the client's own; both or neither

  std::string grpc_service{};  // grpc; empty: the whole server

  std::string send{};    // udp; bytes
  std::string expect{};  // udp: the answer begins with these bytes; empty: any answer

  std::string dns_name = ".";
  DnsType dns_type = DnsType::kNs;
  std::string dns_expect{};  // an address that the answer holds (types a and aaaa); empty: any answer without an error

  std::vector<std::string> command{};  // exec: absolute path and arguments; no shell
  std::string user = "nobody";         // exec: who runs it

  auto operator<=>(const HealthCheck&) const = default;
};

}  // namespace shunt
