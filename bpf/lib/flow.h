/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "flow": which real serves this flow. The flow table first, where the VIP tracks its flows; else the
 * ring slot of the flow's hash. Enters nothing: that waits until the packet is sure to leave (traffic.h).
 */
#ifndef SHUNT_FLOW_H
#define SHUNT_FLOW_H

#include <shunt/abi_hash.h>

#include "../maps.h"
#include "packet.h"

static __always_inline struct shunt_flow_key flow_key(const struct packet *packet)
{
	return (struct shunt_flow_key){
		.source = packet->source,
		.vip_id = packet->vip->id,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
	};
}

/* The hash reads words as little-endian, so that balancers of either byte order agree. */
static __always_inline __u64 flow_hash(const struct packet *packet)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return shunt_flow_hash(packet->vip->hash_key, __builtin_bswap64(packet->source.halves[0]),
			       __builtin_bswap64(packet->source.halves[1]), __builtin_bswap32(packet->ports));
#else
	return shunt_flow_hash(packet->vip->hash_key, packet->source.halves[0], packet->source.halves[1],
			       packet->ports);
#endif
}

/* The real that the flow table remembers, or 0 if it remembers none or one that is gone. */
static __always_inline __u32 flow_remembered(const struct packet *packet)
{
	struct shunt_flow_key key = flow_key(packet);
	const struct shunt_flow *flow = bpf_map_lookup_elem(&flows, &key);
	const struct shunt_real *real;
	__u32 entry;

	if (!flow)
		return 0;
	entry = packet->vip->real_base + flow->real;
	real = bpf_map_lookup_elem(&reals, &entry);
	return real && real->state != SHUNT_REAL_ABSENT ? flow->real : 0;
}

/* The real that the ring gives new flows to, or 0. */
static __always_inline __u32 flow_ring_real(const struct packet *packet)
{
	__u32 ring_index = packet->vip->ring;
	__u32 slot_index = shunt_ring_slot_of(packet->flow_hash, packet->vip->ring_slots);
	const struct shunt_ring_slot *slot;
	void *ring;

	if (!packet->vip->ring_slots)
		return 0;
	ring = bpf_map_lookup_elem(&rings, &ring_index);
	if (!ring)
		return 0;
	slot = bpf_map_lookup_elem(ring, &slot_index);
	return slot ? slot->current_real : 0;
}

static __always_inline enum verdict stage_flow(struct packet *packet)
{
	packet->flow_hash = flow_hash(packet);
	if (packet->vip->flags & SHUNT_VIP_TRACK_ALL) {
		packet->real_index = flow_remembered(packet);
		packet->is_remembered = packet->real_index != 0;
	}
	if (!packet->is_remembered)
		packet->real_index = flow_ring_real(packet);
	return packet->real_index ? VERDICT_CONTINUE : VERDICT_DROP_NO_REAL;
}

#endif
