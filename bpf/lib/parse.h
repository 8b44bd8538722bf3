/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "parse": Ethernet, VLAN tags, and then only what a packet that may be balanced looks like: IPv4 without options
 * or IPv6 without extension headers, no fragment, TCP or UDP, every length in its place. What looks otherwise ends in a
 * PASS or a DROP, and is looked at again for which of them (flaw.h).
 */
#ifndef SHUNT_PARSE_H
#define SHUNT_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "packet.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_VERSION_AND_LENGTH 0x45             /* no options */
#define IPV4_MAPPED_PREFIX bpf_htonl(0x0000ffff) /* third word of ::ffff:0:0/96 */

/* RFC 9000, 17.2, and RFC 9369, 3.1 */
#define QUIC_LONG_HEADER 0x80
#define QUIC_VERSION_1 0x00000001
#define QUIC_VERSION_2 0x6b3343cf

struct quic_header {
	__u8 first;
	__be32 version; /* of a long header */
} __attribute__((packed));

struct vlan_tag {
	__be16 control;
	__be16 ether_type; /* of what follows */
};

static __always_inline void address_from_ipv4(struct shunt_address *address, __be32 ipv4)
{
	address->halves[0] = 0;
	address->words[2] = IPV4_MAPPED_PREFIX;
	address->words[3] = ipv4;
}

static __always_inline void address_from_ipv6(struct shunt_address *address, const struct in6_addr *ipv6)
{
	const __u64 *halves = (const __u64 *)ipv6;

	address->halves[0] = halves[0];
	address->halves[1] = halves[1];
}

static __always_inline bool address_is_mapped(const struct shunt_address *address)
{
	return address->halves[0] == 0 && address->words[2] == IPV4_MAPPED_PREFIX;
}

/* Steps over one VLAN tag, if there is one. Returns false if it is cut short. */
static __always_inline bool parse_vlan(struct packet *packet, struct cursor *cursor, __be16 *ether_type)
{
	const struct vlan_tag *tag;

	if (*ether_type != bpf_htons(ETH_P_8021Q) && *ether_type != bpf_htons(ETH_P_8021AD))
		return true;
	tag = cursor_take(cursor, sizeof(*tag));
	if (!tag)
		return false;
	*ether_type = tag->ether_type;
	packet->l3_offset += sizeof(*tag);
	return true;
}

/* Ethernet and VLAN tags. The cursor ends at the IP header, and the packet knows its family. */
static __always_inline enum verdict stage_ethernet(struct packet *packet, struct cursor *cursor, __u32 max_vlan_tags)
{
	const struct ethhdr *ethernet = cursor_take(cursor, sizeof(*ethernet));
	__be16 ether_type;

	if (!ethernet)
		return VERDICT_PASS_UNREADABLE;
	ether_type = *(const __be16 *)((const void *)ethernet + 2 * ETH_ALEN); /* at any alignment */
	packet->l3_offset = sizeof(*ethernet);
	if (max_vlan_tags > 0 && !parse_vlan(packet, cursor, &ether_type))
		return VERDICT_PASS_UNREADABLE;
	if (max_vlan_tags > 1 && !parse_vlan(packet, cursor, &ether_type))
		return VERDICT_PASS_UNREADABLE;
	packet->is_ipv6 = ether_type == bpf_htons(ETH_P_IPV6);
	return packet->is_ipv6 || ether_type == bpf_htons(ETH_P_IP) ? VERDICT_CONTINUE : VERDICT_PASS_NOT_IP;
}

/* Does a QUIC header begin a connection? Long headers of Initial and 0-RTT packets do, and those of versions whose
 * types are not known. */
static __always_inline bool quic_opens_flow(__u8 first, __u32 version)
{
	__u8 type = (first >> 4) & 3;

	if (!(first & QUIC_LONG_HEADER))
		return false;
	if (version == bpf_htonl(QUIC_VERSION_1))
		return type == 0 || type == 1;
	if (version == bpf_htonl(QUIC_VERSION_2))
		return type == 1 || type == 2;
	return true;
}

