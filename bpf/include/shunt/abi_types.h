/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ABI: map keys and values that the programs and user space share. Nothing here is behaviour.
 *
 * Integers in a packet's byte order are __be16 and __be32; all others are the host's. Every struct is free of
 * implicit padding (a size assert stands after each), so a key is always the same bytes.
 */
#ifndef SHUNT_ABI_TYPES_H
#define SHUNT_ABI_TYPES_H

#include <linux/types.h>

/* Pinned maps of another version are never adopted. Raise it with any change to these structs or to a map. */
#define SHUNT_ABI_VERSION 1u

#ifdef __cplusplus
#define SHUNT_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes))
#else
#define SHUNT_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has padding or changed")
#endif

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), in network byte order. */
struct shunt_address {
	union {
		__u8 bytes[16];
		__be32 words[4];
		__u64 halves[2];
	};
};
SHUNT_ASSERT_SIZE(struct shunt_address, 16);

/* Key of `vips`. Port 0 stands for every port. Protocol 0 with port 0 is the address's own entry (see struct
 * shunt_vip): it tells that some VIP has this address when ports cannot be read. */
struct shunt_vip_key {
	struct shunt_address address;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP, or 0 */
	__u8 zero;
	__u32 zero2;
};
SHUNT_ASSERT_SIZE(struct shunt_vip_key, 24);

enum shunt_vip_flags {
	SHUNT_VIP_TRACK_ALL = 1u << 0, /* remember every flow in `flows` */
	SHUNT_VIP_HAS_TCP = 1u << 1,   /* address entry only: some VIP of this address is TCP */
	SHUNT_VIP_HAS_UDP = 1u << 2,   /* address entry only: some VIP of this address is UDP */
};

/* Value of `vips`: what a packet of this VIP needs before its ring is read. */
struct shunt_vip {
	__u32 id;    /* index into `vip_counters`, and the VIP in flow keys; 1 and up, 0 in an address entry */
	__u16 flags; /* enum shunt_vip_flags */
	__u8 real_capacity_log2; /* entries of `reals` that belong to this VIP, as a power of two; user space's */
	__u8 zero;
	__u32 real_base; /* entry of `reals` that index 0 of this VIP's slots stands for */
	__u32 ring; /* index into `rings`: 2 * id or 2 * id + 1; the other one is free for a ring of another size */
	__u32 ring_slots; /* slots in the ring; 0 = no real takes traffic */
	__u32 zero2;
	__u64 hash_key[2]; /* secret of the flow hash, derived from the store's hash_key and the VIP */
};
SHUNT_ASSERT_SIZE(struct shunt_vip, 40);

/* One slot of a ring: indices into the VIP's own reals, 1 and up, added to real_base; 0 = none. */
struct shunt_ring_slot {
	__u16 current_real;  /* who serves new flows of this slot */
	__u16 previous_real; /* who served the slot before, while its flows still do; 0 = stable */
};
SHUNT_ASSERT_SIZE(struct shunt_ring_slot, 4);

#define SHUNT_OUTER_HEADER_BYTES 54u /* Ethernet (14) and IPv6 (40); with IPv4 (20) the rest is zero */

enum shunt_real_state {
	SHUNT_REAL_ABSENT = 0,     /* no such real: a flow that names it is a miss */
	SHUNT_REAL_UNRESOLVED = 1, /* serves, but its next hop is not known */
	SHUNT_REAL_OUTER_IPV4 = 4, /* ready, outer header is IPv4 */
	SHUNT_REAL_OUTER_IPV6 = 6, /* ready, outer header is IPv6 */
};

/* Value of `reals`: one cache line with everything that encapsulation writes. */
struct shunt_real {
	__u8 header[SHUNT_OUTER_HEADER_BYTES]; /* Ethernet, then IP with lengths and inner protocol zero. The IPv4
						* checksum field holds the ones' complement SUM (not inverted) of
						* the fields that stand here; the program adds what it patches. */
	__u8 state;                            /* enum shunt_real_state */
	__u8 spread_bits;      /* low bits of the outer source filled from the flow hash; 0 to 32. They are zero in
				* `header`. */
	__u32 egress_ifindex;  /* interface the packet leaves by */
	__u16 max_inner_bytes; /* longest inner IP packet: egress MTU less the outer IP header */
	__u16 zero;
};
SHUNT_ASSERT_SIZE(struct shunt_real, 64);

/* Key of `flows`. The VIP's id stands for destination address and protocol. */
struct shunt_flow_key {
	struct shunt_address source;
	__u32 vip_id;
	__be16 source_port;
	__be16 destination_port;
};
SHUNT_ASSERT_SIZE(struct shunt_flow_key, 24);

/* Value of `flows`. */
struct shunt_flow {
	__u32 real; /* index into the VIP's own reals, as in a slot */
};
SHUNT_ASSERT_SIZE(struct shunt_flow, 4);

/* Value of `vip_counters` and `real_counters`, per CPU. Bytes count the inner packet from its IP header on. */
struct shunt_traffic {
	__u64 packets;
	__u64 bytes;
	__u64 new_flows; /* tracking all: flows entered in the table; none: TCP segments with SYN and without ACK */
	__u64 zero;
};
SHUNT_ASSERT_SIZE(struct shunt_traffic, 32);

/* Value of `verdict_counters`, per CPU. Bytes count the frame as received. */
struct shunt_verdict_count {
	__u64 packets;
	__u64 bytes;
};
SHUNT_ASSERT_SIZE(struct shunt_verdict_count, 16);

/* Decapsulation: value of `decap_vips`, per CPU, by VIP address. */
struct shunt_decap_count {
	__u64 packets;
	__u64 bytes; /* inner packet, from its IP header on */
};
SHUNT_ASSERT_SIZE(struct shunt_decap_count, 16);

#endif
