#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""steady_flows.py tcp|udp ADDRESS PORT RATE: begins RATE flows a second, each from a fresh port, until it is ended.

A client of the lab, for tests that ask where new flows go: who captures them sees without gaps when a real gets its
last one. TCP: a connection that is reset soon after, whether it came about or not. UDP: one datagram. It takes one port
after the other: the kernel comes back to a port after some three thousand, and a flow that is remembered follows its
memory. It does not judge.
"""
import collections
import errno
import itertools
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator

KEPT_SECONDS = 0.3  # by then the handshake is over, or the real is gone


PORTS = range(1024, 65536)


def bind_next(flow: socket.socket, ports: Iterator[int]) -> None:
    while True:
        try:
            flow.bind(("", next(ports)))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def begin(kind: str, address: str, port: int, ports: Iterator[int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flow = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    flow.setblocking(False)
    flow.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # beside another of these
    bind_next(flow, ports)
    if kind == "tcp":
        flow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    flow.connect_ex((address, port))
    if kind == "udp":
        flow.send(b"where does this go, to which real?")
    return flow


def main() -> None:
    kind, address, port, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    kept: collections.deque[tuple[float, socket.socket]] = collections.deque()
    first = random.randrange(len(PORTS))
    ports = itertools.cycle([*PORTS[first:], *PORTS[:first]])
    started, begun = time.monotonic(), 0
    while True:
        now = time.monotonic()
        while begun < (now - started) * rate:
            kept.append((now, begin(kind, address, port, ports)))
            begun += 1
        while kept and kept[0][0] < now - KEPT_SECONDS:
            kept.popleft()[1].close()
        time.sleep(max(0.001, started + begun / rate - time.monotonic()))


main()
