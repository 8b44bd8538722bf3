/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the balancer: key, value, who writes, who reads, what a missing entry means. Capacities are the
 * defaults; user space may change them before loading. Pins and their version are user space's business.
 */
#ifndef SHUNT_MAPS_H
#define SHUNT_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_limits.h>
#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

/* VIPs and, with protocol 0, their addresses. Written by user space, read by vip.h. Missing: not ours. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * SHUNT_MAX_VIPS_DEFAULT);
	__type(key, struct shunt_vip_key);
	__type(value, struct shunt_vip);
} vips SEC(".maps");

/* What every inner map of `rings` looks like; each has as many entries as its ring has slots, and is filled through
 * mmap before it is swapped in. Sizes in place of types: clang emits no full type information for a struct that only
 * an inner map names. */
struct shunt_ring {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct shunt_ring_slot));
};

/* Rings, by shunt_vip.ring. User space writes a new ring beside the old one and swaps it in with one update;
 * read by flow.h. Missing: the VIP has no real. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2 * (SHUNT_MAX_VIPS_DEFAULT + 1));
	__type(key, __u32);
	__array(values, struct shunt_ring);
} rings SEC(".maps");

/* Reals, by shunt_vip.real_base + index. Written by user space, read by flow.h, real.h and encap.h. State 0:
 * there is none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHUNT_MAX_REALS_DEFAULT);
	__type(key, __u32);
	__type(value, struct shunt_real);
} reals SEC(".maps");

/* Flows of VIPs with tracking `all`. Entered by traffic.h, read by flow.h; user space removes those of reals
 * that are gone. Missing: not remembered, or evicted. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHUNT_MAX_FLOWS_DEFAULT);
	__type(key, struct shunt_flow_key);
	__type(value, struct shunt_flow);
} flows SEC(".maps");

/* What was sent for each VIP, by shunt_vip.id, and to each real, by entry of `reals`. Written by traffic.h, read
 * by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SHUNT_MAX_VIPS_DEFAULT + 1);
	__type(key, __u32);
	__type(value, struct shunt_traffic);
} vip_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SHUNT_MAX_REALS_DEFAULT);
	__type(key, __u32);
	__type(value, struct shunt_traffic);
} real_counters SEC(".maps");

/* What a real counted before it moved to this entry. User space alone reads and writes it; it is a map so that
 * it outlives the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHUNT_MAX_REALS_DEFAULT);
	__type(key, __u32);
	__type(value, struct shunt_traffic);
} real_carried SEC(".maps");

/* How packets ended, by enum verdict. Written by finish() alone, read by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct shunt_verdict_count);
} verdict_counters SEC(".maps");

#endif
