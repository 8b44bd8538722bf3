#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""outer_headers.py CAPTURE SPREAD4 SPREAD6 PROBER...: compares the outer headers of probes and of data, field by field.

Probes are the packets whose inner source is one of PROBER; all others in the capture are data. For each pair of outer
and inner family, everything from the Ethernet header to the end of the outer IP header must be one and the same, but for
the lengths and the checksum, which must be right, and the entropy: the low SPREAD bits of the source, and the flow label
of IPv6, which must be the source's bits again. Prints a table; exit status 1 if anything differs or was not seen.
"""
import collections
import ipaddress
import struct
import sys

LEAST_PACKETS = 3  # of probes, and of data, in each pair of families
FAMILY_OF_PROTOCOL = {4: "IPv4", 41: "IPv6"}


def frames(path):
    with open(path, "rb") as capture:
        header = capture.read(24)
        order = "<" if header[:4] == b"\xd4\xc3\xb2\xa1" else ">"
        assert struct.unpack(order + "I", header[20:])[0] == 1, "not Ethernet"
        while record := capture.read(16):
            length, whole = struct.unpack(order + "8xII", record)
            assert length == whole, "cut short"
            yield capture.read(length)


def checksum_is_right(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def split_source(source, spread):
    number = int.from_bytes(source, "big")
    entropy = number & ((1 << spread) - 1)
    return str(ipaddress.ip_address((number - entropy).to_bytes(len(source), "big"))), entropy


def read_ipv4(packet, spread):
    first, traffic_class, length, ident, fragment, ttl, protocol = struct.unpack_from(">BBHHHBB", packet)
    source, _ = split_source(packet[12:16], spread)
    right = length == len(packet) and checksum_is_right(packet[:20])
    fields = {"version, IHL": f"0x{first:02x}", "TOS": traffic_class, "identification": ident,
              "flags, offset": f"0x{fragment:04x}", "TTL": ttl, "protocol": protocol, "source": source,
              "destination": str(ipaddress.ip_address(packet[16:20]))}
    return fields, "lengths and checksum" if not right else "", packet[20:], protocol


def read_ipv6(packet, spread):
    first, length, protocol, hop_limit = struct.unpack_from(">IHBB", packet)
    source, entropy = split_source(packet[8:24], spread)
    wrong = "length" if length != len(packet) - 40 else ""
    if (first & 0xFFFFF) != (entropy & 0xFFFFF):
        wrong = "flow label"
    fields = {"version": first >> 28, "traffic class": first >> 20 & 0xFF, "next header": protocol,
              "hop limit": hop_limit, "source": source, "destination": str(ipaddress.ip_address(packet[24:40]))}
    return fields, wrong, packet[40:], protocol


def read_frame(frame, spread4, spread6):
    """Families, who it is from, the fields that must be equal, what is wrong with the others."""
    ether_type = struct.unpack_from(">H", frame, 12)[0]
    read, spread, outer = (read_ipv4, spread4, "IPv4") if ether_type == 0x0800 else (read_ipv6, spread6, "IPv6")
    fields, wrong, inner, protocol = read(frame[14:], spread)
    fields = {"MAC to": frame[:6].hex(":"), "MAC from": frame[6:12].hex(":"), "EtherType": f"0x{ether_type:04x}", **fields}
    family = FAMILY_OF_PROTOCOL[protocol]
    source = inner[12:16] if family == "IPv4" else inner[8:24]
    return f"{family} in {outer}", str(ipaddress.ip_address(source)), fields, wrong


def show(pair, headers):
    probes, data = (sorted(headers[who], key=str) for who in ("probe", "data"))
    print(f"{pair}: {sum(headers['probe'].values())} probes, {sum(headers['data'].values())} packets of data")
    values = [[dict(header).get(name) for header in probes + data] for name, _ in (probes or data)[0]]
    for (name, _), seen in zip((probes or data)[0], values):
        print(f"  {name:16} {' | '.join(str(value) for value in seen)}{'' if len(set(seen)) == 1 else '   DIFFERS'}")


def main():
    capture, spread4, spread6, probers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), set(sys.argv[4:])
    seen = collections.defaultdict(lambda: {"probe": collections.Counter(), "data": collections.Counter()})
    problems = []
    for frame in frames(capture):
        pair, source, fields, wrong = read_frame(frame, spread4, spread6)
        who = "probe" if source in probers else "data"
        seen[pair][who][tuple(fields.items())] += 1
        if wrong:
            problems.append(f"{pair}, {who}: {wrong} not right: {frame[:54].hex()}")
    for pair in sorted(seen):
        show(pair, seen[pair])
        kinds = set(seen[pair]["probe"]) | set(seen[pair]["data"])
        if len(kinds) != 1:
            problems.append(f"{pair}: {len(kinds)} different outer headers")
    for pair in (f"{inner} in {outer}" for inner in ("IPv4", "IPv6") for outer in ("IPv4", "IPv6")):
        for who in ("probe", "data"):
            if sum(seen[pair][who].values()) < LEAST_PACKETS:
                problems.append(f"{pair}: too few packets: {who}")
    print("\n".join(problems[:20]))
    return 1 if problems else 0


sys.exit(main())
