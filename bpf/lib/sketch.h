/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many flows a real has, without remembering one: each packet raises at most one register of its real's sketch
 * (struct shunt_flow_sketch), and a flow's second packet raises none.
 */
#ifndef SHUNT_SKETCH_H
#define SHUNT_SKETCH_H

#include "../maps.h"
#include "packet.h"

#define SKETCH_RANK_SHIFT 7 /* the hash's bits below pick the register */

static __always_inline void sketch_raise(__u8 *pair, __u32 shift, __u32 tail, __u32 rank)
{
	/* The zeros go on while the bit that would end them is not set. */
	while (rank < SHUNT_SKETCH_MAX_RANK && !(tail & (1u << rank)))
		rank++;
	if (rank < SHUNT_SKETCH_MAX_RANK)
		rank++;
	*pair = (*pair & ~(0xfu << shift)) | rank << shift;
}

static __always_inline void sketch_note(const struct packet *packet)
{
	__u32 entry = packet->real_entry, hash = (__u32)packet->flow_hash, tail = hash >> SKETCH_RANK_SHIFT;
	struct shunt_flow_sketch *sketch = bpf_map_lookup_elem(&flow_sketches, &entry);
	__u32 shift, rank;
	__u8 *pair;

	if (!sketch)
		return;
	pair = &sketch->registers[packet->sketch_generation][hash % SHUNT_SKETCH_REGISTERS / 2];
	shift = (hash & 1) * 4;
	rank = *pair >> shift & 0xf;
	/* Fewer trailing zeros than the register's rank: nearly every packet. */
	if (likely(rank == SHUNT_SKETCH_MAX_RANK || tail & ((1u << rank) - 1)))
		return;
	sketch_raise(pair, shift, tail, rank);
}

#endif
