// SPDX-License-Identifier: Apache-2.0
// shuntctl replay without the kernel: captures, and frames through a data plane in memory.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/unit/forwarding_dataplane.h"
#include "tools/shuntctl/capture.h"
#include "tools/shuntctl/json.h"
#include "tools/shuntctl/replay_run.h"
#include "userspace/model/store_file.h"

namespace shunt::ctl {
namespace {

constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
constexpr Capacities kAny{kNoLimit, kNoLimit, kNoLimit};

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/shuntctl-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

DesiredState OneVip() {
  return *ParseYaml(
      "defaults: { ring_size: 13 }\nvips: [ { vip: \"203.0.113.10:443/tcp\", reals: [ { address: "
      "\"10.0.0.11\" } ] } ]\n",
      "one.yaml", kAny);
}

TEST_CASE("A replay prints one line per frame in the documented form and goes on after a bad one", "[shuntctl]") {
  const DesiredState desired = OneVip();
  ReplayOptions options;
  options.local_mac = *MacAddress::Parse("02:00:00:00:00:02");
  options.gateway_mac = *MacAddress::Parse("02:00:00:00:00:01");
  auto replay = Replay::Prepare(desired, options, std::make_unique<MemoryDataplane>(CapacitiesFor(desired)));
  REQUIRE(replay);
  const Endpoint source = *Endpoint::Parse("198.51.100.7:40000");
  const auto frame = FirstFrame(source, *Endpoint::Parse("203.0.113.10:443"), Protocol::kTcp);

  const ReplayedFrame sent = replay->Run(frame);
  REQUIRE_FALSE(sent.failed);
  REQUIRE(sent.leaves);
  REQUIRE(sent.leaves->size() == frame.size() + 20);
  const std::vector<uint8_t> gateway(sent.leaves->begin(), sent.leaves->begin() + 6);
  REQUIRE(gateway == std::vector<uint8_t>{2, 0, 0, 0, 0, 1});
  REQUIRE(sent.line ==
          "{\"frame\":1,\"verdict\":\"TX_ENCAPSULATED\",\"action\":\"XDP_TX\",\"vip\":\"203.0.113.10:443/tcp\","
          "\"real\":\"10.0.0.11\",\"out_len\":" +
              std::to_string(frame.size() + 20) + "}\n");

  const ReplayedFrame runt = replay->Run(std::span(frame).first(13));
  REQUIRE(runt.failed);
  REQUIRE(Json::parse(runt.line).at("frame") == 2);
  REQUIRE(Contains(Json::parse(runt.line).at("error"), "13 bytes"));

  const ReplayedFrame giant = replay->Run(std::vector<uint8_t>(9000, 0xff));
  REQUIRE(giant.failed);
  REQUIRE(Contains(Json::parse(giant.line).at("error"), "9000 bytes"));

  const auto other = FirstFrame(source, *Endpoint::Parse("203.0.113.11:443"), Protocol::kTcp);
  REQUIRE(replay->Run(other).line == "{\"frame\":4,\"verdict\":\"PASS_NOT_VIP\",\"action\":\"XDP_PASS\"}\n");

  const ReplayedFrame cut = replay->Run(std::span(frame).first(40));
  REQUIRE(Json::parse(cut.line).at("verdict") == "DROP_TRUNCATED");
  REQUIRE_FALSE(cut.leaves);
}

// A data plane that answers other than the model.
class Liar final : public testing::ForwardingDataplane {
 public:
  using ForwardingDataplane::ForwardingDataplane;
  Result<FrameResult> RunFrame(std::span<const uint8_t> frame, uint32_t interface) override {
    auto result = ForwardingDataplane::RunFrame(frame, interface);
    if (lie_about_verdict) result->verdict = 1;
    if (!lie_about_verdict && !result->frame.empty()) result->frame.back() ^= 1;
    return result;
  }
  bool lie_about_verdict = true;
};

TEST_CASE("A replay whose program and model disagree tells it as an error", "[shuntctl]") {
  const DesiredState desired = OneVip();
  const auto frame =
      FirstFrame(*Endpoint::Parse("198.51.100.7:40000"), *Endpoint::Parse("203.0.113.10:443"), Protocol::kTcp);
  for (const bool verdict : {true, false}) {
    auto liar = std::make_unique<Liar>(CapacitiesFor(desired));
    liar->lie_about_verdict = verdict;
    auto replay = Replay::Prepare(desired, {}, std::move(liar));
    REQUIRE(replay);
    const ReplayedFrame told = replay->Run(frame);
    REQUIRE(told.failed);
    REQUIRE_FALSE(told.leaves);
    REQUIRE(Contains(Json::parse(told.line).at("error"), "model"));
  }
}

TEST_CASE("A capture that is copied frame by frame is the same file", "[shuntctl]") {
  const Folder folder;
  const std::string in = folder.path + "/in.pcap";
  const std::string out = folder.path + "/out.pcap";
  for (const bool nanoseconds : {false, true}) {
    const std::vector<uint8_t> frame(60, 0xab);
    {
      auto writer = CaptureWriter::Open(in, "", nanoseconds);
      REQUIRE(writer);
      writer->Write({1700000000, 123456}, frame);
      writer->Write({1700000001, 999999}, std::span(frame).first(20));
      REQUIRE(writer->Finish());
    }
    {
      auto reader = CaptureReader::Open(in);
      REQUIRE(reader);
      REQUIRE(reader->nanoseconds() == nanoseconds);
      auto writer = CaptureWriter::Open(out, in, reader->nanoseconds());
      REQUIRE(writer);
      int frames = 0;
      for (auto captured = reader->Next(); captured && *captured; captured = reader->Next(), ++frames) {
        writer->Write((*captured)->time, (*captured)->bytes);
      }
      REQUIRE(frames == 2);
      REQUIRE(writer->Finish());
    }
    REQUIRE(FileText(in) == FileText(out));
  }
}

TEST_CASE("Captures that cannot be are refused by name", "[shuntctl]") {
  const Folder folder;
  const std::string text = folder.path + "/text";
  std::ofstream(text) << "no capture, but some text of more than a header's length";
  REQUIRE(Contains(CaptureReader::Open(text).error().message, text));
  REQUIRE(CaptureReader::Open(folder.path + "/none").error().kind == ErrorKind::kInvalid);
  // A raw IP capture: the classic header with link type 101.
  const std::string raw = folder.path + "/raw.pcap";
  const char header[] = "\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0";
  std::ofstream(raw, std::ios::binary).write(header, 24);
  REQUIRE(Contains(CaptureReader::Open(raw).error().message, "expected Ethernet"));
  // Writing onto the capture that is read would destroy it.
  REQUIRE(Contains(CaptureWriter::Open(raw, raw, false).error().message, "--out"));
}

}  // namespace
}  // namespace shunt::ctl
