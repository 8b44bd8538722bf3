#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real server answers too late, or not as long as it is stopped, while its kernel goes on: each kind of check that
# waits for the server itself notices in time, and notices when it is quick again. (A TCP check asks the kernel
# alone.)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

health_lab http https http2 grpc udp dns tls exec

failure slow http 1 "no answer" "http: a slow server gets its last packet in time, and traffic when it is quick again"
failure slow https 2 "no answer" "https: the same"
failure slow http2 3 "no answer" "http2: the same"
failure slow tls 4 "no answer" "tls: the same"
failure slow grpc 1 "no answer" "grpc: the same"
failure slow udp 2 "no answer" "udp: the same"
failure slow dns 3 "no answer" "dns: the same"
failure slow exec 4 "no answer|killed|time" "exec: the same"
times_table
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
