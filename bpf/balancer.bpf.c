// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The balancer: an XDP program that sends packets for a VIP, encapsulated, to one of its reals and leaves all
 * other packets alone. This file is the list of stages; README.md beside it has the rules, lib/ has one concept
 * a header. User space loads it (userspace/dataplane) and fills the maps (maps.h).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_config.h>

#include "lib/encap.h"
#include "lib/flow.h"
#include "lib/packet.h"
#include "lib/parse.h"
#include "lib/real.h"
#include "lib/traffic.h"
#include "lib/verdict.h"
#include "lib/vip.h"
#include "maps.h"

/* Set before loading: the verifier prunes what is off. */
const volatile struct shunt_config config = {.max_vlan_tags = 2};

static __always_inline enum verdict walk(struct xdp_md *ctx, struct packet *packet)
{
	enum verdict verdict;

	verdict = stage_parse(ctx, packet, config.max_vlan_tags);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	verdict = stage_vip(packet);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	verdict = stage_flow(packet);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	verdict = stage_real(packet);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	verdict = stage_encap(ctx, packet);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	stage_account(packet);
	if (packet->real->egress_ifindex == ctx->ingress_ifindex)
		return VERDICT_TX_ENCAPSULATED;
	return VERDICT_REDIRECT_ENCAPSULATED;
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	__u64 frame_bytes = ctx->data_end - ctx->data;
	struct packet packet = {};
	enum verdict verdict = walk(ctx, &packet);

	return finish(verdict, frame_bytes, packet.real ? packet.real->egress_ifindex : 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
