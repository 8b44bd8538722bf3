/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "account": what leaves is counted for its VIP and its real. Nothing here can change a packet's fate.
 */
#ifndef SHUNT_TRAFFIC_H
#define SHUNT_TRAFFIC_H

#include "../maps.h"
#include "packet.h"
#include "sketch.h"

static __always_inline void traffic_add(struct shunt_traffic *traffic, const struct packet *packet)
{
	if (!traffic)
		return;
	traffic->packets += 1;
	traffic->bytes += packet->ip_bytes;
	traffic->new_flows += packet->is_new_flow;
}

static __always_inline void stage_account(const struct packet *packet)
{
	/* Keys are copies: a packet whose address is never taken lives in registers. */
	__u32 id = packet->vip->id, entry = packet->real_entry;

	traffic_add(bpf_map_lookup_elem(&vip_counters, &id), packet);
	traffic_add(bpf_map_lookup_elem(&real_counters, &entry), packet);
	sketch_note(packet);
}

#endif
