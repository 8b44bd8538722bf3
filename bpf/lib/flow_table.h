/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: which real serves a remembered flow. One cache line a lookup; every change of an entry is one compare
 * and swap, so that CPUs and user space need no lock. What to do with a hit or a miss is flow.h's matter.
 */
#ifndef SHUNT_FLOW_TABLE_H
#define SHUNT_FLOW_TABLE_H

#include "../maps.h"
#include "clock.h"
#include "packet.h"

struct flow_place {
	__u32 entry;
	__u64 word; /* what stood there; real 0 = the flow was not found */
};

static __always_inline __u32 flow_entry_real(__u64 word)
{
	return (word >> SHUNT_FLOW_REAL_SHIFT) & SHUNT_FLOW_REAL_MASK;
}

static __always_inline __u64 flow_entry(__u64 hash, __u32 real_index, __u64 marks, __u32 now_s)
{
	return (hash >> 32) << SHUNT_FLOW_TAG_SHIFT | marks | (__u64)real_index << SHUNT_FLOW_REAL_SHIFT |
	       (now_s & SHUNT_FLOW_STAMP_MASK);
}

static __always_inline struct shunt_flow_line *flow_line(__u64 hash, __u32 *number)
{
	*number = (__u32)hash & (config.flow_lines - 1);
	return bpf_map_lookup_elem(&flow_table, number);
}

static __always_inline __u64 flow_word(const struct shunt_flow_line *line, __u32 entry)
{
	return *(const volatile __u64 *)&line->entries[entry];
}

/* Where in its line a flow stands if it can: the first look is nearly always the last. */
static __always_inline __u32 flow_preferred_entry(__u64 hash)
{
	return (__u32)hash >> 29;
}

static __always_inline bool flow_is_at(__u64 hash, __u64 word)
{
	return word >> SHUNT_FLOW_TAG_SHIFT == hash >> 32 && flow_entry_real(word);
}

/* Where the flow stands. */
static __always_inline struct flow_place flow_find(const struct shunt_flow_line *line, __u64 hash)
{
	struct flow_place place = {.entry = flow_preferred_entry(hash)};

	place.word = flow_word(line, place.entry);
	if (likely(flow_is_at(hash, place.word)))
		return place;
	for (place.entry = 0; place.entry < SHUNT_FLOWS_PER_LINE; place.entry++) {
		place.word = flow_word(line, place.entry);
		if (flow_is_at(hash, place.word))
			return place;
	}
	return (struct flow_place){};
}

/* A free place, or, with `evict`, the one that was silent longest. False: the line is full. */
static __always_inline bool flow_find_room(const struct shunt_flow_line *line, __u64 hash, __u32 now_s, bool evict,
					   struct flow_place *place)
{
	__u32 entry, silent_s, longest_s = 0;
	bool found = false;
	__u64 word;

	place->entry = flow_preferred_entry(hash);
	place->word = flow_word(line, place->entry);
	if (!flow_entry_real(place->word))
		return true;
	for (entry = 0; entry < SHUNT_FLOWS_PER_LINE; entry++) {
		word = flow_word(line, entry);
		silent_s = (now_s - (__u32)word) & SHUNT_FLOW_STAMP_MASK;
		if (flow_entry_real(word) && (!evict || (found && silent_s <= longest_s)))
			continue;
		found = true;
		longest_s = silent_s;
		place->entry = entry;
		place->word = word;
		if (!flow_entry_real(word))
			break;
	}
	return found;
}

/* False: somebody else was faster. */
static __always_inline bool flow_swap(struct shunt_flow_line *line, const struct flow_place *place, __u64 word)
{
	/* The mask is for the verifier. */
	__u64 *entry = &line->entries[place->entry & (SHUNT_FLOWS_PER_LINE - 1)];

	return __sync_val_compare_and_swap(entry, place->word, word) == place->word;
}

static __always_inline void flow_note_key(__u32 line_number, const struct flow_place *place,
					  const struct shunt_flow_key *key)
{
	struct shunt_flow_keys *keys = bpf_map_lookup_elem(&flow_keys, &line_number);

	if (keys)
		keys->keys[place->entry & (SHUNT_FLOWS_PER_LINE - 1)] = *key;
}

#endif
