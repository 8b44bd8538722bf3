#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Metrics as an operator has them: scraped by a real Prometheus, judged by promtool, equal to what shuntctl tells.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LISTEN=127.0.0.1:9871 PROMETHEUS=127.0.0.1:9090

scrape() { lab_in balancer1 curl -sSf "http://$LISTEN/metrics"; }

# metric NAME{LABELS}: its value in a fresh scrape
metric() { scrape | awk -v name="$1" '$1 == name { print $2 }'; }

without_complaint() {
  scrape >"$SCRATCH/metrics"
  expect_equal "what promtool says" "$(promtool check metrics <"$SCRATCH/metrics" 2>&1)" ""
  expect_contains "the scrape" "$(cat "$SCRATCH/metrics")" "shunt_scrape_errors 0"
}

same_as_shuntctl() {
  http_ask client1 "$VIP4" 50 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 50
  expect_verdicts_add_up 1
  local key
  for key in packets bytes new_flows; do
    expect_equal "$key of $TCP4" "$(metric "shunt_vip_${key}_total{vip=\"$TCP4\"}")" \
      "$(ctl -o json stats | jq --arg vip "$TCP4" ".vips[] | select(.vip == \$vip) | .$key")"
  done
  expect_equal "packets of real1" "$(metric "shunt_real_packets_total{vip=\"$TCP4\",real=\"${LAB_REALS4[0]}\"}")" \
    "$(ctl -o json stats | jq --arg vip "$TCP4" --arg real "${LAB_REALS4[0]}" \
      '.vips[] | select(.vip == $vip) | .reals[] | select(.address == $real) | .packets')"
  expect_equal "verdicts" "$(scrape | awk '/^shunt_verdict_packets_total/ { sum += $2 } END { print sum }')" "$(lab_verdict_sum 1)"
}

plain_udp_tells_no_new_flows() {
  expect_equal "new flows of $UDP4" "$(metric "shunt_vip_new_flows_total{vip=\"$UDP4\"}")" ""
  expect_equal "new flows of $UDP4 in JSON" "$(ctl -o json vip show "$UDP4" | jq .traffic.new_flows)" null
}

metric_of_slots() { metric "shunt_vip_slots{vip=\"$TCP4\",state=\"$1\"}"; }
some_move() { (($(metric_of_slots moving) > 0)); }
all_are_stable() {
  [[ $(metric_of_slots stable) == 65537 && $(metric_of_slots moving) == 0 && $(metric_of_slots with_exceptions) == 0 ]]
}

moving_slots_show() {
  poll 20 all_are_stable
  ctl real set "$TCP4" "$(real_of "$TCP4" 1)" --weight=20 >/dev/null
  poll 20 some_move
  expect_contains "vip show" "$(ctl vip show "$TCP4")" "min"
  expect_contains "vip show" "$(ctl vip show "$TCP4")" "if nothing else changes"
  expect_contains "the overview" "$(ctl)" "slots are moving; settled in"
}

settled_slots_show() {
  ctl vip set "$TCP4" --tcp-settle=2 >/dev/null
  poll 60 all_are_stable
  expect_contains "vip show" "$(ctl vip show "$TCP4")" "settled     yes"
  expect_equal "settles_in_seconds" "$(ctl -o json vip show "$TCP4" | jq .settling.settles_in_seconds)" null
}

prometheus_config() {
  cat <<Y
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: shunt
    static_configs: [ { targets: [ "$LISTEN" ] } ]
Y
}

# asked QUERY: the value that Prometheus has stored
asked() {
  lab_in balancer1 curl -s "http://$PROMETHEUS/api/v1/query" --data-urlencode "query=$1" | jq -r '.data.result[0].value[1]'
}
stored() { [[ $(asked "$1") == "$2" ]]; }

prometheus_has_them() {
  prometheus_config >"$SCRATCH/prometheus.yml"
  lab_start balancer1 prometheus prometheus --config.file="$SCRATCH/prometheus.yml" --web.listen-address="$PROMETHEUS" \
    --storage.tsdb.path="$SCRATCH/prometheus"
  poll 30 stored 'up{job="shunt"}' 1
  poll 10 stored "shunt_vip_packets_total{vip=\"$TCP4\"}" "$(metric "shunt_vip_packets_total{vip=\"$TCP4\"}")"
  lab_stop balancer1 prometheus
}

port_taken() {
  lab_daemon_stop 1
  lab_start balancer1 squatter python3 -m http.server --bind 127.0.0.1 9871
  poll 10 lab_in balancer1 curl -s -o /dev/null "http://$LISTEN/"
  ! lab_daemon_start 1 --metrics_listen="$LISTEN" || { echo "the daemon started"; return 1; }
  expect_contains "the log" "$(tail -n 3 "$LAB/balancer1/shuntd.log")" \
    "metrics on $LISTEN: Address already in use; stop what listens there, or choose another port with --metrics_listen"
  lab_stop balancer1 squatter
  lab_daemon_start 1 --metrics_listen="$LISTEN"
  expect_equal "scrape errors" "$(metric shunt_scrape_errors)" 0
}

counts_go_on() {
  expect_between "packets of $TCP4 after a restart" "$(metric "shunt_vip_packets_total{vip=\"$TCP4\"}")" 100 100000000
}

test_lab
lab_daemon_start 1 --metrics_listen="$LISTEN"
usual_vips 10 10 10 10

it "promtool finds nothing to complain about" without_complaint
it "counters and verdicts are those that shuntctl tells" same_as_shuntctl
it "plain UDP has no count of new flows" plain_udp_tells_no_new_flows
it "slots that move are told, and shuntctl says when they will have settled" moving_slots_show
it "once they have settled, all are stable" settled_slots_show
it "a Prometheus scrapes and stores them" prometheus_has_them
it "a port that is taken ends the start with the remedy, and a later start works" port_taken
it "counts go on over a restart" counts_go_on
finish
