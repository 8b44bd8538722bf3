/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of the walk: one packet, one verdict, counted once, turned into its XDP action. Programs call
 * finish() exactly once per packet.
 */
#ifndef SHUNT_VERDICT_H
#define SHUNT_VERDICT_H

#include "../maps.h"
#include "packet.h"

/* XDP action of a verdict, from the list. */
static __always_inline int verdict_action(enum verdict verdict)
{
	switch (verdict) {
#define SHUNT_VERDICT_CASE(name, action, sentence)                                                                     \
	case VERDICT_##name:                                                                                           \
		return XDP_##action;
		SHUNT_VERDICTS(SHUNT_VERDICT_CASE)
#undef SHUNT_VERDICT_CASE
	default:
		return XDP_ABORTED; /* a stage that ends in no verdict is a bug that tracepoints show */
	}
}

static __always_inline int finish(enum verdict verdict, __u64 frame_bytes, __u32 egress_ifindex)
{
	__u32 number = verdict;
	struct shunt_verdict_count *count = bpf_map_lookup_elem(&verdict_counters, &number);

	if (count) {
		count->packets += 1;
		count->bytes += frame_bytes;
	}
	if (verdict_action(verdict) == XDP_REDIRECT)
		return bpf_redirect(egress_ifindex, 0);
	return verdict_action(verdict);
}

#endif
