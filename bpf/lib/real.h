/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "real": the chosen real's entry, whether its next hop is known, and whether the packet fits on the way.
 */
#ifndef SHUNT_REAL_H
#define SHUNT_REAL_H

#include "../maps.h"
#include "packet.h"

static __always_inline enum verdict stage_real(struct packet *packet)
{
	__u32 entry = packet->vip->real_base + packet->real_index;

	packet->real_entry = entry;
	packet->real = bpf_map_lookup_elem(&reals, &entry);
	if (!packet->real || packet->real->state == SHUNT_REAL_ABSENT)
		return VERDICT_DROP_NO_REAL;
	if (packet->real->state == SHUNT_REAL_UNRESOLVED)
		return VERDICT_DROP_NO_NEXT_HOP;
	if (packet->ip_bytes > packet->real->max_inner_bytes)
		return VERDICT_DROP_TOO_BIG;
	return VERDICT_CONTINUE;
}

#endif
