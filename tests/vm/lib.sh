# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the stories of this folder share beside tests/lab/lib.sh, which this sources: a lab of as few nodes as will do,
# since each program that starts takes ten times as long in a guest. Sourced, never run.
LAB_NODES=(client1 router balancer1 real1 real2)
LAB_REALS=(1 2)
source "$(dirname "${BASH_SOURCE[0]}")/../lab/lib.sh"

small_vips() { # [MORE]: the usual VIPs on both reals, and what MORE prints; all at once, so that no slot has changed hands
  { usual_vips_file 10 30; "${@:-true}"; } >"$SCRATCH/vips.yaml"
  ctl apply -f "$SCRATCH/vips.yaml" >/dev/null
  poll 60 next_hops_known
}

# pages_of BYTES: /big on each real, and the same in $SCRATCH/big
pages_of() {
  local n
  head -c "$1" /dev/urandom >"$SCRATCH/big"
  for n in "${LAB_REALS[@]}"; do cp "$SCRATCH/big" "$LAB/real$n/www/big"; done
}

answers_come() { # KIND ADDRESS COUNT
  "${1}_ask" client1 "$2" "$3" >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" "$3"
}
