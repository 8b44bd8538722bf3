// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Passes every packet. A veth delivers frames that its peer sent with XDP_TX only while it has an XDP program of
 * its own: this one, on the router's side of the lab.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
