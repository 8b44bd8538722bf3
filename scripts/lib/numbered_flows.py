#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""numbered_flows.py --status=FILE --client=NETNS --vip=ADDRESS... --real=NAME=NETNS... [options]: UDP flows from fresh
ports to VIPs, RATE packets a second in all and one way, each packet with the number of its flow and its own number in
it; and the sockets on the reals that they are to arrive at. So it knows of each packet how often it arrived, and where.

One process has both ends, for its sockets stand in the namespaces of the lab that it is told. It does not judge: every
0.1 s it replaces FILE, JSON, with what it has seen.

A part of the run is called a phase; SIGUSR1 begins the next. A packet belongs to the phase in which it was sent:
  sent, seen        packets, and those of them that arrived at all
  duplicated        arrivals beyond the first of a packet
  moved             flows that arrived at another real than before
  began             new flows, by the real that got them
  longest_pause_ms  between two rounds of sending; if it is long, the machine had no time
"sent" is the sum of all phases, "live" the flows under way by real, "receiver_drops" packets that a socket on a real had no room for.

  --rate=N     packets a second (2000)          --flows=N    under way at a time (400)
  --port=N     of the VIPs (7100)               --kept=S     how long a flow lasts, in seconds (8)
  --seconds=S  ends by itself (600), or with SIGTERM
