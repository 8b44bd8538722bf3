/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Load-time constants of the balancer, set before the verifier runs so that what is off is pruned.
 */
#ifndef SHUNT_ABI_CONFIG_H
#define SHUNT_ABI_CONFIG_H

#include <linux/types.h>

struct shunt_config {
	__u32 max_vlan_tags; /* 802.1Q and 802.1ad tags looked behind; 0 to 2. A frame with more is PASS_NOT_IP. */
	__u32 vip_lines;     /* lines in each half of `vip_table`; a power of two */
	__u32 vip_groups;    /* displacements in each half of `vip_displacements`; a power of two, 32 or more */
	__u32 flow_lines;    /* lines of `flow_table`; a power of two */
	__u32 flow_entries_per_second; /* entries that one CPU may make in the flow table in one second */
	/* Tells one of two versions that stand behind one another in a dispatcher, so that one word of `control` makes
	 * the one take over from the other; 31 bits. 0: the only program on its interface, never idle. */
	__u32 instance;
};

/*
 * Health probes: a packet of this host with SHUNT_PROBE_MARK in its mark leaves through the tunnel of the real whose
 * entry in `reals` the other bits tell. Only probe.bpf.c looks at marks.
 */
#define SHUNT_PROBE_MARK 0x80000000u
#define SHUNT_PROBE_ENTRY_MASK 0x7fffffffu

#endif
