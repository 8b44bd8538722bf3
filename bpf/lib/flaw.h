/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The careful reader of IP packets, for those that are not to be balanced: notes the first flaw, judges nothing, and
 * reads on as far as the destination can be told. A flaw matters only once the packet is known to be for a VIP.
 */
#ifndef SHUNT_FLAW_H
#define SHUNT_FLAW_H

#include "packet.h"
#include "parse.h"

/* RFC 8200 and the IANA registry of extension headers */
enum ipv6_next_header {
	IPV6_HOP_BY_HOP = 0,
	IPV6_ROUTING = 43,
	IPV6_FRAGMENT = 44,
	IPV6_DESTINATION = 60,
	IPV6_MOBILITY = 135,
	IPV6_HIP = 139,
	IPV6_SHIM6 = 140,
};

/* The first `bytes` bytes of the transport header, if the IP payload has them. */
static __always_inline void *transport_take(struct packet *packet, struct cursor *cursor, __u32 payload_bytes,
					    __u32 bytes)
{
	void *header = payload_bytes < bytes ? NULL : cursor_take(cursor, bytes);

	if (!header) {
		packet_flaw(packet, VERDICT_DROP_TRUNCATED);
		return NULL;
	}
	packet->ports = *(__u32 *)header; /* both begin with the ports */
	packet->has_ports = true;
	return header;
}

static __always_inline void note_tcp(struct packet *packet, struct cursor *cursor, __u32 payload_bytes)
{
	const struct tcphdr *tcp = transport_take(packet, cursor, payload_bytes, sizeof(*tcp));

	if (tcp && (tcp->doff < 5 || tcp->doff * 4 > payload_bytes))
		packet_flaw(packet, VERDICT_DROP_MALFORMED);
}

static __always_inline void note_udp(struct packet *packet, struct cursor *cursor, __u32 payload_bytes)
{
	const struct udphdr *udp = transport_take(packet, cursor, payload_bytes, sizeof(*udp));

	if (udp && (bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > payload_bytes))
		packet_flaw(packet, VERDICT_DROP_MALFORMED);
}

/* `cursor` stands behind the IP header; `payload_bytes` is what the IP header promises and the frame holds. */
static __always_inline void note_transport(struct packet *packet, struct cursor *cursor, __u32 payload_bytes)
{
	if (packet->protocol == PROTOCOL_TCP)
		note_tcp(packet, cursor, payload_bytes);
	else if (packet->protocol == PROTOCOL_UDP)
		note_udp(packet, cursor, payload_bytes);
}

static __always_inline enum verdict note_ipv4(struct packet *packet, struct cursor *cursor)
{
	__u32 available = cursor_left(cursor), header_bytes, payload_bytes;
	const struct iphdr *ip = cursor_take(cursor, sizeof(*ip));
	__u16 fragment;

	if (!ip || ip->version != 4)
		return VERDICT_PASS_UNREADABLE;
	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	packet->ip_bytes = bpf_ntohs(ip->tot_len);
	address_from_ipv4(&packet->source, ip->saddr);
	address_from_ipv4(&packet->destination, ip->daddr);

	header_bytes = ip->ihl * 4;
	if (header_bytes < sizeof(*ip) || packet->ip_bytes < header_bytes) {
		packet_flaw(packet, VERDICT_DROP_MALFORMED);
		return VERDICT_CONTINUE; /* where the ports begin cannot be told */
	}
	if (packet->ip_bytes > available)
		packet_flaw(packet, VERDICT_DROP_TRUNCATED);
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))
		packet_flaw(packet, VERDICT_DROP_FRAGMENT);
	if (fragment & IPV4_FRAGMENT_OFFSET)
		return VERDICT_CONTINUE; /* the ports are in the first fragment */
	if (header_bytes > sizeof(*ip)) {
		packet_flaw(packet, VERDICT_DROP_IP_OPTIONS);
		if (!cursor_take(cursor, header_bytes - sizeof(*ip)))
			return VERDICT_CONTINUE;
	}
	payload_bytes = (packet->ip_bytes < available ? packet->ip_bytes : available) - header_bytes;
	note_transport(packet, cursor, payload_bytes);
	return VERDICT_CONTINUE;
}

/* What stands behind the fixed header when it is not the transport header. Returns false if that is unknown. */
static __always_inline bool note_next_header(struct packet *packet, struct cursor *cursor, __u8 next_header)
{
	const __u8 *fragment;

	switch (next_header) {
	case IPV6_FRAGMENT:
		packet_flaw(packet, VERDICT_DROP_FRAGMENT);
		fragment = cursor_take(cursor, 1); /* begins with its own next header */
		packet->protocol = fragment ? *fragment : PROTOCOL_UNKNOWN;
		return false;
	case IPV6_HOP_BY_HOP:
	case IPV6_ROUTING:
	case IPV6_DESTINATION:
	case IPV6_MOBILITY:
	case IPV6_HIP:
	case IPV6_SHIM6:
		packet_flaw(packet, VERDICT_DROP_IP_OPTIONS);
		packet->protocol = PROTOCOL_UNKNOWN;
		return false;
	default:
		packet->protocol = next_header;
		return true;
	}
}

static __always_inline enum verdict note_ipv6(struct packet *packet, struct cursor *cursor)
{
	const struct ipv6hdr *ip = cursor_take(cursor, sizeof(*ip));
	__u32 payload_bytes, available = cursor_left(cursor);

	if (!ip || ip->version != 6)
		return VERDICT_PASS_UNREADABLE;
	payload_bytes = bpf_ntohs(ip->payload_len);
	packet->traffic_class = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	packet->ip_bytes = sizeof(*ip) + payload_bytes;
	address_from_ipv6(&packet->source, &ip->saddr);
	address_from_ipv6(&packet->destination, &ip->daddr);

	if (payload_bytes > available) {
		packet_flaw(packet, VERDICT_DROP_TRUNCATED);
		payload_bytes = available;
	}
	if (address_is_mapped(&packet->source) || address_is_mapped(&packet->destination))
		packet_flaw(packet, VERDICT_DROP_MAPPED_ADDRESS);
	if (note_next_header(packet, cursor, ip->nexthdr))
		note_transport(packet, cursor, payload_bytes);
	return VERDICT_CONTINUE;
}

/* Reads a whole frame. VERDICT_CONTINUE: its destination is known, and its flaw, if it has one. */
static __always_inline enum verdict note_frame(struct packet *packet, struct cursor *cursor, __u32 max_vlan_tags)
{
	enum verdict verdict = stage_ethernet(packet, cursor, max_vlan_tags);

	if (verdict != VERDICT_CONTINUE)
		return verdict;
	return packet->is_ipv6 ? note_ipv6(packet, cursor) : note_ipv4(packet, cursor);
}

#endif
