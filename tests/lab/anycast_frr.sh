#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two and three balancers share their VIPs by anycast, as in anycast.sh, but FRR is on the router and on each balancer. Balancers fail, leave and
# come under traffic; the table says what that cost. The story stands in anycast_lib.sh.
source "$(dirname "${BASH_SOURCE[0]}")/anycast_lib.sh"
anycast_story frr
