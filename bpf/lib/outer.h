/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outer header: a real's entry holds it but for what depends on the packet behind it, which is written here. Shared
 * by data (encap.h) and probes (probe.bpf.c), so that both have the same one. Not here: making room for it.
 */
#ifndef SHUNT_OUTER_H
#define SHUNT_OUTER_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_types.h>

#include "checksum.h"

#define OUTER_IPV4_BYTES (sizeof(struct ethhdr) + sizeof(struct iphdr))
#define OUTER_IPV6_BYTES (sizeof(struct ethhdr) + sizeof(struct ipv6hdr))
#define FLOW_LABEL_MASK 0x000fffff

/* What an outer header takes from the packet behind it. */
struct inner {
	__u32 ip_bytes;
	__u32 entropy;
	__be32 source_spread; /* outer_source_spread() */
	__u8 traffic_class;
	__u8 protocol; /* PROTOCOL_IPIP or PROTOCOL_IPV6 */
};

/* Copies a header in words: both ends allow any alignment, which the compiler cannot know. */
static __always_inline void copy_header(void *to, const void *from, __u32 bytes)
{
	__u32 at = 0;

#pragma unroll
	for (; at + 8 <= bytes; at += 8)
		*(__u64 *)(to + at) = *(const __u64 *)(from + at);
	if (bytes & 4) {
		*(__u32 *)(to + at) = *(const __u32 *)(from + at);
		at += 4;
	}
	if (bytes & 2)
		*(__u16 *)(to + at) = *(const __u16 *)(from + at);
}

/* Low bits of the outer source address. They are zero in the header, so adding is setting. */
static __always_inline __be32 outer_source_spread(const struct shunt_real *real, __u32 entropy)
{
	return bpf_htonl(entropy & (__u32)((1ull << real->spread_bits) - 1));
}

/* `frame` has room for OUTER_IPV4_BYTES; the real's entry is one of IPv4. */
static __always_inline void outer_write_ipv4(void *frame, const struct shunt_real *real, const struct inner *inner)
{
	__be32 spread = inner->source_spread;
	struct iphdr *outer = frame + sizeof(struct ethhdr);
	__u32 sum;

	copy_header(frame, real->header, OUTER_IPV4_BYTES);
	outer->tos = inner->traffic_class;
	outer->tot_len = bpf_htons(inner->ip_bytes + sizeof(*outer));
	outer->protocol = inner->protocol;
	outer->saddr |= spread;
	/* The header's own sum stands in its checksum field; these four fields were zero in it. */
	sum = outer->check + bpf_htons(inner->traffic_class) + outer->tot_len + bpf_htons(outer->protocol) +
	      (spread & 0xffff) + (spread >> 16);
	outer->check = ~checksum_fold(sum);
}

/* `frame` has room for OUTER_IPV6_BYTES; the real's entry is one of IPv6. */
static __always_inline void outer_write_ipv6(void *frame, const struct shunt_real *real, const struct inner *inner)
{
	struct ipv6hdr *outer = frame + sizeof(struct ethhdr);

	copy_header(frame, real->header, OUTER_IPV6_BYTES);
	*(__be32 *)outer = bpf_htonl(6u << 28 | (__u32)inner->traffic_class << 20 | (inner->entropy & FLOW_LABEL_MASK));
	outer->payload_len = bpf_htons(inner->ip_bytes);
	outer->nexthdr = inner->protocol;
	outer->saddr.s6_addr32[3] |= inner->source_spread;
}

#endif
