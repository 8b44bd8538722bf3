#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""udp_server.py NAME PORT ADDRESS...: answers each datagram with NAME, a space and the datagram, cut to its length.

A real of the lab. A reply is never longer than the question, so whatever came fits back. It binds every address by
itself, so that a reply leaves from the address that was asked: the VIP. SIGUSR1 makes it answer by the name "sick", and
the next one by its own again.
"""
import selectors
import signal
import socket
import sys


def main() -> None:
    names, port, addresses = [sys.argv[1].encode(), b"sick"], int(sys.argv[2]), sys.argv[3:]
    signal.signal(signal.SIGUSR1, lambda *_: names.reverse())
    selector = selectors.DefaultSelector()
    for address in addresses:
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, port))
        selector.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            datagram, client = key.fileobj.recvfrom(65535)
            key.fileobj.sendto((names[0] + b" " + datagram)[: len(datagram)], client)


main()
