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

/* Flows remembered for VIPs with tracking `all`; 40 to 130 bytes of kernel memory each, taken at load. */
#define SHUNT_MAX_FLOWS_DEFAULT 262144u

/* Decapsulation: VIP addresses one real may list. */
#define SHUNT_MAX_DECAP_VIPS 4096u

#endif
