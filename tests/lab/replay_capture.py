#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Writes the capture that replay.sh replays, and beside it, one line per frame, the verdict each must end in. Frames
# are made by scapy, so nothing of Shunt's own code says what a valid packet is.
# Usage: replay_capture.py OUT.pcap OUT.verdicts
import random
import sys

from scapy.all import (ARP, ICMP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMPv6EchoRequest, IP, IPOption_NOP, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, Raw, fragment, wrpcap)

VIP4, VIP6, OTHER4, OTHER6 = "203.0.113.10", "2001:db8:1::10", "203.0.113.99", "2001:db8:1::99"
CLIENT4, CLIENT6 = "198.51.100.7", "2001:db8:c::7"
LINK = Ether(src="02:00:00:00:00:c1", dst="02:00:00:00:00:ba")
dice = random.Random(7)
frames, verdicts = [], []


def add(frame, verdict):
    frames.append(frame if isinstance(frame, bytes) else bytes(frame))
    verdicts.append(verdict)


def ip(version, vip=True, **fields):
    if version == 4:
        return IP(src=CLIENT4, dst=VIP4 if vip else OTHER4, **fields)
    return IPv6(src=CLIENT6, dst=VIP6 if vip else OTHER6, **fields)


def traffic_class(version, value):
    return {"tos": value} if version == 4 else {"tc": value}


def payload():
    return Raw(dice.randbytes(dice.randrange(0, 1300)))


def links():
    return (LINK, LINK / Dot1Q(vlan=100), LINK / Dot1AD(vlan=7) / Dot1Q(vlan=100))


for version in (4, 6):
    for link in links():
        for _ in range(20):
            fields = traffic_class(version, dice.randrange(256))
            tcp = TCP(sport=dice.randrange(1024, 65536), dport=80, flags=dice.choice(["S", "A", "PA", "FA", "R"]))
            udp = UDP(sport=dice.randrange(1024, 65536), dport=dice.randrange(1, 65536))
            add(link / ip(version, **fields) / tcp / payload(), "TX_ENCAPSULATED")
            add(link / ip(version, **fields) / udp / payload(), "TX_ENCAPSULATED")  # every UDP port is a VIP
            add(link / ip(version, vip=False, **fields) / tcp / payload(), "PASS_NOT_VIP")
            add(link / ip(version, **fields) / TCP(sport=4000, dport=22), "PASS_NOT_VIP")
        whole = bytes(link / ip(version) / TCP(sport=4000, dport=80) / Raw(b"x" * 64))
        header = len(link) + (20 if version == 4 else 40)
        for length in range(14, len(whole)):
            if length < len(link):
                add(whole[:length], "PASS_UNREADABLE")
            else:
                add(whole[:length], "PASS_UNREADABLE" if length < header else "DROP_TRUNCATED")
    add(LINK / Dot1Q() / Dot1Q() / Dot1Q() / ip(version) / TCP(dport=80), "PASS_NOT_IP")

for piece in fragment(IP(src=CLIENT4, dst=VIP4) / UDP(sport=1, dport=53) / Raw(b"f" * 3000), 1200):
    add(LINK / piece, "DROP_FRAGMENT")
for piece in fragment(IP(src=CLIENT4, dst=OTHER4) / UDP(sport=1, dport=53) / Raw(b"f" * 3000), 1200):
    add(LINK / piece, "PASS_NOT_VIP")
add(LINK / ip(6) / IPv6ExtHdrFragment(nh=17, offset=0, m=1) / Raw(b"f" * 64), "DROP_FRAGMENT")
add(LINK / ip(6, vip=False) / IPv6ExtHdrFragment(nh=17, offset=0, m=1) / Raw(b"f" * 64), "PASS_NOT_VIP")
add(LINK / ip(4, options=[IPOption_NOP()] * 4) / TCP(dport=80), "DROP_IP_OPTIONS")
add(LINK / ip(4, vip=False, options=[IPOption_NOP()] * 4) / TCP(dport=80), "PASS_NOT_VIP")
add(LINK / ip(6) / IPv6ExtHdrDestOpt() / TCP(dport=80), "DROP_IP_OPTIONS")
add(LINK / ip(6, vip=False) / IPv6ExtHdrDestOpt() / TCP(dport=80), "PASS_NOT_VIP")
add(LINK / ip(4) / ICMP(), "PASS_ICMP")
add(LINK / ip(6) / ICMPv6EchoRequest(), "PASS_ICMP")
add(LINK / ip(4, proto=47) / Raw(b"gre?"), "PASS_OTHER_PROTOCOL")
add(LINK / ip(4) / TCP(dport=80, dataofs=2), "DROP_MALFORMED")
add(LINK / IPv6(src="::ffff:198.51.100.7", dst=VIP6) / TCP(dport=80), "DROP_MAPPED_ADDRESS")
add(LINK / ip(4) / UDP(sport=9, dport=9) / Raw(b"b" * 1500), "DROP_TOO_BIG")
add(LINK / ARP(pdst=VIP4), "PASS_NOT_IP")

wrpcap(sys.argv[1], frames, linktype=1)
with open(sys.argv[2], "w", encoding="ascii") as expected:
    expected.writelines(verdict + "\n" for verdict in verdicts)
