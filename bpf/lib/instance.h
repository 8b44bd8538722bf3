/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which of two versions of this program works while both stand in one dispatcher: user space adds the new one idle,
 * hands over to it with one write, and takes the old one away. Each packet meets one of them, all interfaces change at
 * one instant, and nothing is counted twice. Called by balancer.bpf.c before the walk.
 */
#ifndef SHUNT_INSTANCE_H
#define SHUNT_INSTANCE_H

#include "../maps.h"
#include "config.h"
#include "packet.h"

static __always_inline bool instance_is_idle(void)
{
	__u32 only = 0, handover;
	const struct shunt_control *switches;

	if (!config.instance)
		return false; /* which the verifier knows: an only program does not even look */
	switches = bpf_map_lookup_elem(&control, &only);
	handover = switches ? *(const volatile __u32 *)&switches->handover : 0;
	if (likely(!handover))
		return false;
	return (handover & SHUNT_HANDOVER_ONLY) ? (handover & ~SHUNT_HANDOVER_ONLY) != config.instance
						: handover == config.instance;
}

#endif
