/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What bench.bpf.c and the benchmark tell each other: one job, in the one entry of map `jobs`. Included by both;
 * neither knows here what is measured.
 */
#ifndef SHUNT_BENCH_JOB_H
#define SHUNT_BENCH_JOB_H

#include <linux/types.h>

/* NOLINTBEGIN(readability-identifier-naming): half of this is C. */

#define BENCH_HEAD_BYTES 80 /* Ethernet, IPv6 and TCP headers (74), in whole words */
#define BENCH_FAMILIES 2    /* heads[0]: IPv4, or the only family; heads[1]: IPv6 of a mixture */

#define BENCH_MAX_MARKS 256 /* a power of two */
#define BENCH_MAX_PROGRAMS 128

enum bench_program {
  BENCH_SUBJECT = 0, /* the program under test */
  BENCH_FLOOR = 1,   /* only drops: the time of a packet is the wrapper's own */
};

enum bench_order {
  BENCH_RANDOM = 0,     /* each packet's flow is drawn from `flows` */
  BENCH_SEQUENTIAL = 1, /* flows next_flow, next_flow + 1, … */
};

/* Written by user space before a run, except for what is said to be the program's. */
struct bench_job {
  __u64 repetitions;
  __u64 done;          /* the program's: packets so far */
  __u64 slice_packets; /* the two programs take turns, so many packets each; 0: all packets go to the subject */
  __u64 slice_left;    /* the program's: packets until the next slice */
  __u32 program;       /* its place in map `next`; with slices the program's: enum bench_program */
  __u32 marks;         /* the program's: slices begun */
  __u64 random;        /* the program's state, not zero at first */
  __u64 flows;         /* different sources, at most 2^32 */
  __u64 next_flow;     /* the lowest; BENCH_SEQUENTIAL: the program counts on */
  __u32 order;         /* enum bench_order */
  __u32 vips;          /* destinations, at most 65536: the address in the frame and those behind it */
  __u32 frame_bytes;
  __u32 mixed; /* not 0: each packet's head is drawn from both */
  __u32 zero;
  __u32 noting;     /* not 0: the answer to each packet is noted in map `answers`; the last repetition only notes */
  __u64 watched;    /* not 0: the low 16 bits of a real's address */
  __u64 watched_ns; /* the program's: when a packet had gone there last; 0 = never */
  __u8 heads[BENCH_FAMILIES][BENCH_HEAD_BYTES];
  __u64 mark_ns[BENCH_MAX_MARKS]; /* the program's: when each slice began */
};

/* NOLINTEND(readability-identifier-naming) */

#endif
