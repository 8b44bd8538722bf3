# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Authorities and certificates for shuntd's API over TCP, in $LAB/api. Sourced by privileges.sh and anycast_lib.sh, beside
# lib.sh. Not here: those of the servers that health checks ask (scripts/lib/servers.sh).

# shellcheck disable=SC2034 # for those who source this
API_PORT=9870

# api_authority NAME: NAME.pem and NAME.key
api_authority() {
  mkdir -p "$LAB/api"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$LAB/api/$1.key" -out "$LAB/api/$1.pem" 2>/dev/null
}

# api_certificate NAME AUTHORITY SUBJECT [EXTENSION]: a client's, unless the extension says otherwise
api_certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$3" -keyout "$LAB/api/$1.key" -out "$LAB/api/$1.csr" 2>/dev/null
  openssl x509 -req -in "$LAB/api/$1.csr" -CA "$LAB/api/$2.pem" -CAkey "$LAB/api/$2.key" -CAcreateserial -days 2 \
    -extfile <(printf '%s\n' "${4:-keyUsage = digitalSignature}") -out "$LAB/api/$1.pem" 2>/dev/null
}
