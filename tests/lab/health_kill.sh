#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The process of a real server is killed: each kind of check notices in time, and notices that it is back.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

health_lab tcp http https http2 grpc udp dns tls exec

failure killed tcp 1 "refused" "tcp: a killed server gets its last packet in time, and traffic when it is back"
failure killed http 2 "refused|reset|closed" "http: the same"
failure killed https 3 "refused|reset|closed" "https: the same"
failure killed http2 4 "refused|reset|closed" "http2: the same"
failure killed tls 1 "refused|reset|closed" "tls: the same"
failure killed grpc 2 "refused|reset|closed" "grpc: the same"
failure killed udp 3 "refused|reachable" "udp: the same"
failure killed dns 4 "refused|contact" "dns: the same"
failure killed exec 1 "status 7" "exec: the same"
times_table
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
