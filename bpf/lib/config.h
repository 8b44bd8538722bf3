/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The constants user space sets before loading (shunt/abi_config.h). The verifier prunes what is off.
 */
#ifndef SHUNT_CONFIG_H
#define SHUNT_CONFIG_H

#include <linux/types.h>

#include <shunt/abi_config.h>
#include <shunt/abi_limits.h>

const volatile struct shunt_config config = {
	.max_vlan_tags = 2,
	.vip_lines = 4 * SHUNT_MAX_VIPS_DEFAULT,
	.vip_groups = SHUNT_MAX_VIPS_DEFAULT / 2,
	.flow_lines = SHUNT_MAX_FLOWS_DEFAULT / 4,
	.flow_entries_per_second = 1000,
};

#endif
