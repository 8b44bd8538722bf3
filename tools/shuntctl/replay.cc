// SPDX-License-Identifier: Apache-2.0
// shuntctl replay --config=FILE --in=CAPTURE --out=CAPTURE
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "tools/shuntctl/capture.h"
#include "tools/shuntctl/output.h"
#include "tools/shuntctl/replay_run.h"
#include "tools/shuntctl/verbs.h"
#include "tools/shuntctl/words.h"
#include "userspace/dataplane/kernel_dataplane.h"
#include "userspace/model/store_file.h"

namespace shunt::ctl {
namespace {

constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kMinMtuBytes = 68;  // RFC 791
constexpr uint32_t kMaxMtuBytes = 65535;

struct ReplayWords {
  std::string config;
  std::string in;
  std::string out;
  std::string gateway_mac = "02:00:00:00:00:01";
  std::string local_mac = "02:00:00:00:00:02";
  std::string mtu = "1500";
};

Result<Replay> Prepare(const ReplayWords& given) {
  Words words;
  ReplayOptions options;
  options.gateway_mac = words.Read(MacAddress::Parse(given.gateway_mac));
  options.local_mac = words.Read(MacAddress::Parse(given.local_mac));
  options.mtu_bytes = words.Number("--mtu", given.mtu, kMinMtuBytes, kMaxMtuBytes);
  const auto text = ReadFile(given.config, kMaxStoreBytes);
  if (!text) words.Note(text.error().message);
  const Capacities any{kNoLimit, kNoLimit, kNoLimit};
  const auto desired = text ? ParseYaml(*text, given.config, any) : Result<DesiredState>();
  if (!desired) words.Note(desired.error().message);
  if (const auto status = words.status(); !status) return std::unexpected(status.error());
  auto dataplane = KernelDataplane::OpenPrivate(CapacitiesFor(*desired));
  if (!dataplane) return std::unexpected(dataplane.error());
  return Replay::Prepare(*desired, options, std::move(*dataplane));
}

Status RunReplay(const ReplayWords& given) {
  auto reader = CaptureReader::Open(given.in);
  if (!reader) return std::unexpected(reader.error());
  auto replay = Prepare(given);
  if (!replay) return std::unexpected(replay.error());
  auto writer = CaptureWriter::Open(given.out, given.in, reader->nanoseconds());
  if (!writer) return std::unexpected(writer.error());

  uint64_t failed = 0;
  for (;;) {
    const auto captured = reader->Next();
    if (!captured) return std::unexpected(captured.error());
    if (!*captured) break;
    const ReplayedFrame frame = replay->Run((*captured)->bytes);
    Print(frame.line);
    if (frame.leaves) writer->Write((*captured)->time, *frame.leaves);
    failed += frame.failed ? 1 : 0;
  }
  if (const auto status = writer->Finish(); !status) return status;
  if (failed > 0) return Fail(ErrorKind::kSystem, fmt::format("replaying {}: {} frames failed", given.in, failed));
  return {};
}

}  // namespace

void AddReplay(CLI::App& app, Session& session) {
  const auto words = std::make_shared<ReplayWords>();
  CLI::App& verb =
      *AddVerb(app, session,
               {"replay", "Run a capture through the program, offline: no daemon, no interface; needs root (bpf)",
                "shuntctl replay --config=lb.yaml --in=a.pcap --out=b.pcap", nullptr},
               [words] { return RunReplay(*words); });
  verb.add_option("--config", words->config, "the configuration, as for apply")->required()->type_name("FILE");
  verb.add_option("--in", words->in, "pcap or pcapng of Ethernet frames")->required()->type_name("FILE");
  verb.add_option("--out", words->out, "pcap of the frames that leave")->required()->type_name("FILE");
  verb.add_option("--gateway-mac", words->gateway_mac, "destination of the frames that leave (02:00:00:00:00:01)")
      ->type_name("MAC");
  verb.add_option("--local-mac", words->local_mac, "source of the frames that leave (02:00:00:00:00:02)")
      ->type_name("MAC");
  verb.add_option("--mtu", words->mtu, "longest IP packet that may leave (1500)")->type_name("BYTES");
  verb.footer(verb.get_footer() + R"(
One JSON line per frame, whatever -o says; vip, real and out_len only where they apply:
  {"frame":1,"verdict":"TX_ENCAPSULATED","action":"XDP_TX","vip":"203.0.113.10:443/tcp","real":"10.0.0.11","out_len":112}
A frame that cannot be run is {"frame":N,"error":"…"}; the others are run, and the exit status is 1.
Outer sources are the configuration's outer_source, else 192.0.2.1 and 2001:db8::1.
)");
}

}  // namespace shunt::ctl
