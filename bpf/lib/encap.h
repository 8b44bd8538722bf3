/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "encap": puts the real's outer header in front of the packet. User space made that header (struct
 * shunt_real); what is left is room, a copy, and the fields that depend on the packet.
 */
#ifndef SHUNT_ENCAP_H
#define SHUNT_ENCAP_H

#include "../map_reals.h"
#include "outer.h"
#include "packet.h"

/* Moves the frame's start so that `outer_bytes` stand before the IP header; VLAN tags are overwritten. */
static __always_inline void *encap_room(struct xdp_md *ctx, const struct packet *packet, __u32 outer_bytes)
{
	struct cursor cursor;

	if (bpf_xdp_adjust_head(ctx, (int)packet->l3_offset - (int)outer_bytes))
		return NULL;
	cursor = cursor_at(ctx);
	return cursor_take(&cursor, outer_bytes);
}

static __always_inline struct inner encap_inner(const struct packet *packet)
{
	return (struct inner){
		.ip_bytes = packet->ip_bytes,
		.entropy = packet->flow_hash,
		.source_spread = outer_source_spread(packet->real, packet->flow_hash),
		.traffic_class = packet->traffic_class,
		.protocol = packet->is_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP,
	};
}

static __always_inline enum verdict encap_ipv4(struct xdp_md *ctx, const struct packet *packet)
{
	struct inner inner = encap_inner(packet);
	void *frame = encap_room(ctx, packet, OUTER_IPV4_BYTES);

	if (!frame)
		return VERDICT_DROP_NO_HEADROOM;
	outer_write_ipv4(frame, packet->real, &inner);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict encap_ipv6(struct xdp_md *ctx, const struct packet *packet)
{
	struct inner inner = encap_inner(packet);
	void *frame = encap_room(ctx, packet, OUTER_IPV6_BYTES);

	if (!frame)
		return VERDICT_DROP_NO_HEADROOM;
	outer_write_ipv6(frame, packet->real, &inner);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict stage_encap(struct xdp_md *ctx, const struct packet *packet)
{
	if (packet->real->state == SHUNT_REAL_OUTER_IPV4)
		return encap_ipv4(ctx, packet);
	return encap_ipv6(ctx, packet);
}

#endif
