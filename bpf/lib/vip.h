/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "vip": is the packet ours? By destination address, port and protocol; by the address alone where the
 * ports cannot be read. The only place that looks VIPs up: one displacement and one line of the table.
 */
#ifndef SHUNT_VIP_H
#define SHUNT_VIP_H

#include <shunt/abi_vip_table.h>

#include "../maps.h"
#include "config.h"
#include "packet.h"

/* `service`: the port as it stands in the packet, then the protocol; as in the table's lines. */
static __always_inline __u32 vip_service(__be16 port, __u8 protocol)
{
	union {
		struct {
			__be16 port;
			__u8 protocol;
			__u8 zero;
		};
		__u32 word;
	} service = {{port, protocol, 0}};

	return service.word;
}

static __always_inline const struct shunt_vip *vip_lookup(__u64 table, __u64 address_high, __u64 address_low,
							  __u32 service)
{
	__u64 hash = shunt_vip_hash(table, address_high, address_low, service);
	__u32 lines = config.vip_lines, groups = config.vip_groups, group = shunt_vip_group(hash, groups), number;
	const struct shunt_vip_displacements *displacements;
	const struct shunt_vip *vip;

	if (table & SHUNT_VIP_TABLE_HALF)
		group += groups;
	number = group / SHUNT_VIP_DISPLACEMENTS_PER_LINE;
	displacements = bpf_map_lookup_elem(&vip_displacements, &number);
	if (!displacements)
		return NULL;
	number = shunt_vip_line(hash, displacements->of[group % SHUNT_VIP_DISPLACEMENTS_PER_LINE], lines);
	if (table & SHUNT_VIP_TABLE_HALF)
		number += lines;
	vip = bpf_map_lookup_elem(&vip_table, &number);
	if (!vip || vip->address.halves[1] != address_low || vip->address.halves[0] != address_high ||
	    *(const __u32 *)&vip->port != service)
		return NULL;
	return vip;
}

/* Without ports: does the packet belong to some VIP of its destination address? */
static __always_inline enum verdict vip_by_address(const struct packet *packet, __u64 table)
{
	const struct shunt_vip *address =
		vip_lookup(table, packet->destination.halves[0], packet->destination.halves[1], vip_service(0, 0));

	/* An empty line looks like the entry of the address ::, but for its flags. */
	if (!address || !(address->flags & (SHUNT_VIP_HAS_TCP | SHUNT_VIP_HAS_UDP)))
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

/* A function of its own: packets whose port has a VIP do not carry its weight. */
static __noinline const struct shunt_vip *vip_for_every_port(__u64 table, __u64 address_high, __u64 address_low,
							     __u8 protocol)
{
	return vip_lookup(table, address_high, address_low, vip_service(0, protocol));
}

/* The VIP of a packet with ports, or NULL. */
static __always_inline const struct shunt_vip *vip_by_ports(const struct packet *packet, __u64 table)
{
	__u64 high = packet->destination.halves[0], low = packet->destination.halves[1];
	const struct shunt_vip *vip =
		vip_lookup(table, high, low, vip_service(packet->destination_port, packet->protocol));

	if (likely(vip) || !(table & SHUNT_VIP_TABLE_ANY_PORT))
		return vip;
	return vip_for_every_port(table, high, low, packet->protocol);
}

static __always_inline enum verdict stage_vip(struct packet *packet)
{
	__u32 only = 0;
	const struct shunt_control *switches = bpf_map_lookup_elem(&control, &only);

	if (!switches)
		return VERDICT_PASS_NOT_VIP; /* for the verifier */
	packet->vip = vip_by_ports(packet, *(const volatile __u64 *)&switches->vip_table);
	packet->sketch_generation = switches->sketch_generation & 1;
	return packet->vip ? VERDICT_CONTINUE : VERDICT_PASS_NOT_VIP;
}

/* Whose is a packet that is not to be balanced? The host's, or ours to drop, with the reason. Never VERDICT_CONTINUE.
 */
static __always_inline enum verdict vip_judge(const struct packet *packet)
{
	__u32 only = 0;
	const struct shunt_control *switches = bpf_map_lookup_elem(&control, &only);
	enum verdict verdict;
	__u64 table;

	if (!switches)
		return VERDICT_PASS_NOT_VIP; /* for the verifier */
	table = *(const volatile __u64 *)&switches->vip_table;
	if (packet->has_ports)
		verdict = vip_by_ports(packet, table) ? packet->flaw : VERDICT_PASS_NOT_VIP;
	else
		verdict = vip_by_address(packet, table);
	/* Without a flaw it would have been balanced; the verifier cannot know. */
	return verdict == VERDICT_CONTINUE ? VERDICT_PASS_UNREADABLE : verdict;
}

#endif