static __always_inline bool parse_tcp(struct packet *packet, struct cursor *cursor, __u32 payload_bytes)
{
	const struct tcphdr *tcp = cursor_take(cursor, sizeof(*tcp));
	__u32 header_bytes;

	if (!tcp)
		return false;
	packet->ports = *(const __u32 *)tcp;
	packet->tcp_word = tcp_flag_word(tcp);
	header_bytes = tcp_header_bytes(packet->tcp_word);
	return header_bytes >= sizeof(*tcp) && header_bytes <= payload_bytes;
}

static __always_inline bool parse_udp(struct packet *packet, struct cursor *cursor, __u32 payload_bytes)
{
	const struct udphdr *udp = cursor_take(cursor, sizeof(*udp));
	const struct quic_header *quic;
	__u32 udp_bytes;

	if (!udp)
		return false;
	udp_bytes = bpf_ntohs(udp->len);
	if (udp_bytes < sizeof(*udp) || udp_bytes > payload_bytes)
		return false;
	packet->ports = *(const __u32 *)udp;
	if (udp_bytes < sizeof(*udp) + sizeof(*quic))
		return true;
	quic = cursor_take(cursor, sizeof(*quic));
	packet->quic_opens = quic && quic_opens_flow(quic->first, quic->version);
	return true;
}

/* `cursor` stands behind the IP header; the frame holds the `payload_bytes` that the header promises. */
static __always_inline bool parse_transport(struct packet *packet, struct cursor *cursor, __u32 payload_bytes)
{
	if (packet->protocol == PROTOCOL_TCP)
		return parse_tcp(packet, cursor, payload_bytes);
	return packet->protocol == PROTOCOL_UDP && parse_udp(packet, cursor, payload_bytes);
}

static __always_inline bool parse_ipv4(struct packet *packet, struct cursor *cursor)
{
	__u32 available = cursor_left(cursor);
	const struct iphdr *ip = cursor_take(cursor, sizeof(*ip));

	if (!ip || *(const __u8 *)ip != IPV4_VERSION_AND_LENGTH)
		return false;
	packet->ip_bytes = bpf_ntohs(ip->tot_len);
	if (packet->ip_bytes < sizeof(*ip) || packet->ip_bytes > available)
		return false;
	if (ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))
		return false;
	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	address_from_ipv4(&packet->source, ip->saddr);
	address_from_ipv4(&packet->destination, ip->daddr);
	return parse_transport(packet, cursor, packet->ip_bytes - sizeof(*ip));
}

static __always_inline bool parse_ipv6(struct packet *packet, struct cursor *cursor)
{
	const struct ipv6hdr *ip = cursor_take(cursor, sizeof(*ip));
	__u32 first_word, payload_bytes, available = cursor_left(cursor);

	if (!ip)
		return false;
	first_word = bpf_ntohl(*(const __be32 *)ip); /* version, traffic class, flow label */
	payload_bytes = bpf_ntohs(ip->payload_len);
	if (first_word >> 28 != 6 || payload_bytes > available)
		return false;
	packet->ip_bytes = sizeof(*ip) + payload_bytes;
	packet->protocol = ip->nexthdr;
	packet->traffic_class = first_word >> 20;
	address_from_ipv6(&packet->source, &ip->saddr);
	address_from_ipv6(&packet->destination, &ip->daddr);
	if (unlikely(address_is_mapped(&packet->source) || address_is_mapped(&packet->destination)))
		return false;
	return parse_transport(packet, cursor, payload_bytes);
}

/* The IP header and the transport header. False: not a packet that may be balanced. */
static __always_inline bool stage_parse(struct packet *packet, struct cursor *cursor)
{
	return packet->is_ipv6 ? parse_ipv6(packet, cursor) : parse_ipv4(packet, cursor);
}

#endif
