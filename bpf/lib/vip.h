/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "vip": is the packet ours? By destination address, port and protocol; by the address alone where the
 * ports cannot be read. The only place that looks VIPs up.
 */
#ifndef SHUNT_VIP_H
#define SHUNT_VIP_H

#include "../maps.h"
#include "packet.h"

static __always_inline const struct shunt_vip *vip_lookup(const struct packet *packet, __be16 port, __u8 protocol)
{
	struct shunt_vip_key key = {.address = packet->destination, .port = port, .protocol = protocol};

	return bpf_map_lookup_elem(&vips, &key);
}

/* Without ports: does the packet belong to some VIP of its destination address? */
static __always_inline enum verdict vip_by_address(const struct packet *packet)
{
	const struct shunt_vip *address = vip_lookup(packet, 0, 0);

	if (!address)
		return VERDICT_PASS_NOT_VIP;
	switch (packet->protocol) {
	case PROTOCOL_TCP:
		return address->flags & SHUNT_VIP_HAS_TCP ? packet->flaw : VERDICT_PASS_NOT_VIP;
	case PROTOCOL_UDP:
		return address->flags & SHUNT_VIP_HAS_UDP ? packet->flaw : VERDICT_PASS_NOT_VIP;
	case PROTOCOL_UNKNOWN:
		return packet->flaw;
	case PROTOCOL_ICMP:
		/* path MTU, unreachables, pings: the host's for now */
		return packet->is_ipv6 ? VERDICT_PASS_OTHER_PROTOCOL : VERDICT_PASS_ICMP;
	case PROTOCOL_ICMPV6:
		return packet->is_ipv6 ? VERDICT_PASS_ICMP : VERDICT_PASS_OTHER_PROTOCOL;
	default:
		return VERDICT_PASS_OTHER_PROTOCOL;
	}
}

static __always_inline enum verdict stage_vip(struct packet *packet)
{
	if (!packet->has_ports) {
		/* Only a flaw hides TCP's or UDP's ports, so this always ends the walk; the verifier cannot know. */
		enum verdict verdict = vip_by_address(packet);

		return verdict == VERDICT_CONTINUE ? VERDICT_PASS_UNREADABLE : verdict;
	}
	packet->vip = vip_lookup(packet, packet->destination_port, packet->protocol);
	if (!packet->vip)
		packet->vip = vip_lookup(packet, 0, packet->protocol); /* every port */
	if (!packet->vip)
		return VERDICT_PASS_NOT_VIP;
	return packet->flaw; /* it is ours: from here on what is wrong is dropped, with its reason */
}

#endif
