/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What second it is, for the few packets that need to know. The kernel's clocks cost 16 ns and more; a jiffy is one
 * load, so the clock is read again only when the jiffy has changed.
 */
#ifndef SHUNT_CLOCK_H
#define SHUNT_CLOCK_H

#include "../maps.h"
#include "config.h"

#define NSEC_PER_SEC 1000000000ull

/* This CPU's state, with now_s right and the allowance of its second; never NULL but for the verifier. */
static __always_inline struct shunt_cpu_state *clock_read(void)
{
	__u32 only = 0;
	struct shunt_cpu_state *cpu = bpf_map_lookup_elem(&cpu_state, &only);
	__u64 jiffies = bpf_jiffies64();
	__u32 now_s;

	if (!cpu || cpu->jiffies == jiffies)
		return cpu;
	cpu->jiffies = jiffies;
	now_s = bpf_ktime_get_coarse_ns() / NSEC_PER_SEC;
	if (cpu->now_s != now_s) {
		cpu->now_s = now_s;
		cpu->entries_left = config.flow_entries_per_second;
	}
	return cpu;
}

#endif
