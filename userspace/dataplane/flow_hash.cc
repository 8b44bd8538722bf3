// SPDX-License-Identifier: Apache-2.0
#include "userspace/dataplane/flow_hash.h"

#include <shunt/abi_hash.h>

#include <span>

namespace shunt {
namespace {

// The two lanes of a key begin apart, so that neither tells the other. First digits of pi.
constexpr FlowHashKey kLanes = {0x243f6a8885a308d3, 0x13198a2e03707344};

// Words are formed from bytes, not from memory, so that every balancer forms the same ones.
uint64_t LittleEndian(std::span<const uint8_t> bytes) {
  uint64_t word = 0;
  for (size_t i = 0; i < bytes.size(); ++i) word |= uint64_t{bytes[i]} << (8 * i);
  return word;
}

std::array<uint64_t, 2> WordsOf(const std::array<uint8_t, 16>& bytes) {
  const std::span<const uint8_t, 16> all(bytes);
  return {LittleEndian(all.first<8>()), LittleEndian(all.last<8>())};
}

// The two bytes of a port as they stand in a packet, the first one low.
constexpr uint32_t PortWord(uint16_t port) { return static_cast<uint32_t>(port >> 8 | (port & 0xff) << 8); }

}  // namespace

FlowHashKey DeriveFlowHashKey(const HashKey& hash_key, const VipKey& vip) {
  const auto secret = WordsOf(hash_key);
  const auto address = WordsOf(vip.address.bytes());
  const uint64_t service = PortWord(vip.port) | uint64_t{static_cast<uint8_t>(vip.protocol)} << 16;
  FlowHashKey key = kLanes;
  for (uint64_t& lane : key) {
    // The secret before and after what is public; the last rounds carry every bit to every other.
    for (const uint64_t word : {secret[0], secret[1], address[0], address[1], service, secret[1], secret[0]})
      lane = shunt_hash_word(lane, word);
    lane = shunt_hash_word(shunt_hash_word(lane, 0), 0);
  }
  return key;
}

uint64_t FlowHash(const FlowHashKey& key, const Endpoint& source, uint16_t destination_port) {
  const __u64 lanes[] = {key[0], key[1]};
  const uint32_t ports = PortWord(source.port) | PortWord(destination_port) << 16;
  if (source.address.family() == Family::kIpv4) {
    return shunt_flow_hash_ipv4(lanes, static_cast<uint32_t>(LittleEndian(source.address.ipv4())), ports);
  }
  const auto address = WordsOf(source.address.bytes());
  return shunt_flow_hash_ipv6(lanes, address[0], address[1], ports);
}

uint32_t SlotOf(uint64_t flow_hash, uint32_t ring_slots) { return shunt_ring_slot_of(flow_hash, ring_slots); }

}  // namespace shunt
