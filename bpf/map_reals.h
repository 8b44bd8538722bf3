/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one map that the balancer and probe.bpf.c share. The balancer's others: maps.h.
 */
#ifndef SHUNT_MAP_REALS_H
#define SHUNT_MAP_REALS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_limits.h>
#include <shunt/abi_types.h>

/* Reals, by shunt_vip.real_base + index. Written by user space, read by flow.h, real.h, encap.h and probe.bpf.c. Zeros:
 * there is none. State 0 with a header: a real that is down, for clients' packets as if there were none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHUNT_MAX_REALS_DEFAULT);
	__type(key, __u32);
	__type(value, struct shunt_real);
} reals SEC(".maps");

#endif
