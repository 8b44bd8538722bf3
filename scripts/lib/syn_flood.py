#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""syn_flood.py INTERFACE GATEWAY_MAC VIP PORT COUNT RATE: COUNT TCP SYNs to the IPv4 VIP, RATE a second, from random
sources in 198.18.0.0/15 (RFC 2544: addresses for such tests) and random ports.

A client of the lab. Every frame leaves by INTERFACE, whose namespace the lab made. Prints how many were sent.
"""
import errno
import random
import socket
import struct
import sys
import time

BURST = 200


def ones_sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def syn(ethernet: bytes, destination: bytes, port: int) -> bytes:
    source = struct.pack("!I", (198 << 24 | 18 << 16) + random.getrandbits(17))
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), port, random.getrandbits(32), 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = source + destination + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", ones_sum(pseudo + tcp)) + tcp[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, socket.IPPROTO_TCP, 0) + source + destination
    header = header[:10] + struct.pack("!H", ones_sum(header)) + header[12:]
    return ethernet + header + tcp


def send(link: socket.socket, frame: bytes) -> None:
    while True:
        try:
            link.send(frame)
            return
        except OSError as error:  # the link's queue is full: it empties as soon as its CPU gets to it
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.001)


def main() -> None:
    interface, gateway_mac, vip, port, count, rate = sys.argv[1:7]
    destination = socket.inet_aton(vip)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((interface, 0))
        ethernet = bytes.fromhex(gateway_mac.replace(":", "")) + link.getsockname()[4] + b"\x08\x00"
        started = time.monotonic()
        for sent in range(int(count)):
            if sent % BURST == 0:
                time.sleep(max(0.0, started + sent / int(rate) - time.monotonic()))
            send(link, syn(ethernet, destination, int(port)))
    print(count)


main()
