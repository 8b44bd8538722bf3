#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packets to a real server are lost without a word: each kind of check notices in time, and notices when they arrive
# again.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

health_lab tcp http https http2 grpc udp dns tls icmp exec

failure silent tcp 1 "no answer" "tcp: a silent server gets its last packet in time, and traffic when it is back"
failure silent http 2 "no answer" "http: the same"
failure silent https 3 "no answer" "https: the same"
failure silent http2 4 "no answer" "http2: the same"
failure silent tls 1 "no answer" "tls: the same"
failure silent grpc 2 "no answer" "grpc: the same"
failure silent udp 3 "no answer" "udp: the same"
failure silent dns 4 "no answer" "dns: the same"
failure silent icmp 1 "no answer" "icmp: the same"
failure silent exec 2 "no answer|killed|time" "exec: the same"
times_table
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
