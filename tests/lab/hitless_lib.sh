# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The traffic of "nothing on the wire notices" as test cases: that it comes up, and that it ends whole. Sourced by
# hitless.sh, old_build.sh and anycast_lib.sh, beside lib.sh. Not here: traffic and its table (scripts/lib/hitless.sh).
source "$SHUNT_ROOT/scripts/lib/hitless.sh"

everything_goes_on() { # SECONDS, at most
  hitless_traffic_up "$1"
  hitless_downloads_last "$DOWNLOAD_SECONDS"
}

everything_ends_whole() { # LEAST short requests
  hitless_requests_down
  hitless_downloads_end
  expect_equal "failed requests" "$(hitless_failed)" 0
  expect_between "short requests" "$(cat "$LAB"/requests[46] | wc -l)" "$1" 1000000
}