"""
import argparse
import collections
import ctypes
import errno
import json
import os
import random
import select
import signal
import socket
import struct
import time

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE, SO_MEMINFO = 33, 55
MEMINFO_DROPS = 8  # linux/sock_diag.h
HEADER = struct.Struct("!IIII")  # this run, flow, number in the flow, phase
PADDING = bytes(48)
RECEIVE_BYTES = 16 << 20
STATUS_SECONDS = 0.1
ROUND_SECONDS = 0.002
BURST = 32  # packets a round, however late it is: a veth queue holds 256
LATE_SECONDS = 0.25  # what is later is not made up for
KEPT_PHASES = 4
FORGET_SECONDS = 30.0  # after its end nothing of a flow arrives any more
PORTS = range(1024, 65536)


class Phase:
    def __init__(self) -> None:
        self.sent = self.seen = self.duplicated = 0
        self.moved: set[int] = set()
        self.began: collections.Counter[str] = collections.Counter()
        self.longest_pause = 0.0

    def told(self) -> dict[str, object]:
        return {"sent": self.sent, "seen": self.seen, "duplicated": self.duplicated, "moved": len(self.moved),
                "began": dict(self.began), "longest_pause_ms": round(self.longest_pause * 1000)}


class Flow:
    __slots__ = ("number", "link", "begun", "sent", "seen", "real")

    def __init__(self, number: int, link: socket.socket, begun: float) -> None:
        self.number, self.link, self.begun = number, link, begun
        self.sent = 0
        self.seen = 0  # one bit a packet
        self.real = ""


def enter(namespace: str) -> None:
    """From now on this thread's new sockets stand in that network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"entering network namespace {namespace}")


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Ledger:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.run = random.getrandbits(32)
        self.phases: dict[int, Phase] = {1: Phase()}
        self.phase = 1
        self.wanted_phase = 1
        self.flows: dict[int, Flow] = {}
        self.ended: collections.deque[tuple[float, int]] = collections.deque()
        self.numbers = self.sent = 0
        self.next_port = random.randrange(len(PORTS))
        self.receivers: dict[int, tuple[socket.socket, str]] = {}
        self.poll = select.epoll()
        for real in given.real:
            name, _, namespace = real.partition("=")
            enter(namespace)
            for vip in given.vip:
                self.listen(name, vip)
        enter(given.client)  # and stays there
        now = time.monotonic()
        # Of every age, so that as many begin in each moment.
        self.live = [self.begin(now - given.kept * n / given.flows) for n in range(given.flows)]
        self.turn = 0

    def listen(self, real: str, vip: str) -> None:
        link = socket.socket(family_of(vip), socket.SOCK_DGRAM)
        link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        link.bind((vip, self.given.port))
        link.setblocking(False)
        self.receivers[link.fileno()] = (link, real)
        self.poll.register(link, select.EPOLLIN)

    def begin(self, now: float) -> Flow:
        vip = self.given.vip[self.numbers % len(self.given.vip)]
        link = socket.socket(family_of(vip), socket.SOCK_DGRAM)
        while True:
            self.next_port = (self.next_port + 1) % len(PORTS)
            try:
                link.bind(("", PORTS[self.next_port]))
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        link.connect((vip, self.given.port))
        self.numbers += 1
        flow = Flow(self.numbers, link, now)
        self.flows[flow.number] = flow
        return flow

    def send_one(self, now: float) -> None:
        flow = self.live[self.turn]
        if now - flow.begun > self.given.kept:
            flow.link.close()
            self.ended.append((now, flow.number))
            flow = self.live[self.turn] = self.begin(now)
        data = HEADER.pack(self.run, flow.number, flow.sent, self.phase) + PADDING
        try:
            flow.link.send(data)
        except ConnectionRefusedError:  # what became of an earlier one; this one has not been sent
            flow.link.send(data)
        flow.sent += 1
        self.phases[self.phase].sent += 1
        self.sent += 1
        self.turn = (self.turn + 1) % len(self.live)

    def receive(self, descriptor: int) -> None:
        link, real = self.receivers[descriptor]
        while True:
            try:
                data = link.recv(2048)
            except BlockingIOError:
                return
            run, number, place, phase_number = HEADER.unpack_from(data)
            phase = self.phases.get(phase_number)
            flow = self.flows.get(number)
            if run == self.run and phase and flow:
                self.count(phase, flow, place, real)

    @staticmethod
    def count(phase: Phase, flow: Flow, place: int, real: str) -> None:
        if flow.seen >> place & 1:
            phase.duplicated += 1
        else:
            flow.seen |= 1 << place
            phase.seen += 1
        if flow.real != real:
            if flow.real:
                phase.moved.add(flow.number)
            else:
                phase.began[real] += 1
            flow.real = real

    def turn_phase(self) -> None:
        self.phase += 1
        self.phases[self.phase] = Phase()
        self.phases.pop(self.phase - KEPT_PHASES, None)

    def forget(self, now: float) -> None:
        while self.ended and self.ended[0][0] < now - FORGET_SECONDS:
            del self.flows[self.ended.popleft()[1]]

    def tell(self) -> None:
        drops = 0
        for link, _ in self.receivers.values():
            memory = link.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)
            drops += struct.unpack("9I", memory)[MEMINFO_DROPS]
        told = {"phase": self.phase, "sent": self.sent, "phases": {number: phase.told() for number, phase in self.phases.items()},
                "live": collections.Counter(flow.real for flow in self.live if flow.real), "receiver_drops": drops}
        with open(self.given.status + ".new", "w") as file:
            json.dump(told, file)
        os.rename(self.given.status + ".new", self.given.status)

    def serve(self) -> None:
        """Sends on time and receives in between, until its time is over."""
        start = last = told = time.monotonic()
        given, sent = self.given, 0
        burst = max(BURST, int(2 * given.rate * ROUND_SECONDS))
        while (now := time.monotonic()) < start + given.seconds:
            if self.phase < self.wanted_phase:
                self.turn_phase()
            phase = self.phases[self.phase]
            phase.longest_pause = max(phase.longest_pause, now - last)
            last = now
            due = int((now - start) * given.rate)
            sent = max(sent, due - int(LATE_SECONDS * given.rate))
            for _ in range(min(due - sent, burst)):
                self.send_one(now)
                sent += 1
            if now - told >= STATUS_SECONDS:
                self.forget(now)
                self.tell()
                told = now
            wait = max(0.0, now + ROUND_SECONDS - time.monotonic())
            for descriptor, _ in self.poll.poll(wait):
                self.receive(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--status", required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--vip", action="append", required=True)
    parser.add_argument("--real", action="append", required=True)
    for name, kind, default in (("rate", int, 2000), ("flows", int, 400), ("port", int, 7100), ("kept", float, 8.0),
                                ("seconds", float, 600.0)):
        parser.add_argument(f"--{name}", type=kind, default=default)
    os.nice(-10)  # the test's clock: everything else may be late
    ledger = Ledger(parser.parse_args())

    def next_phase(*_: object) -> None:
        ledger.wanted_phase += 1

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGUSR1, next_phase)
    signal.signal(signal.SIGTERM, stop)
    try:
        ledger.serve()
    finally:
        ledger.tell()


main()
