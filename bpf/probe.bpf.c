// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Health probes take the tunnel that data takes: a tc program on the egress of the interfaces that this host's routes
 * to the VIPs leave by. A packet with a probe's mark (abi_config.h) gets the outer header of the real whose entry the
 * mark names, also where that real is down, and leaves by that real's interface. All other packets pass untouched.
 * KernelDataplane::OpenProbeTunnel() loads and attaches it. It counts nothing: what became of a probe, its sender sees.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_config.h>

#include "lib/outer.h"
#include "lib/packet.h"
#include "map_reals.h"

/* Only an Ethernet interface: user space attaches to no other. False: neither IPv4 nor IPv6. */
static __always_inline bool probe_inner(struct __sk_buff *skb, const struct shunt_real *real, struct inner *inner)
{
	__u32 word; /* IPv4: version, length, TOS, total length; IPv6: version, traffic class, flow label */

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &word, sizeof(word)))
		return false;
	word = bpf_ntohl(word);
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		inner->traffic_class = word >> 16;
		inner->protocol = PROTOCOL_IPIP;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		inner->traffic_class = word >> 20;
		inner->protocol = PROTOCOL_IPV6;
	} else {
		return false;
	}
	inner->ip_bytes = skb->len - sizeof(struct ethhdr);
	inner->entropy = bpf_get_hash_recalc(skb);
	inner->source_spread = outer_source_spread(real, inner->entropy);
	return true;
}

/* Makes room between Ethernet and IP header and tells the kernel what comes there, so that checksums and segments
 * which it left to the interface come out right. The frame's first `header_bytes` are to be written. */
static __always_inline void *probe_room(struct __sk_buff *skb, __u32 header_bytes, __u64 family_flag)
{
	struct cursor cursor;

	if (bpf_skb_adjust_room(skb, header_bytes - sizeof(struct ethhdr), BPF_ADJ_ROOM_MAC, family_flag))
		return NULL;
	cursor = (struct cursor){(void *)(long)skb->data, (void *)(long)skb->data_end};
	return cursor_take(&cursor, header_bytes);
}

static __always_inline bool probe_encap(struct __sk_buff *skb, const struct shunt_real *real, const struct inner *inner)
{
	const struct ethhdr *ethernet = (const void *)real->header;
	void *frame;

	if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
		frame = probe_room(skb, OUTER_IPV4_BYTES, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
		if (frame)
			outer_write_ipv4(frame, real, inner);
	} else {
		frame = probe_room(skb, OUTER_IPV6_BYTES, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
		if (frame)
			outer_write_ipv6(frame, real, inner);
	}
	return frame;
}

SEC("tc")
int shunt_probe(struct __sk_buff *skb)
{
	const struct shunt_real *real;
	struct inner inner;
	__u32 entry;

	if (!(skb->mark & SHUNT_PROBE_MARK))
		return TC_ACT_UNSPEC; /* not ours: on to the next filter */
	entry = skb->mark & SHUNT_PROBE_ENTRY_MASK;
	real = bpf_map_lookup_elem(&reals, &entry);
	if (!real || !real->egress_ifindex)
		return TC_ACT_SHOT; /* no such real, or no next hop: never to the VIP by an ordinary route */
	if (!probe_inner(skb, real, &inner))
		return TC_ACT_SHOT;
	if (!skb->gso_size && inner.ip_bytes > real->max_inner_bytes)
		return TC_ACT_SHOT; /* data would be dropped, too (DROP_TOO_BIG) */
	if (!probe_encap(skb, real, &inner))
		return TC_ACT_SHOT; /* out of memory */
	/* Else it would be taken for a probe again. */
	skb->mark = 0;
	return bpf_redirect(real->egress_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
