// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs a program under test many times in one BPF_PROG_TEST_RUN. The kernel hands each repetition the frame that the
 * one before it left, encapsulated or not; so a wrapper first puts it back as it was, makes it one of another flow,
 * and tail-calls the program. In slices of some packets the program takes turns with one that only drops; the clock is
 * read inside, where a slice begins. Behind the wrappers stand the programs that a balancer is compared with. Never
 * installed but inside shunt-bench.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "job.h"

#define ETHERTYPE_AT 12
#define OUTER_BYTES 20 /* of the encapsulation that answers are read from */
#define FLOW_ADDRESS_MASK 0xffffffu
#define FLOW_FIRST_PORT 1024u

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_job);
} jobs SEC(".maps");

/* By flow: the last two bytes of the address that its packet was sent on to, as a number; 0: not asked yet, or not
 * sent. User space gives it its size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} answers SEC(".maps");

/* By enum bench_program, and further programs under test behind. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, BENCH_MAX_PROGRAMS);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/* Packets that reached the sink. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sunk SEC(".maps");

struct ports {
	__be16 source;
	__be16 destination;
};

/* Copies in words: any alignment will do, which the compiler cannot know. An even number of bytes. */
static __always_inline void copy_words(void *to, const void *from, __u32 bytes)
{
	__u32 at = 0;

#pragma unroll
	for (; at + 8 <= bytes; at += 8)
		*(__u64 *)(to + at) = *(const __u64 *)(from + at);
	if (bytes & 4) {
		*(__u32 *)(to + at) = *(const __u32 *)(from + at);
		at += 4;
	}
	if (bytes & 2)
		*(__u16 *)(to + at) = *(const __u16 *)(from + at);
}

static __always_inline struct bench_job *the_job(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&jobs, &first);
}

static __always_inline __u64 draw(struct bench_job *job)
{
	__u64 x = job->random; /* xorshift64, Marsaglia 2003 */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	job->random = x;
	return x;
}

static __always_inline __u32 next_flow(struct bench_job *job)
{
	if (job->order == BENCH_SEQUENTIAL)
		return job->next_flow++;
	return job->next_flow + (((draw(job) >> 32) * job->flows) >> 32);
}

/* Every number below 2^32 is a source of its own. */
static __always_inline __u32 flow_address(__u32 flow)
{
	return 0x0a000000u | (flow & FLOW_ADDRESS_MASK);
}

static __always_inline __u16 flow_port(__u32 flow)
{
	return FLOW_FIRST_PORT + (flow >> 24 << 6) + (flow & 63);
}

/* Where the packet before this one went to, for its frame is still here: the low 16 bits of the outer destination. 0:
 * nowhere. */
static __always_inline __u32 last_answer(struct xdp_md *ctx, const struct bench_job *job)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *outer = data + sizeof(struct ethhdr);
	long frame_bytes = end - data;

	asm volatile("" : "+r"(frame_bytes)); /* as in begin() */
	if (frame_bytes != job->frame_bytes + OUTER_BYTES || (void *)(outer + 1) > end)
		return 0;
	return bpf_ntohl(outer->daddr) & 0xffff;
}

static __always_inline void note_answer(struct xdp_md *ctx, struct bench_job *job)
{
	__u32 answer = last_answer(ctx, job);
	__u32 flow = job->next_flow - 1;
	__u64 *noted;

	if (job->watched && answer == job->watched)
		job->watched_ns = bpf_ktime_get_ns();
	if (!job->noting)
		return;
	noted = bpf_map_lookup_elem(&answers, &flow);
	if (noted)
		*noted = answer;
}

/* A slice begins: its time, and the other program's turn. */
static __always_inline void begin_slice(struct bench_job *job)
{
	job->mark_ns[job->marks & (BENCH_MAX_MARKS - 1)] = bpf_ktime_get_ns();
	job->marks++;
	job->program = job->program == BENCH_FLOOR ? BENCH_SUBJECT : BENCH_FLOOR;
	job->slice_left = job->slice_packets;
}

/* Keeps the books, and puts the frame back to its length. NULL: no packet for a program. */
static __always_inline struct bench_job *begin(struct xdp_md *ctx)
{
	struct bench_job *job = the_job();
	long frame_bytes = (long)ctx->data_end - (long)ctx->data;
	int outer_bytes;

	if (!job)
		return NULL;
	if (job->done && (job->noting || job->watched))
		note_answer(ctx, job);
	job->done++;
	if (job->noting && job->done == job->repetitions)
		return NULL;
	if (job->slice_packets) {
		if (job->slice_left == 0)
			begin_slice(job);
		job->slice_left--;
	}
	/* Else clang adds to the one pointer and then subtracts the other, which the verifier refuses. */
	asm volatile("" : "+r"(frame_bytes));
	outer_bytes = (int)frame_bytes - (int)job->frame_bytes;
	/* Also where there is nothing to take off: the wrapper's own time is the same whatever the program did. */
	if (bpf_xdp_adjust_head(ctx, outer_bytes))
		return NULL;
	return job;
}

/* Fields are written in the widths in which programs read them: a processor forwards a store to a load only if the load
 * is within it, and a frame from a wire has no stores to wait for. */
