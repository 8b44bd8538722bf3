/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ones' complement sums (RFC 1071). Sums are of 16-bit words as they stand in memory, whatever the byte order.
 */
#ifndef SHUNT_CHECKSUM_H
#define SHUNT_CHECKSUM_H

#include <linux/types.h>

/* Folds a sum of at most 65536 words to 16 bits. */
static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return sum + (sum >> 16);
}

#endif
