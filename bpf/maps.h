/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the balancer, `reals` by map_reals.h: key, value, who writes, who reads, what a missing entry means.
 * Capacities are the defaults; user space may change them before loading. Pins and their version are user space's
 * business. Arrays that user space fills through mmap have values of whole cache lines.
 */
#ifndef SHUNT_MAPS_H
#define SHUNT_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_limits.h>
#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

#include "map_reals.h"

/* What user space switches while packets pass. One entry; read by vip.h, sketch.h and instance.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shunt_control);
} control SEC(".maps");

/* VIPs and, with protocol 0, their addresses; two halves, of which control tells the one in force. Written whole by
 * user space, read by vip.h. Another key in the line, or none: not ours. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8 * SHUNT_MAX_VIPS_DEFAULT);
	__type(key, __u32);
	__type(value, struct shunt_vip);
} vip_table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_MAX_VIPS_DEFAULT / SHUNT_VIP_DISPLACEMENTS_PER_LINE);
	__type(key, __u32);
	__type(value, struct shunt_vip_displacements);
} vip_displacements SEC(".maps");

/* What every inner map of `ring_chunks` looks like. Sizes in place of types: clang emits no full type information for a
 * struct that only an inner map names. Not BPF_F_INNER_MAP: all are of one size, so the JIT inlines the lookup. */
struct shunt_ring_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_RING_CHUNK_LINES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct shunt_ring_line));
};

/* The memory of all rings, by shunt_vip.ring_line. User space writes a new ring where none is and then the VIP table
 * that points to it; read by flow.h. Missing: the VIP has no real. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SHUNT_MAX_RING_CHUNKS);
	__type(key, __u32);
	__array(values, struct shunt_ring_chunk);
} ring_chunks SEC(".maps");

/* Remembered flows: of slots that are not stable, and of VIPs with tracking `all`. Entered and touched by flow_table.h;
 * user space drops what is idle or needless. A free place: not remembered. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_MAX_FLOWS_DEFAULT / 4);
	__type(key, __u32);
	__type(value, struct shunt_flow_line);
} flow_table SEC(".maps");

/* Whose flow stands at the same place of `flow_table`. Written by flow_table.h, read by user space alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_MAX_FLOWS_DEFAULT / 4);
	__type(key, __u32);
	__type(value, struct shunt_flow_keys);
} flow_keys SEC(".maps");

/* Flows that could not be remembered, by shunt_vip.id. Written and read by flow.h, read by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_MAX_VIPS_DEFAULT + 1);
	__type(key, __u32);
	__type(value, struct shunt_refusals);
} vip_refusals SEC(".maps");

/* The program's own: clock.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shunt_cpu_state);
} cpu_state SEC(".maps");

/* How many flows each real has, by entry of `reals`. Written by sketch.h; user space reads, and empties the generation
 * that is not in force. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_MAX_REALS_DEFAULT);
	__type(key, __u32);
	__type(value, struct shunt_flow_sketch);
} flow_sketches SEC(".maps");

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

/* The same of a VIP, and of verdicts: what was counted in maps that these took the place of. User space's alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHUNT_MAX_VIPS_DEFAULT + 1);
	__type(key, __u32);
	__type(value, struct shunt_traffic);
} vip_carried SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct shunt_verdict_count);
} verdict_carried SEC(".maps");

/* How packets ended, by enum verdict. Written by finish() alone, read by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct shunt_verdict_count);
} verdict_counters SEC(".maps");

#endif
