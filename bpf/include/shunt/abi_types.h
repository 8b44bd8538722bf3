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

/* Pins of another version, or of another layout digest (userspace/bpf/layout.h), are never used as they are: they are
 * copied to new maps if they are known, else refused. Raise it with any change to these structs or to a map.
 * 2: without `vip_carried`, `verdict_carried` and shunt_control.handover. */
#define SHUNT_ABI_VERSION 3u

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

enum shunt_vip_flags {
	SHUNT_VIP_TRACK_ALL = 1u << 0, /* every flow is remembered; the slots' previous reals mean nothing */
	SHUNT_VIP_TRACK_MOVING =
		1u << 1,             /* flows of slots that are not stable are; user space's, the slots say it all */
	SHUNT_VIP_QUIC = 1u << 2,    /* UDP: a QUIC long header tells which packets open a flow */
	SHUNT_VIP_HAS_TCP = 1u << 3, /* address entry only: some VIP of this address is TCP */
	SHUNT_VIP_HAS_UDP = 1u << 4, /* address entry only: some VIP of this address is UDP */
};

/*
 * One line of `vip_table`: the key and all that a packet of this VIP needs before its ring is read. Port 0 stands for
 * every port. Protocol 0 with port 0 is the address's own entry: it tells that some VIP has this address when ports
 * cannot be read. A line of zeros is empty.
 */
struct shunt_vip {
	struct shunt_address address;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP, or 0 */
	__u8 zero;
	__u32 id;                /* index into `vip_counters` and `vip_refusals`; 1 and up, 0 in an address entry */
	__u64 hash_key[2];       /* secret of the flow hash, derived from the store's hash_key and the VIP */
	__u32 real_base;         /* entry of `reals` that index 0 of this VIP's slots stands for */
	__u16 flags;             /* enum shunt_vip_flags */
	__u8 real_capacity_log2; /* entries of `reals` that belong to this VIP, as a power of two; user space's */
	__u8 zero2;
	__u32 ring_line;  /* where the ring begins: chunk ring_line / SHUNT_RING_CHUNK_LINES, line the remainder */
	__u32 ring_slots; /* slots in the ring; 0 = no real takes traffic */
	__u64 zero3;
};
SHUNT_ASSERT_SIZE(struct shunt_vip, 64);

/* Where a key stands in `vip_table` (see abi_vip_table.h): one line of displacements, in `vip_displacements`. */
#define SHUNT_VIP_DISPLACEMENTS_PER_LINE 32u
struct shunt_vip_displacements {
	__u16 of[SHUNT_VIP_DISPLACEMENTS_PER_LINE];
};
SHUNT_ASSERT_SIZE(struct shunt_vip_displacements, 64);

#define SHUNT_HANDOVER_ONLY 0x80000000u

/* Value of `control`: what user space switches while packets pass. */
struct shunt_control {
	__u64 vip_table;         /* see abi_vip_table.h; written at once, and with it every VIP and ring changes over */
	__u32 sketch_generation; /* 0 or 1: the half of every flow sketch that packets are noted in */
	__u32 handover; /* 0: every instance works; n: instance n (shunt_config.instance) passes all packets on,
			 * uncounted; SHUNT_HANDOVER_ONLY | n: every one but n does */
};
SHUNT_ASSERT_SIZE(struct shunt_control, 16);

/* One slot of a ring: indices into the VIP's own reals, 1 to 32767, added to real_base; 0 = none. Read and written as
 * one 32-bit word. */
struct shunt_ring_slot {
	__u16 current_real;  /* who serves new flows of this slot */
	__u16 previous_real; /* 0: stable, the ring alone decides. Another than current_real: moving, it serves the
			      * flows that are not remembered. The same: settled, but remembered flows may go elsewhere.
			      * Highest bit: SHUNT_SLOT_HOLD. */
} __attribute__((aligned(4)));
SHUNT_ASSERT_SIZE(struct shunt_ring_slot, 4);

#define SHUNT_SLOT_HOLD 0x8000u /* moving: for now new flows, too, go to the previous real */

/* Rings stand in lines of 16 slots, one behind the other, in chunks of this many lines. */
#define SHUNT_RING_LINE_SLOTS 16u
#define SHUNT_RING_CHUNK_LINES 65536u
struct shunt_ring_line {
	struct shunt_ring_slot slots[SHUNT_RING_LINE_SLOTS];
};
SHUNT_ASSERT_SIZE(struct shunt_ring_line, 64);

