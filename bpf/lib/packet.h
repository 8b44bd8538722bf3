/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet on its walk: what the stages learn of it, and the cursor that reads it. Every bounds check of the
 * program is in here.
 */
#ifndef SHUNT_PACKET_H
#define SHUNT_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <shunt/abi_types.h>
#include <shunt/abi_verdicts.h>

/* IPPROTO_* as far as they are ours; <linux/in.h> and <linux/in6.h> have them only as enums of both families. */
#define PROTOCOL_ICMP 1
#define PROTOCOL_IPIP 4
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_IPV6 41
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_UNKNOWN 0x100 /* hidden behind extension headers */

/* The way of the packet that is balanced is laid out in one line. */
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

struct packet {
	/* set by parse */
	__u32 l3_offset; /* where the IP header begins: 14 and 4 for each VLAN tag */
	__u32 ip_bytes;  /* the IP packet's length by its own header */
	struct shunt_address source;
	struct shunt_address destination;
	union {
		struct {
			__be16 source_port;
			__be16 destination_port;
		};
		__u32 ports; /* both, as they stand in the packet */
	};
	__u16 protocol;
	__u8 traffic_class; /* TOS of IPv4: DSCP and ECN */
	bool is_ipv6;
	bool opens_flow;  /* TCP: SYN alone. UDP: a QUIC header that begins a connection, if it is QUIC */
	bool closes_flow; /* TCP: FIN or RST */
	bool resets_flow; /* TCP: RST */
	bool has_data;    /* TCP: behind the header */

	/* set by flaw.h, for packets that are not to be balanced */
	enum verdict flaw; /* what the packet ends as if it is ours; VERDICT_CONTINUE = nothing wrong with it */
	bool has_ports;

	/* set by vip */
	const struct shunt_vip *vip;
	__u32 sketch_generation; /* 0 or 1 */

	/* set by flow */
	__u64 flow_hash;
	__u32 real_index; /* within the VIP; not 0 */
	bool is_new_flow;

	/* set by real */
	__u32 real_entry;
	const struct shunt_real *real;
};

/* Reads a frame from front to back. */
struct cursor {
	void *position;
	void *end;
};

static __always_inline struct cursor cursor_at(struct xdp_md *ctx)
{
	return (struct cursor){(void *)(long)ctx->data, (void *)(long)ctx->data_end};
}

/* The next `bytes` bytes, or NULL if the frame ends before; the cursor moves on only when they are there. */
static __always_inline void *cursor_take(struct cursor *cursor, __u32 bytes)
{
	void *taken = cursor->position;

	if (taken + bytes > cursor->end)
		return NULL;
	cursor->position = taken + bytes;
	return taken;
}

static __always_inline __u32 cursor_left(const struct cursor *cursor)
{
	return cursor->end - cursor->position;
}

/* Notes what is wrong; the first flaw stays. */
static __always_inline void packet_flaw(struct packet *packet, enum verdict flaw)
{
	if (packet->flaw == VERDICT_CONTINUE)
		packet->flaw = flaw;
}

#endif
