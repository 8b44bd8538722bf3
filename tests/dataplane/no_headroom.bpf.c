// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Moves a frame to the very front of its buffer and tail-calls the program under test, which then finds no room
 * for an outer header. Part of the tests' harness; never installed.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define FRAME_BYTES 54 /* Ethernet, IPv4, TCP: the one kind of frame this is for */
#define STEP_BYTES 4
#define MAX_STEPS 128 /* beyond any driver's headroom */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

SEC("xdp")
int remove_headroom(struct xdp_md *ctx)
{
	__u8 frame[FRAME_BYTES];
	int moved = 0;

	if (bpf_xdp_load_bytes(ctx, 0, frame, sizeof(frame)))
		return XDP_ABORTED;
	for (int step = 0; step < MAX_STEPS; step++) {
		if (bpf_xdp_adjust_head(ctx, -STEP_BYTES))
			break;
		moved += STEP_BYTES;
	}
	if (bpf_xdp_store_bytes(ctx, 0, frame, sizeof(frame)) || bpf_xdp_adjust_tail(ctx, -moved))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
