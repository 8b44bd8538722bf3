// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The balancer: an XDP program that sends packets for a VIP, encapsulated, to one of its reals and leaves all
 * other packets alone. This file is the list of stages; README.md beside it has the rules, lib/ has one concept
 * a header. User space loads it (userspace/dataplane) and fills the maps (maps.h).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lib/config.h"
#include "lib/encap.h"
#include "lib/flaw.h"
#include "lib/flow.h"
#include "lib/instance.h"
#include "lib/packet.h"
#include "lib/parse.h"
#include "lib/real.h"
#include "lib/traffic.h"
#include "lib/verdict.h"
#include "lib/vip.h"
#include "maps.h"

/* Why a packet is not to be balanced. A function of its own: the others do not carry its weight. */
static __noinline enum verdict judge(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_at(ctx);
	struct packet packet = {};
	enum verdict verdict = note_frame(&packet, &cursor, config.max_vlan_tags);

	return verdict == VERDICT_CONTINUE ? vip_judge(&packet) : verdict;
}

/* The walk of an IP packet. Inlined once for each family, so that neither carries the other's weight. */
static __always_inline enum verdict walk_ip(struct xdp_md *ctx, struct packet *packet, struct cursor *cursor)
{
	enum verdict verdict;

	if (unlikely(!stage_parse(packet, cursor)))
		return judge(ctx);
	verdict = stage_vip(packet);
	if (unlikely(verdict != VERDICT_CONTINUE))
		return verdict;
	verdict = stage_flow(packet);
	if (unlikely(verdict != VERDICT_CONTINUE))
		return verdict;
	verdict = stage_real(packet);
	if (unlikely(verdict != VERDICT_CONTINUE))
		return verdict;
	verdict = stage_encap(ctx, packet);
	if (unlikely(verdict != VERDICT_CONTINUE))
		return verdict;
	stage_account(packet);
	if (packet->real->egress_ifindex == ctx->ingress_ifindex)
		return VERDICT_TX_ENCAPSULATED;
	return VERDICT_REDIRECT_ENCAPSULATED;
}

static __always_inline enum verdict walk(struct xdp_md *ctx, struct packet *packet, struct cursor cursor)
{
	enum verdict verdict = stage_ethernet(packet, &cursor, config.max_vlan_tags);

	if (unlikely(verdict != VERDICT_CONTINUE))
		return verdict;
	if (packet->is_ipv6) {
		packet->is_ipv6 = true; /* what the branch knows, the copy behind it knows */
		return walk_ip(ctx, packet, &cursor);
	}
	packet->is_ipv6 = false;
	return walk_ip(ctx, packet, &cursor);
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_at(ctx);
	__u64 frame_bytes = cursor_left(&cursor);
	struct packet packet = {};
	enum verdict verdict;

	if (unlikely(instance_is_idle()))
		return XDP_PASS; /* to the version of this program that is in force, which counts it */
	verdict = walk(ctx, &packet, cursor);
	return finish(verdict, frame_bytes, packet.real ? packet.real->egress_ifindex : 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
