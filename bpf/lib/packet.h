/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet on its walk: what the stages learn of it, and the cursor that reads it. Every bounds check of the
 * program is in here.
 */
#ifndef SHUNT_PACKET_H
#define SHUNT_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
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
	__be32 tcp_word; /* TCP: data offset, flags and window, as they stand in the header */
	bool quic_opens; /* UDP: if it is QUIC, a header that begins a connection */

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

/* SYN alone, or a QUIC header that begins a connection. */
static __always_inline bool packet_opens_flow(const struct packet *packet)
{
	if (packet->protocol == PROTOCOL_TCP)
		return (packet->tcp_word & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)) == TCP_FLAG_SYN;
	return packet->quic_opens;
}

static __always_inline bool packet_closes_flow(const struct packet *packet)
{
	return packet->tcp_word & (TCP_FLAG_FIN | TCP_FLAG_RST);
}

static __always_inline bool packet_resets_flow(const struct packet *packet)
{
	return packet->tcp_word & TCP_FLAG_RST;
}

static __always_inline __u32 tcp_header_bytes(__be32 tcp_word)
{
	return bpf_ntohl(tcp_word & TCP_DATA_OFFSET) >> 28 << 2;
}

/* Of TCP. */
static __always_inline bool packet_has_data(const struct packet *packet)
{
	__u32 ip_header_bytes = packet->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	return packet->tcp_word && packet->ip_bytes > ip_header_bytes + tcp_header_bytes(packet->tcp_word);
}

/* Reads a frame from front to back. */
struct cursor {
	void *position;
	void *end;
};

static __always_inline struct cursor cursor_at(struct xdp_md *ctx)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};

	/* The compiler takes them for 32 bits, as they stand in the context, and may save half a pointer on the stack,
	 * which the verifier refuses. */
	asm volatile("" : "+r"(cursor.position), "+r"(cursor.end));
	return cursor;
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
