/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow hash, shared by the program and by the C++ that must agree with it (explain, sweeper, tests).
 *
 * Multiply and xor-shift over 64-bit words, keyed before the first and before the last word, so that nobody
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

/* The same of a word whose high bits matter: a high bit reaches few bits of a product, so it goes into the low half
 * first.
 */
static inline __attribute__((always_inline)) __u64 shunt_hash_full_word(__u64 key, __u64 word)
{
	word ^= key;
	return shunt_hash_word(word, word >> 32);
}

/* Hash of one flow of an IPv4 VIP. `ports` is source port in the low, destination port in the next 16 bits, each in
 * network byte order as it stands in the packet. */
static inline __attribute__((always_inline)) __u64 shunt_flow_hash_ipv4(const __u64 key[2], __u32 source, __u32 ports)
{
	return shunt_hash_word(shunt_hash_full_word(key[0], (__u64)ports << 32 | source), key[1]);
}

/* The same for IPv6; the source address in two words. All three words are mixed side by side, for none waits for
 * another; the swap of bytes keeps what a change of one does for certain apart from what a change of another does. */
static inline __attribute__((always_inline)) __u64 shunt_flow_hash_ipv6(const __u64 key[2], __u64 source_high,
									__u64 source_low, __u32 ports)
{
	__u64 hash = shunt_hash_word(key[0] ^ key[1], ports) ^ shunt_hash_full_word(key[0], source_high);

	return shunt_hash_word(hash ^ __builtin_bswap64(shunt_hash_full_word(key[1], source_low)), key[1]);
}

/* Slot of a hash: multiply and shift in place of a division. Uses the upper half, as the flow table's tag does; the
 * lower is for the flow table's line, the sketches and the entropy of the outer header. */
static inline __attribute__((always_inline)) __u32 shunt_ring_slot_of(__u64 hash, __u32 ring_slots)
{
	return (__u32)(((hash >> 32) * ring_slots) >> 32);
}

#endif
