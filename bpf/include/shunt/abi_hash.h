/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow hash, shared by the program and by the C++ that must agree with it (explain, tests).
 *
 * Multiply and xor-shift over 64-bit words, keyed before the first and after the last word, so that nobody
 * without the key can aim flows at one slot. All balancers with the same hash_key agree, whatever their byte
 * order, only as long as words are formed from bytes the same way: callers load words little-endian.
 */
#ifndef SHUNT_ABI_HASH_H
#define SHUNT_ABI_HASH_H

#include <linux/types.h>

static inline __attribute__((always_inline)) __u64 shunt_hash_word(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25ull; /* odd, high entropy: every input bit reaches the top bits */
	return hash ^ (hash >> 32);
}

/* Hash of one flow of a VIP. `ports` is source port in the low, destination port in the next 16 bits, each in
 * network byte order as it stands in the packet. */
static inline __attribute__((always_inline)) __u64 shunt_flow_hash(const __u64 key[2], __u64 source_high,
								   __u64 source_low, __u32 ports)
{
	__u64 hash = shunt_hash_word(key[0], source_high);

	hash = shunt_hash_word(hash, source_low);
	hash = shunt_hash_word(hash, ports ^ key[1]);
	return shunt_hash_word(hash, key[0] >> 32 | key[0] << 32);
}

/* Slot of a hash: multiply and shift in place of a division. Uses the upper half; the lower is left for the
 * entropy of the outer header. */
static inline __attribute__((always_inline)) __u32 shunt_ring_slot_of(__u64 hash, __u32 ring_slots)
{
	return (__u32)(((hash >> 32) * ring_slots) >> 32);
}

#endif
