/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a key stands in `vip_table`: a perfect hash by displacement (Belazzougui, Botelho, Dietzfelbinger 2009), made
 * by user space, which knows all keys. A lookup reads one displacement and one line; the line has the key or
 * nobody has. The table has two halves: one is in force, the other is for the next one.
 */
#ifndef SHUNT_ABI_VIP_TABLE_H
#define SHUNT_ABI_VIP_TABLE_H

#include <linux/types.h>

/* shunt_control.vip_table: the half in force, whether any VIP is for every port, and the seed of its hash. */
#define SHUNT_VIP_TABLE_HALF (1ull << 0)
#define SHUNT_VIP_TABLE_ANY_PORT (1ull << 1)
#define SHUNT_VIP_TABLE_SEED(word) ((word) & 0xffffffff00000000ull)

/* `address` as its two words in memory, `service`: port as it stands in memory in the low 16 bits, protocol in the next
 * 8. Host byte order: a table is read by the host that made it. */
static inline __attribute__((always_inline)) __u64 shunt_vip_hash(__u64 table, __u64 address_high, __u64 address_low,
								  __u32 service)
{
	__u64 hash = (address_low ^ SHUNT_VIP_TABLE_SEED(table)) * 0x9fb21c651e98df25ull;

	hash = (((hash ^ (hash >> 32)) + address_high) ^ service) * 0xd6e8feb86659fd93ull;
	hash = __builtin_bswap64(hash); /* a product's high bits know most, and low bits are what is used */
	return hash ^ (hash >> 32);
}

/* The displacement that a hash goes by, within its half; `groups` is a power of two. */
static inline __attribute__((always_inline)) __u32 shunt_vip_group(__u64 hash, __u32 groups)
{
	return (__u32)(hash >> 16) & (groups - 1);
}

/* The line of a hash, within its half; `lines` is a power of two. */
static inline __attribute__((always_inline)) __u32 shunt_vip_line(__u64 hash, __u32 displacement, __u32 lines)
{
	return ((__u32)hash + displacement * ((__u32)(hash >> 32) | 1)) & (lines - 1);
}

#endif