union word {
	__be16 halves[2];
	__be32 whole;
};

union address_half {
	__be16 quarters[4];
	__be32 halves[2];
	__u64 whole;
};

static __always_inline __be16 draw_destination(struct bench_job *job, __be16 first)
{
	return bpf_htons(bpf_ntohs(first) + (__u16)(((draw(job) >> 48) * job->vips) >> 16));
}

static __always_inline void set_ports(void *ports, __u32 flow, const struct ports *head)
{
	union word word = {.halves = {bpf_htons(flow_port(flow)), head->destination}};

	*(__be32 *)ports = word.whole;
}

/* The packet is an IPv4 one of the next flow, but for its Ethernet header; `head` is that of all of them. */
static __always_inline void make_ipv4(struct bench_job *job, struct iphdr *ip, const struct iphdr *head)
{
	union word destination = {.whole = head->daddr};
	__u32 flow = next_flow(job);

	ip->saddr = bpf_htonl(flow_address(flow));
	set_ports(ip + 1, flow, (const void *)(head + 1));
	if (job->vips > 1) {
		destination.halves[1] = draw_destination(job, destination.halves[1]);
		ip->daddr = destination.whole;
	}
}

static __always_inline void make_ipv6(struct bench_job *job, struct ipv6hdr *ip, const struct ipv6hdr *head)
{
	union address_half source, destination;
	__u32 flow = next_flow(job);

	source.whole = ((const __u64 *)&head->saddr)[1];
	source.halves[1] = bpf_htonl(flow_address(flow));
	((__u64 *)&ip->saddr)[1] = source.whole;
	set_ports(ip + 1, flow, (const void *)(head + 1));
	if (job->vips > 1) {
		destination.whole = ((const __u64 *)&head->daddr)[1];
		destination.quarters[3] = draw_destination(job, destination.quarters[3]);
		((__u64 *)&ip->daddr)[1] = destination.whole;
	}
}

/* A constant index where time is measured: the kernel makes a direct jump of that. */
static __always_inline int go_on(struct xdp_md *ctx, const struct bench_job *job)
{
	if (job->program == BENCH_FLOOR)
		bpf_tail_call_static(ctx, &next, BENCH_FLOOR);
	else if (job->program == BENCH_SUBJECT)
		bpf_tail_call_static(ctx, &next, BENCH_SUBJECT);
	else
		bpf_tail_call(ctx, &next, job->program);
	return XDP_ABORTED;
}

/* The one wrapper. Of a mixture each packet's family is drawn, and the whole head is written anew. */
SEC("xdp")
int wrap(struct xdp_md *ctx)
{
	struct bench_job *job = begin(ctx);
	void *data = (void *)(long)ctx->data;
	void *ip = data + sizeof(struct ethhdr);
	const void *head;

	if (!job || data + BENCH_HEAD_BYTES > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (job->mixed) {
		head = job->heads[draw(job) >> 63];
		copy_words(data, head, BENCH_HEAD_BYTES);
	} else {
		head = job->heads[0];
		copy_words(data, head, sizeof(struct ethhdr));
	}
	if (*(__be16 *)(head + ETHERTYPE_AT) == bpf_htons(ETH_P_IP))
		make_ipv4(job, ip, head + sizeof(struct ethhdr));
	else
		make_ipv6(job, ip, head + sizeof(struct ethhdr));
	return go_on(ctx, job);
}

/* The least a program can do: its time is the wrapper's own. */
SEC("xdp")
int reference_drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

/* Sends the frame back: the least that touches it. */
SEC("xdp")
int reference_tx(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct ethhdr *ethernet = data;
	__be16 *halves = data;
	__be16 half;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (int i = 0; i < ETH_ALEN / 2; i++) {
		half = halves[i];
		halves[i] = halves[i + ETH_ALEN / 2];
		halves[i + ETH_ALEN / 2] = half;
	}
	return XDP_TX;
}

/* Ethernet 02:…:01 to 02:…:02, then IPv4 10.0.0.2 to 10.0.0.3 without length, protocol 4. */
static const __u8 fixed_header[sizeof(struct ethhdr) + OUTER_BYTES] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 4, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3,
};
#define FIXED_SUM (0x4500u + 0x4000u + 0x4004u + 0x0a00u + 0x0002u + 0x0a00u + 0x0003u)

/* One outer header, the same for every packet: the least that any balancer by IP in IP must do. */
SEC("xdp")
int reference_encap(struct xdp_md *ctx)
{
	long ip_bytes = (long)ctx->data_end - (long)ctx->data - sizeof(struct ethhdr) + OUTER_BYTES;
	__u32 sum = FIXED_SUM + (__u32)ip_bytes;
	struct iphdr *ip;
	void *data;

	if (bpf_xdp_adjust_head(ctx, -OUTER_BYTES))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	ip = data + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	copy_words(data, fixed_header, sizeof(fixed_header));
	ip->tot_len = bpf_htons(ip_bytes);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = bpf_htons(~sum);
	return XDP_TX;
}

/* The end of a wire: counts and drops. One CPU receives there. */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u32 first = 0;
	__u64 *count = bpf_map_lookup_elem(&sunk, &first);

	(void)ctx;
	if (count)
		*count += 1;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
