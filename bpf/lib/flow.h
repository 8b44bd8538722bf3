/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage "flow": which real serves this flow. Its slot of the VIP's ring decides alone while the slot is stable. A slot
 * that changed hands, or a VIP that tracks all its flows, asks the flow table; the rules and why no flow breaks by
 * them: README.md here and userspace/control/tracking.md.
 */
#ifndef SHUNT_FLOW_H
#define SHUNT_FLOW_H

#include <shunt/abi_hash.h>

#include "../maps.h"
#include "clock.h"
#include "flow_table.h"
#include "packet.h"

/* A slot as one word, so that it is read at one instant. */
union slot {
	__u32 word;
	struct shunt_ring_slot reals;
};

/* A flow that the flow table does not know: all that decides where it goes. */
struct flow_question {
	struct shunt_flow_key key;
	__u64 hash;
	union slot slot;
	bool tracks_all;
	bool held;  /* unknown flows, new ones too, go to the previous real */
	bool opens; /* the packet opens a flow, or cannot be told from one that does */
	bool resets;
	__u64 marks; /* of its entry */
};

/* The answer of flow_admit(): the real's index, 0 for none, and whether the flow is a new one. */
#define FLOW_IS_NEW 0x10000u

/* The hash reads words as little-endian, so that balancers of either byte order agree. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FLOW_WORD32(word) __builtin_bswap32(word)
#define FLOW_WORD64(word) __builtin_bswap64(word)
#else
#define FLOW_WORD32(word) (word)
#define FLOW_WORD64(word) (word)
#endif

static __always_inline __u64 flow_hash(const struct packet *packet)
{
	const __u64 *key = packet->vip->hash_key;

	if (!packet->is_ipv6)
		return shunt_flow_hash_ipv4(key, FLOW_WORD32(packet->source.words[3]), FLOW_WORD32(packet->ports));
	return shunt_flow_hash_ipv6(key, FLOW_WORD64(packet->source.halves[0]), FLOW_WORD64(packet->source.halves[1]),
				    FLOW_WORD32(packet->ports));
}

/* The slot of the packet's flow; empty where there is none. */
static __always_inline union slot flow_slot(const struct packet *packet)
{
	__u32 number = shunt_ring_slot_of(packet->flow_hash, packet->vip->ring_slots);
	__u32 line_number = packet->vip->ring_line + number / SHUNT_RING_LINE_SLOTS;
	__u32 chunk_number = line_number / SHUNT_RING_CHUNK_LINES;
	const struct shunt_ring_line *line;
	void *chunk;

	if (!packet->vip->ring_slots)
		return (union slot){};
	chunk = bpf_map_lookup_elem(&ring_chunks, &chunk_number);
	if (!chunk)
		return (union slot){};
	line_number %= SHUNT_RING_CHUNK_LINES;
	line = bpf_map_lookup_elem(chunk, &line_number);
	if (!line)
		return (union slot){};
	return (union slot){.word = *(const volatile __u32 *)&line->slots[number % SHUNT_RING_LINE_SLOTS]};
}

static __always_inline bool real_serves(__u32 real_base, __u32 real_index)
{
	__u32 entry = real_base + real_index;
	const struct shunt_real *real = bpf_map_lookup_elem(&reals, &entry);

	return real && real->state != SHUNT_REAL_ABSENT;
}

static __always_inline __u32 slot_previous(union slot slot)
{
	return slot.reals.previous_real & ~SHUNT_SLOT_HOLD;
}

/* A flow was refused a moment ago: this one may be the same, opening again. */
static __always_inline bool flow_refused_lately(const struct shunt_refusals *refusals, __u32 now_s)
{
	return refusals->last_s && now_s - refusals->last_s <= SHUNT_SYN_HOLD_SECONDS;
}

static __always_inline void flow_refuse(struct shunt_refusals *refusals, __u32 now_s)
{
	if (refusals->last_s != now_s)
		refusals->last_s = now_s;
	__sync_fetch_and_add(&refusals->count, 1);
}

