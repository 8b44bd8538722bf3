/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Default capacities of the maps. User space may change any of them before the program is loaded
 * (shuntd --max_vips and the like); the program itself never reads them.
 */
#ifndef SHUNT_ABI_LIMITS_H
#define SHUNT_ABI_LIMITS_H

/* VIPs, counted by address, port and protocol. VIP ids run from 1 to this number. */
#define SHUNT_MAX_VIPS_DEFAULT 4096u

/* Entries of the real table. A VIP with n reals takes the next power of two above n. */
#define SHUNT_MAX_REALS_DEFAULT 262144u

/* Flows the flow table has room for: those of slots that changed hands lately, and those of VIPs with tracking `all`.
 * 43 to 85 bytes of kernel memory each, taken at load. */
#define SHUNT_MAX_FLOWS_DEFAULT 262144u

/* Chunks of ring memory (4 MiB each), made as rings need them. */
#define SHUNT_MAX_RING_CHUNKS 1024u

/* An entry of the flow table that no packet confirmed, or whose flow is closing, is dropped after so many silent
 * seconds. The allowance of new entries follows: so many seconds of flood fill half of the table. */
#define SHUNT_BRIEF_FLOW_SECONDS 30u

/* The flow table's stamps lag behind by less than so many seconds: not every packet writes to its flow's line. */
#define SHUNT_FLOW_STAMP_LAG_SECONDS 4u

/* So many seconds after a change of a slot, and after a flow could not be remembered, packets that open a flow go to
 * the slot's previous real: handshakes under way end where they began. */
#define SHUNT_SYN_HOLD_SECONDS 4u

/* Decapsulation: VIP addresses one real may list. */
#define SHUNT_MAX_DECAP_VIPS 4096u

#endif
