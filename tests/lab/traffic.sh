#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real programs through the balancer: curl to nginx and UDP, both families, small and large, spread by weight.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

answers_come_back() { # KIND ADDRESS
  local client
  for client in client1 client2; do
    "${1}_ask" "$client" "$2" 50 >"$SCRATCH/answers"
    expect_answers "$SCRATCH/answers" 50
  done
}

download_is_whole() { # ADDRESS
  local seen wanted
  wanted=$(sha256sum <"$SCRATCH/big")
  seen=$(lab_in client1 curl -sSf --max-time 60 "http://$(in_url "$1")/big" | sha256sum)
  expect_equal "checksum" "$seen" "$wanted"
}

# The upload goes through the tunnel: its full-sized segments are what the links must have room for.
upload_is_whole() { # ADDRESS
  local real n found=
  lab_in client1 curl -sSf --max-time 60 --upload-file "$SCRATCH/upload" "http://$(in_url "$1")/upload/$2"
  for n in 1 2 3 4; do
    real=$LAB/real$n/www/upload/$2
    [[ -e $real ]] || continue
    found=yes
    expect_equal "checksum on real$n" "$(sha256sum <"$real")" "$(sha256sum <"$SCRATCH/upload")"
  done
  expect_equal "the upload is on a real" "$found" yes
}

# POST as curl does it by default: with Expect: 100-continue, the body in full-sized segments.
post_is_accepted() { # ADDRESS
  expect_status 0 lab_in client2 curl -sS --max-time 60 -o "$SCRATCH/page" -w '%{http_code} %{size_upload}' \
    --data-binary "@$SCRATCH/upload" "http://$(in_url "$1")/"
  expect_equal "status and bytes" "$OUTPUT" "200 $(stat -c %s "$SCRATCH/upload")"
}

full_sized_datagrams() { # ADDRESS BYTES: the largest that the client's link takes whole
  udp_ask client1 "$1" 20 "$2" >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 20
}

# 2000 requests at weights 1:2:3:4. The standard deviation of a share p is sqrt(p(1-p)/2000), at most 1.1 points;
# 5 points are more than four of them.
spread_follows_weights() { # KIND ADDRESS
  local n seen
  for client in client1 client2; do "${1}_ask" "$client" "$2" 1000; done >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 2000
  for n in 1 2 3 4; do
    seen=$(count_of "real$n" "$SCRATCH/answers")
    expect_between "requests that real$n got of 2000" "$seen" $((n * 200 - 100)) $((n * 200 + 100))
  done
}

replies_bypass_the_balancer() {
  local before after
  before=$(lab_received 1)
  lab_in client1 curl -sSf --max-time 60 -o "$SCRATCH/page" "http://$VIP4/big"
  after=$(lab_received 1)
  # 8 MB are some 5500 segments. Only their acknowledgements come by here: one for two as a rule, one for each at most.
  expect_between "frames at the balancer" $((after - before)) 3 6000
  expect_contains "verdicts" "$(ctl verdicts)" TX_ENCAPSULATED
  expect_equal "TX and REDIRECT per acknowledgement" "$(ctl -o json verdicts | jq '[.verdicts[] | select(.action == "XDP_DROP") | .packets] | add')" 0
}

test_lab
lab_daemon_start 1
usual_vips 10 20 30 40
head -c 8000000 /dev/urandom >"$SCRATCH/big"
head -c 1000000 /dev/urandom >"$SCRATCH/upload"
for n in 1 2 3 4; do cp "$SCRATCH/big" "$LAB/real$n/www/big"; done

it "pages come back over IPv4" answers_come_back http "$VIP4"
it "pages come back over IPv6" answers_come_back http "$VIP6"
it "datagrams come back over IPv4, from the VIP" answers_come_back udp "$VIP4"
it "datagrams come back over IPv6, from the VIP" answers_come_back udp "$VIP6"
it "a download of 8 MB over IPv4 arrives whole" download_is_whole "$VIP4"
it "a download of 8 MB over IPv6 arrives whole" download_is_whole "$VIP6"
it "an upload of 1 MB over IPv4 arrives whole" upload_is_whole "$VIP4" four
it "an upload of 1 MB over IPv6 arrives whole" upload_is_whole "$VIP6" six
it "a POST of 1 MB over IPv4 is answered" post_is_accepted "$VIP4"
it "a POST of 1 MB over IPv6 is answered" post_is_accepted "$VIP6"
it "datagrams as large as the client's link arrive over IPv4" full_sized_datagrams "$VIP4" 1472
it "datagrams as large as the client's link arrive over IPv6" full_sized_datagrams "$VIP6" 1452
it "TCP connections over IPv4 spread over the reals by their weights" spread_follows_weights http "$VIP4"
it "TCP connections over IPv6 spread over the reals by their weights" spread_follows_weights http "$VIP6"
it "UDP flows over IPv4 spread over the reals by their weights" spread_follows_weights udp "$VIP4"
it "UDP flows over IPv6 spread over the reals by their weights" spread_follows_weights udp "$VIP6"
it "replies go from the real to the client, not by the balancer" replies_bypass_the_balancer
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
