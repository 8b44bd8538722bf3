/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Load-time constants of the balancer, set before the verifier runs so that what is off is pruned.
 */
#ifndef SHUNT_ABI_CONFIG_H
#define SHUNT_ABI_CONFIG_H

#include <linux/types.h>

struct shunt_config {
	__u32 max_vlan_tags; /* 802.1Q and 802.1ad tags looked behind; 0 to 2. A frame with more is PASS_NOT_IP. */
};

#endif
