#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real server answers, but not as it should: each kind of check that reads answers notices in time, says what it
# saw, and notices that the answers are right again.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

health_lab http https http2 grpc udp dns tls exec

failure sick http 1 "status 503" "http: status 503 takes a real out in time, and 200 brings it back"
failure sick https 2 "status 503" "https: the same"
failure sick http2 3 "status 503" "http2: the same"
failure sick grpc 4 "NOT_SERVING" "grpc: NOT_SERVING does, and SERVING brings it back"
failure sick udp 1 "answer" "udp: an answer that begins otherwise does"
failure sick dns 2 "192.0.2.53|address|answer" "dns: another address does"
failure sick tls 3 "certificate" "tls: the certificate of another host does"
failure sick exec 4 "status 22" "exec: a program that ends with a status does"
times_table
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