/* The real for a flow that is not in the table. */
static __always_inline __u32 flow_want(const struct flow_question *question, const struct shunt_refusals *refusals,
				       __u32 now_s)
{
	__u32 current = question->slot.reals.current_real, previous = slot_previous(question->slot);

	if (question->tracks_all || !previous || previous == current)
		return current;
	if (question->held || !question->opens)
		return previous;
	if (!current)
		return 0;
	return flow_refused_lately(refusals, now_s) ? previous : current;
}

/* Enters the flow, over its own old entry if it has one; else it needs room and allowance. False: it has not both. */
static __always_inline bool flow_remember(const struct flow_question *question, struct shunt_flow_line *line,
					  __u32 line_number, struct flow_place place, struct shunt_cpu_state *cpu,
					  __u32 real_index)
{
	__u64 word = flow_entry(question->hash, real_index, question->marks, cpu->now_s);

	if (flow_entry_real(place.word))
		return flow_swap(line, &place, word);
	if (!question->tracks_all && !cpu->entries_left)
		return false;
	if (!flow_find_room(line, question->hash, cpu->now_s, question->tracks_all, &place))
		return false;
	if (!flow_swap(line, &place, word))
		return false;
	if (!question->tracks_all)
		cpu->entries_left -= 1;
	flow_note_key(line_number, &place, &question->key);
	return true;
}

/* Keeps the entry of a flow that was found alive. Losing the race is no harm: somebody else just did the same. */
static __always_inline void flow_touch(struct shunt_flow_line *line, const struct flow_place *place, __u64 unmarks,
				       __u64 marks, __u32 now_s)
{
	__u32 lag_s = (now_s - (__u32)place->word) & SHUNT_FLOW_STAMP_MASK;
	__u64 marked = (place->word & ~unmarks) | marks;

	if (lag_s >= SHUNT_FLOW_STAMP_LAG_SECONDS || marked != place->word)
		flow_swap(line, place, (marked & ~(__u64)SHUNT_FLOW_STAMP_MASK) | (now_s & SHUNT_FLOW_STAMP_MASK));
}

/* The client has said that the flow ends, and opens one with the same addresses and ports: that is another flow. Only
 * opening packets have no marks. */
static __always_inline bool flow_begins_anew(__u64 word, __u64 marks)
{
	return word & SHUNT_FLOW_CLOSING && !marks;
}

/* The real that the flow table remembers for a flow, or 0. Functions of their own, here and below, so that packets of
 * stable slots do not carry their weight. */
static __noinline __u32 flow_recall(__u64 hash, __u32 real_base, __u64 unmarks, __u64 marks)
{
	struct shunt_cpu_state *cpu = clock_read();
	struct shunt_flow_line *line;
	struct flow_place place;
	__u32 line_number, real_index;

	line = flow_line(hash, &line_number);
	if (!line || !cpu)
		return 0;
	place = flow_find(line, hash);
	real_index = flow_entry_real(place.word);
	if (!real_index || flow_begins_anew(place.word, marks) || !real_serves(real_base, real_index))
		return 0;
	flow_touch(line, &place, unmarks, marks, cpu->now_s);
	return real_index;
}

/* Where a flow goes that is not in the table, and enters it where it has to be remembered. */
static __noinline __u32 flow_admit(const struct flow_question *question)
{
	__u32 line_number, real_index, vip_id = question->key.vip_id;
	struct shunt_cpu_state *cpu = clock_read();
	struct shunt_refusals *refusals;
	struct shunt_flow_line *line;
	struct flow_place place;

	line = flow_line(question->hash, &line_number);
	refusals = bpf_map_lookup_elem(&vip_refusals, &vip_id);
	if (!line || !cpu || !refusals)
		return 0;
	real_index = flow_want(question, refusals, cpu->now_s);
	if (!real_index)
		return 0;
	place = flow_find(line, question->hash); /* of a real that is absent, or of a flow that has ended */
	if (!question->tracks_all && slot_previous(question->slot) == question->slot.reals.current_real) {
		if (question->opens && flow_entry_real(place.word))
			flow_swap(line, &place, 0);
		return real_index | FLOW_IS_NEW;
	}
	if (question->resets)
		return real_index;
	if (flow_remember(question, line, line_number, place, cpu, real_index))
		return real_index | FLOW_IS_NEW;
	flow_refuse(refusals, cpu->now_s);
	return question->tracks_all ? real_index : slot_previous(question->slot) | FLOW_IS_NEW;
}