#define SHUNT_OUTER_HEADER_BYTES 54u /* Ethernet (14) and IPv6 (40); with IPv4 (20) the rest is zero */

enum shunt_real_state {
	SHUNT_REAL_ABSENT = 0,     /* no such real: a flow that names it is a miss. Or it is down: then its header
				    * stands there for probes, with next hop if one is known (egress_ifindex not 0) */
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

/*
 * One line of `flow_table`: eight remembered flows, each one word that is read, entered, touched and dropped by
 * compare and swap. A flow may stand in the line that the low half of its hash picks; the tag is the high half.
 * Two flows share an entry if both halves agree: with n flows remembered, on a share f of the slots, the odds are about
 * n / (f * 2^47) for each.
 */
#define SHUNT_FLOWS_PER_LINE 8u
struct shunt_flow_line {
	__u64 entries[SHUNT_FLOWS_PER_LINE];
};
SHUNT_ASSERT_SIZE(struct shunt_flow_line, 64);

/* An entry: bits 32 to 63 the tag, bit 31 CONFIRMED, bits 16 to 30 the real's index within its VIP (0: free), bit 15
 * CLOSING, bits 0 to 14 the second in which a packet of the flow was last seen (CLOCK_MONOTONIC_COARSE, modulo 32768).
 */
#define SHUNT_FLOW_TAG_SHIFT 32
#define SHUNT_FLOW_CONFIRMED (1ull << 31) /* seen after the packet that opened it; a SYN of a flood never is */
#define SHUNT_FLOW_REAL_SHIFT 16
#define SHUNT_FLOW_REAL_MASK 0x7fffu
#define SHUNT_FLOW_CLOSING (1ull << 15) /* TCP: the client said FIN or RST, and sent no data since */
#define SHUNT_FLOW_STAMP_MASK 0x7fffu

/* Whose flow it is, for user space; written behind the entry of the same place. User space takes it for one only if
 * its hash leads to that place and tag. The VIP's id stands for destination address and protocol. */
struct shunt_flow_key {
	struct shunt_address source;
	__u32 vip_id;
	__be16 source_port;
	__be16 destination_port;
};
SHUNT_ASSERT_SIZE(struct shunt_flow_key, 24);
struct shunt_flow_keys {
	struct shunt_flow_key keys[SHUNT_FLOWS_PER_LINE];
};
SHUNT_ASSERT_SIZE(struct shunt_flow_keys, 192);

/* Value of `vip_refusals`: flows that should have been remembered and could not be. */
struct shunt_refusals {
	__u32 last_s; /* CLOCK_MONOTONIC_COARSE, whole seconds; 0 = never */
	__u32 zero;
	__u64 count;
};
SHUNT_ASSERT_SIZE(struct shunt_refusals, 16);

/* Value of `cpu_state`, per CPU: the clock, read once a jiffy, and the allowance of new entries. */
struct shunt_cpu_state {
	__u64 jiffies;
	__u32 now_s;
	__u32 entries_left; /* that this CPU may make in this second */
};
SHUNT_ASSERT_SIZE(struct shunt_cpu_state, 16);

/*
 * Value of `flow_sketches`, by entry of `reals`: how many different flows were sent to a real, without remembering one
 * (HyperLogLog, Flajolet et al. 2007). 128 registers of four bits, two to a byte, the even one in the low half, for
 * each of two generations. Low 7 bits of the flow hash: the register; trailing zeros of the next 25, plus one: the
 * rank, at most 15.
 */
#define SHUNT_SKETCH_REGISTERS 128u
#define SHUNT_SKETCH_MAX_RANK 15u
struct shunt_flow_sketch {
	__u8 registers[2][SHUNT_SKETCH_REGISTERS / 2];
};
SHUNT_ASSERT_SIZE(struct shunt_flow_sketch, 128);

/* Value of `vip_counters` and `real_counters`, per CPU. Bytes count the inner packet from its IP header on. */
struct shunt_traffic {
	__u64 packets;
	__u64 bytes;
	__u64 new_flows; /* packets that open a flow and hit no entry; tracking all: flows entered in the table */
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
