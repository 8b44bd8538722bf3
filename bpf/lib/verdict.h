/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of the walk: one packet, one verdict, counted once, turned into its XDP action. Programs call
 * finish() exactly once per packet.
 */
#ifndef SHUNT_VERDICT_H
#define SHUNT_VERDICT_H

#include "../maps.h"
#include "packet.h"

#define VERDICT_ROOM 32 /* a power of two, so that a mask tells the verifier that the index is inside */
_Static_assert(VERDICT_COUNT <= VERDICT_ROOM, "more verdicts than room for their actions");

/* XDP action of each verdict, in the order of the list. VERDICT_CONTINUE is a stage that ends in none: a bug that
 * tracepoints show. */
const __u8 verdict_actions[VERDICT_ROOM] = {XDP_ABORTED,
#define SHUNT_VERDICT_ACTION(name, action, sentence) XDP_##action,
					    SHUNT_VERDICTS(SHUNT_VERDICT_ACTION)
#undef SHUNT_VERDICT_ACTION
};

static __always_inline int finish(enum verdict verdict, __u64 frame_bytes, __u32 egress_ifindex)
{
	__u32 number = verdict;
	struct shunt_verdict_count *count = bpf_map_lookup_elem(&verdict_counters, &number);
	int action;

	if (!count)
		return XDP_ABORTED; /* for the verifier: every verdict has its count */
	count->packets += 1;
	count->bytes += frame_bytes;
	action = verdict_actions[number % VERDICT_ROOM];
	return action == XDP_REDIRECT ? bpf_redirect(egress_ifindex, 0) : action;
}

#endif