/* What a packet says of its flow: it goes on after the packet that opened it, it ends, or, with data after an end, it
 * does not yet. */
static __always_inline __u64 flow_marks(const struct packet *packet, bool opens)
{
	if (opens)
		return 0;
	return packet_closes_flow(packet) ? SHUNT_FLOW_CONFIRMED | SHUNT_FLOW_CLOSING : SHUNT_FLOW_CONFIRMED;
}

static __always_inline __u64 flow_unmarks(const struct packet *packet)
{
	return packet_has_data(packet) && !packet_closes_flow(packet) ? SHUNT_FLOW_CLOSING : 0;
}

static __always_inline struct flow_question flow_question(const struct packet *packet, union slot slot,
							  bool tells_opening, bool opens)
{
	return (struct flow_question){
		.key = {.source = packet->source,
			.vip_id = packet->vip->id,
			.source_port = packet->source_port,
			.destination_port = packet->destination_port},
		.hash = packet->flow_hash,
		.slot = slot,
		.tracks_all = packet->vip->flags & SHUNT_VIP_TRACK_ALL,
		.held = slot.reals.previous_real & SHUNT_SLOT_HOLD || (!slot.reals.current_real && !tells_opening),
		.opens = opens || !tells_opening,
		.resets = packet_resets_flow(packet),
		.marks = flow_marks(packet, opens),
	};
}

/*
 * Sends a remembered flow to its real, which is nearly always its slot's. That is a guess which a branch makes: on
 * `expected` the processor goes on while the flow table's line is still on its way from memory. The assembler keeps
 * the compiler from seeing that both ways are one.
 */
static __always_inline __u32 flow_expect(__u32 remembered, __u32 expected)
{
	if (unlikely(remembered != expected))
		return remembered;
	asm volatile("" : "+r"(expected));
	return expected;
}

/* The flow table's answer, for a slot that is not stable or a VIP that tracks all its flows. */
static __always_inline void flow_ask(struct packet *packet, union slot slot, bool tells_opening, bool opens)
{
	struct flow_question question;
	__u32 answer;

	answer =
		flow_recall(packet->flow_hash, packet->vip->real_base, flow_unmarks(packet), flow_marks(packet, opens));
	packet->is_new_flow = false;
	if (likely(answer)) {
		packet->real_index = flow_expect(answer, slot.reals.current_real);
		return;
	}
	question = flow_question(packet, slot, tells_opening, opens);
	answer = flow_admit(&question);
	packet->real_index = answer & ~FLOW_IS_NEW;
	packet->is_new_flow = answer & FLOW_IS_NEW && (question.tracks_all || opens);
}

static __always_inline enum verdict stage_flow(struct packet *packet)
{
	bool tells_opening = packet->protocol == PROTOCOL_TCP || packet->vip->flags & SHUNT_VIP_QUIC;
	bool opens = packet_opens_flow(packet) && tells_opening;
	union slot slot;

	packet->flow_hash = flow_hash(packet);
	slot = flow_slot(packet);
	packet->real_index = slot.reals.current_real;
	packet->is_new_flow = opens;
	if (unlikely(slot.reals.previous_real || packet->vip->flags & SHUNT_VIP_TRACK_ALL))
		flow_ask(packet, slot, tells_opening, opens);
	return packet->real_index ? VERDICT_CONTINUE : VERDICT_DROP_NO_REAL;
}

#endif
