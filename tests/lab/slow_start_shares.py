#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""slow_start_shares.py SYNS SLOTS BIN_SECONDS CLIMB_SECONDS NAME:PORT:KIND:BEGAN_US:EXPONENT... REAL

From what slow_start.sh wrote down to lines of shares, times in seconds since the real came up:
  flows,NAME,FROM,TO,FLOWS,EXPONENT,CLIMB_SECONDS,SHARE    of the new flows in a bin, the share of REAL
  slots,NAME,AT,AT,SLOTS,EXPONENT,CLIMB_SECONDS,SHARE      of the ring's slots at a moment
SYNS: tcpdump's lines of SYNs in their outer headers. SLOTS: lines of KIND, time in µs, REAL's slots, all slots.
"""
import re
import sys

SYN = re.compile(r"^(\d+\.\d+) IP \S+ > (\S+): IP \S+ > \S+\.(\d+): Flags \[S\]")


def main() -> None:
    syns_file, slots_file, bin_seconds, climb = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    real = sys.argv[-1]
    syns = [(float(hit[1]), hit[2], int(hit[3])) for hit in map(SYN.match, open(syns_file)) if hit]
    slots = [line.split() for line in open(slots_file)]
    for story in sys.argv[5:-1]:
        name, port, kind, began_us, exponent = story.split(":")
        began = int(began_us) / 1e6
        mine = [(at - began, to == real) for at, to, syn_port in syns if syn_port == int(port)]
        last = max((at for at, _ in mine), default=0.0)
        tail = f"{exponent},{climb:g}"
        start = 0.0
        while start + bin_seconds <= last:
            inside = [hit for at, hit in mine if start <= at < start + bin_seconds]
            if inside:
                share = sum(inside) / len(inside)
                print(f"flows,{name},{start:g},{start + bin_seconds:g},{len(inside)},{tail},{share:.5f}")
            start += bin_seconds
        for of_kind, at_us, owned, whole in slots:
            at = int(at_us) / 1e6 - began
            if of_kind == kind and at >= 0:
                print(f"slots,{name},{at:.3f},{at:.3f},{owned},{tail},{int(owned) / int(whole):.5f}")


main()
