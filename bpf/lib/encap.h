/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "encap": puts the real's outer header in front of the packet. User space made that header (struct
 * shunt_real); what is left is room, a copy, and the fields that depend on the packet.
 */
#ifndef SHUNT_ENCAP_H
#define SHUNT_ENCAP_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "../maps.h"
#include "checksum.h"
#include "packet.h"

#define OUTER_IPV4_BYTES (sizeof(struct ethhdr) + sizeof(struct iphdr))
#define OUTER_IPV6_BYTES (sizeof(struct ethhdr) + sizeof(struct ipv6hdr))
#define FLOW_LABEL_MASK 0x000fffff

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
static __always_inline __be32 source_spread(const struct packet *packet)
{
	return bpf_htonl((__u32)packet->flow_hash & (__u32)((1ull << packet->real->spread_bits) - 1));
}

/* Moves the frame's start so that `outer_bytes` stand before the IP header; VLAN tags are overwritten. */
static __always_inline void *encap_room(struct xdp_md *ctx, const struct packet *packet, __u32 outer_bytes)
{
	struct cursor cursor;

	if (bpf_xdp_adjust_head(ctx, (int)packet->l3_offset - (int)outer_bytes))
		return NULL;
	cursor = cursor_at(ctx);
	return cursor_take(&cursor, outer_bytes);
}

static __always_inline enum verdict encap_ipv4(struct xdp_md *ctx, const struct packet *packet)
{
	__be32 spread = source_spread(packet);
	struct iphdr *outer;
	__u32 sum;
	void *frame = encap_room(ctx, packet, OUTER_IPV4_BYTES);

	if (!frame)
		return VERDICT_DROP_NO_HEADROOM;
	copy_header(frame, packet->real->header, OUTER_IPV4_BYTES);
	outer = frame + sizeof(struct ethhdr);
	outer->tos = packet->traffic_class;
	outer->tot_len = bpf_htons(packet->ip_bytes + sizeof(*outer));
	outer->protocol = packet->is_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	outer->saddr |= spread;
	/* The header's own sum stands in its checksum field; these four fields were zero in it. */
	sum = outer->check + bpf_htons(packet->traffic_class) + outer->tot_len + bpf_htons(outer->protocol) +
	      (spread & 0xffff) + (spread >> 16);
	outer->check = ~checksum_fold(sum);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict encap_ipv6(struct xdp_md *ctx, const struct packet *packet)
{
	__be32 spread = source_spread(packet);
	struct ipv6hdr *outer;
	void *frame = encap_room(ctx, packet, OUTER_IPV6_BYTES);

	if (!frame)
		return VERDICT_DROP_NO_HEADROOM;
	copy_header(frame, packet->real->header, OUTER_IPV6_BYTES);
	outer = frame + sizeof(struct ethhdr);
	*(__be32 *)outer =
		bpf_htonl(6u << 28 | (__u32)packet->traffic_class << 20 | ((__u32)packet->flow_hash & FLOW_LABEL_MASK));
	outer->payload_len = bpf_htons(packet->ip_bytes);
	outer->nexthdr = packet->is_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	outer->saddr.s6_addr32[3] |= spread;
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict stage_encap(struct xdp_md *ctx, const struct packet *packet)
{
	if (packet->real->state == SHUNT_REAL_OUTER_IPV4)
		return encap_ipv4(ctx, packet);
	return encap_ipv6(ctx, packet);
}

#endif
