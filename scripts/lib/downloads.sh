# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Downloads that last: nginx gives 4 kB/s of /crawl/page, which pages_up made, to each; a curl has 200 of them. Not
# here: short requests (traffic.sh). Needs common.sh, lab.sh, traffic.sh and a folder SCRATCH.

CURL_DOWNLOADS=200

pages_up() { # SECONDS
  local n
  head -c $(($1 * 4096)) /dev/urandom >"$SCRATCH/page"
  for n in 1 2 3 4; do cp "$SCRATCH/page" "$LAB/real$n/www/page"; done
  : >"$SCRATCH/downloaders"
}

# downloader_address NODE: an address that nothing else asks from, so that nothing else is counted; sets FRESH4
downloader_address() {
  fresh_addresses "$1" || return
  echo "$FRESH4" >>"$SCRATCH/downloaders"
}

# curl_start NODE LABEL ADDRESS COUNT: so many downloads; a line in the log, "STATUS BYTES", for each that ended
curl_start() {
  lab_start "$1" "$2" curl -sS --no-progress-meter -Z --parallel-immediate --interface "$3" \
    --parallel-max "$4" --no-keepalive --connect-timeout 10 --max-time $(($(stat -c %s "$SCRATCH/page") / 4096 + 80)) \
    -o /dev/null -w '%{http_code} %{size_download}\n' "http://${LAB_VIPS4[0]}/crawl/page?n=[1-$4]"
}

# downloads_start CURLS: waits until all are under way
downloads_start() {
  local i client
  : >"$SCRATCH/downloaders"
  for i in $(seq "$1"); do
    client=client$((i % 2 + 1))
    downloader_address "$client"
    curl_start "$client" "downloads$i" "$FRESH4" "$CURL_DOWNLOADS"
  done
  poll 20 downloads_run "$1" ||
    { echo "$(all_connections) of $(($1 * CURL_DOWNLOADS)) downloads are under way"; return 1; }
}

connections() { lab_in "real$1" ss -Htn state established '( sport = :80 )' | grep -cFwf "$SCRATCH/downloaders" || true; }
all_connections() {
  local n sum=0
  for n in 1 2 3 4; do sum=$((sum + $(connections "$n"))); done
  echo "$sum"
}
downloads_run() { (($(all_connections) == $1 * CURL_DOWNLOADS)); }

downloads_ended() {
  local i
  for i in $(seq "$1"); do lab_stopped "client$((i % 2 + 1))" "downloads$i" || return 1; done
}
