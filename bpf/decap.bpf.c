// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * For reals: strips the outer header that the balancer put on, in XDP, where the host has no tunnel device. What
 * is taken off: IPv4 or IPv6 in IPv4 or IPv6, addressed to this host, with a listed VIP as inner destination.
 * All other packets pass untouched. `shuntctl decap` loads it and fills its maps.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_limits.h>
#include <shunt/abi_types.h>

#include "lib/checksum.h"
#include "lib/packet.h"
#include "lib/flaw.h"

#define ECN_MASK 3
#define ECN_CE 3 /* congestion experienced; 0 is a packet that cannot say so */
#define MAX_VLAN_TAGS 2

/* VIPs this host serves, and what was decapsulated for each. Keys by user space. Missing: not ours. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, SHUNT_MAX_DECAP_VIPS);
	__type(key, struct shunt_address);
	__type(value, struct shunt_decap_count);
} decap_vips SEC(".maps");

/* This host's own addresses. Keys by user space; the value says nothing. Missing: not addressed to us. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SHUNT_MAX_DECAP_VIPS);
	__type(key, struct shunt_address);
	__type(value, __u8);
} decap_locals SEC(".maps");

/* Takes `outer_bytes` off between the link-layer header, `link_bytes` long, and the inner packet. */
static __always_inline int strip(struct xdp_md *ctx, __u32 link_bytes, __u32 outer_bytes, bool inner_is_ipv6)
{
	__u8 link[sizeof(struct ethhdr) + MAX_VLAN_TAGS * sizeof(struct vlan_tag)];
	struct cursor cursor = cursor_at(ctx);
	__u8 *header = cursor_take(&cursor, link_bytes);

	if (!header)
		return XDP_PASS;
	__builtin_memcpy(link, header, link_bytes);
	if (bpf_xdp_adjust_head(ctx, outer_bytes))
		return XDP_PASS;
	cursor = cursor_at(ctx);
	header = cursor_take(&cursor, link_bytes);
	if (!header)
		return XDP_ABORTED; /* cannot be: the inner header was read */
	__builtin_memcpy(header, link, link_bytes);
	*(__be16 *)(header + link_bytes - sizeof(__be16)) = bpf_htons(inner_is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	return XDP_PASS;
}

static __always_inline int strip_tunnel(struct xdp_md *ctx, const struct packet *outer, const struct packet *inner)
{
	__u32 outer_bytes = outer->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__u32 link_bytes = outer->l3_offset;

	if (link_bytes == sizeof(struct ethhdr))
		return strip(ctx, sizeof(struct ethhdr), outer_bytes, inner->is_ipv6);
	if (link_bytes == sizeof(struct ethhdr) + sizeof(struct vlan_tag))
		return strip(ctx, sizeof(struct ethhdr) + sizeof(struct vlan_tag), outer_bytes, inner->is_ipv6);
	return strip(ctx, sizeof(struct ethhdr) + 2 * sizeof(struct vlan_tag), outer_bytes, inner->is_ipv6);
}

/* Congestion met on the way through the tunnel goes to the inner header (RFC 6040, 4.2). */
static __always_inline void mark_congestion(void *inner_header, bool is_ipv6)
{
	struct iphdr *ip = inner_header;
	__be16 before, after;

	if (is_ipv6) {
		((struct ipv6hdr *)inner_header)->flow_lbl[0] |= ECN_CE << 4;
		return;
	}
	before = bpf_htons(ip->tos);
	ip->tos |= ECN_CE;
	after = bpf_htons(ip->tos);
	/* RFC 1624: HC' = ~(~HC + ~m + m') */
	ip->check = ~checksum_fold((__u16)~ip->check + (__u16)~before + after);
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_at(ctx);
	struct packet outer = {}, inner = {};
	struct shunt_decap_count *count;
	enum verdict readable;
	void *inner_header;

	if (note_frame(&outer, &cursor, MAX_VLAN_TAGS) != VERDICT_CONTINUE || outer.flaw != VERDICT_CONTINUE)
		return XDP_PASS;
	inner_header = cursor.position;
	if (outer.protocol != PROTOCOL_IPIP && outer.protocol != PROTOCOL_IPV6)
		return XDP_PASS;
	inner.is_ipv6 = outer.protocol == PROTOCOL_IPV6;
	readable = inner.is_ipv6 ? note_ipv6(&inner, &cursor) : note_ipv4(&inner, &cursor);
	if (readable != VERDICT_CONTINUE || !bpf_map_lookup_elem(&decap_locals, &outer.destination))
		return XDP_PASS;
	count = bpf_map_lookup_elem(&decap_vips, &inner.destination);
	if (!count)
		return XDP_PASS;
	if ((outer.traffic_class & ECN_MASK) == ECN_CE) {
		if ((inner.traffic_class & ECN_MASK) == 0)
			return XDP_DROP; /* a sender that knows no ECN learns of congestion by the loss */
		mark_congestion(inner_header, inner.is_ipv6);
	}
	count->packets += 1;
	count->bytes += inner.ip_bytes;
	return strip_tunnel(ctx, &outer, &inner);
}

char _license[] SEC("license") = "Dual BSD/GPL";
