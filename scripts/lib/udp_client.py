#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""udp_client.py ADDRESS PORT COUNT [BYTES]: COUNT datagrams, each from a new port; prints who answered, or "failed".

A client of the lab. The answer must come from ADDRESS and be as long as the question and, behind the name, its
beginning (udp_server.py). Exit status 0 even if some failed: the caller counts.
"""
import os
import socket
import sys


def ask(address: str, port: int, size: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        question = os.urandom(size)
        try:
            client.connect((address, port))
            client.send(question)
            answer = client.recv(65535)
        except OSError:
            return "failed"
        name, _, echo = answer.partition(b" ")
        return name.decode() if len(answer) == size and question.startswith(echo) else "failed"


def main() -> None:
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    size = int(sys.argv[4]) if len(sys.argv) > 4 else 32
    for _ in range(count):
        print(ask(address, port, size), flush=True)


main()
