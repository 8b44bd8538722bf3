/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "account": what leaves is counted for its VIP and its real, and a new flow of a tracked VIP is
 * remembered. Nothing here can change a packet's fate.
 */
#ifndef SHUNT_TRAFFIC_H
#define SHUNT_TRAFFIC_H

#include "../maps.h"
#include "flow.h"
#include "packet.h"

static __always_inline void traffic_add(struct shunt_traffic *traffic, __u32 bytes, bool is_new_flow)
{
	if (!traffic)
		return;
	traffic->packets += 1;
	traffic->bytes += bytes;
	traffic->new_flows += is_new_flow;
}

/* Enters the flow if its VIP is tracked and does not remember it yet. Returns whether the flow is new. */
static __always_inline bool flow_remember(const struct packet *packet)
{
	struct shunt_flow flow = {.real = packet->real_index};
	struct shunt_flow_key key;

	if (!(packet->vip->flags & SHUNT_VIP_TRACK_ALL))
		return packet->opens_flow;
	if (packet->is_remembered)
		return false;
	key = flow_key(packet);
	return bpf_map_update_elem(&flows, &key, &flow, BPF_ANY) == 0;
}

static __always_inline void stage_account(const struct packet *packet)
{
	bool is_new_flow = flow_remember(packet);
	__u32 id = packet->vip->id;

	traffic_add(bpf_map_lookup_elem(&vip_counters, &id), packet->ip_bytes, is_new_flow);
	traffic_add(bpf_map_lookup_elem(&real_counters, &packet->real_entry), packet->ip_bytes, is_new_flow);
}

#endif
