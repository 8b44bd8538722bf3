# SPDX-License-Identifier: Apache-2.0
"""The wire beside a balancer: a peer in a network namespace of its own that is its clients, its gateway and its reals.

    balancer (this process's namespace)            peer
    eth0  10.9.0.1/24, 2001:db8:9::1/64   ──────   eth0  10.9.0.2 and the reals 10.9.0.11 to .14, 2001:db8:9::11 to ::14

The peer sends frames for VIPs and sees them come back in an outer header. Each carries a number in its last 8 bytes, so
that it is known which came back, and to whom.
"""
import collections
import ctypes
import ipaddress
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
REALS = (11, 12, 13, 14)
CHECK_PORT = 8080


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def real4(n: int) -> str:
    return f"10.9.0.{n}"


def real6(n: int) -> str:
    return f"2001:db8:9::{n}"


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(vip: str, port: int, protocol: str, source_port: int, number: int) -> bytes:
    """An IP packet of an established flow; its checksums above IP are wrong, which no balancer looks at."""
    payload = struct.pack("!Q", number)
    if protocol == "tcp":
        segment = struct.pack("!HHIIBBHHH", source_port, port, 1, 1, 5 << 4, 0x10, 1000, 0, 0) + payload
    else:
        segment = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    number_of = {"tcp": 6, "udp": 17}[protocol]
    if ipaddress.ip_address(vip).version == 6:
        source = socket.inet_pton(socket.AF_INET6, "2001:db8:c::7")
        header = struct.pack("!IHBB", 6 << 28, len(segment), number_of, 64)
        return header + source + socket.inet_pton(socket.AF_INET6, vip) + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, number_of, 0)
    addresses = socket.inet_aton("198.51.100.7") + socket.inet_aton(vip)
    sum_of_all = struct.pack("!H", checksum(header + addresses))
    return header[:10] + sum_of_all + addresses + segment


def outer_destination(frame: bytes) -> str | None:
    """Of a frame that is IP in IP; None of all others."""
    ether_type = struct.unpack_from("!H", frame, 12)[0] if len(frame) > 34 else 0
    if ether_type == 0x0800 and frame[23] in (4, 41):
        return socket.inet_ntoa(frame[30:34])
    if ether_type == 0x86DD and len(frame) > 54 and frame[20] in (4, 41):
        return socket.inet_ntop(socket.AF_INET6, frame[38:54])
    return None


class Peer:
    """Needs a network namespace for the balancer that has nothing but lo: this process's."""

    def __init__(self, pass_object: pathlib.Path):
        self.holder = subprocess.Popen(["unshare", "--net", "setpriv", "--pdeathsig=KILL", "sleep", "3600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.pid = str(self.holder.pid)
        here = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.pid}/ns/net") == here:
            time.sleep(0.01)
        self.set_up(pass_object)
        self.came_back: dict[int, str] = {}
        self.listeners: dict[str, socket.socket] = {}
        self.next_number = 1
        self.lock = threading.Lock()
        self.socket = self.inside(lambda: self.raw_socket())
        self.macs = self.mac_of_balancer() + self.socket.getsockname()[4]
        threading.Thread(target=self.receive, daemon=True).start()

    def set_up(self, pass_object: pathlib.Path) -> None:
        inside = ["nsenter", "--net", "--target", self.pid, "--"]
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "eth0", "mtu", "1600", "type", "veth",
            "peer", "name", "eth0", "mtu", "1600", "netns", self.pid)  # fmt: skip
        for where in ([], inside):
            run(*where, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                "net.ipv6.conf.eth0.accept_dad=0")  # fmt: skip
            run(*where, "ip", "link", "set", "eth0", "up")
        for address in ("10.9.0.1/24", "2001:db8:9::1/64"):
            run("ip", "address", "add", address, "dev", "eth0")
        addresses = ["10.9.0.2"] + [real4(n) for n in REALS] + ["2001:db8:9::2"] + [real6(n) for n in REALS]
        for address in addresses:
            run(*inside, "ip", "address", "add", address + ("/64" if ":" in address else "/24"), "dev", "eth0")
        # What XDP sends back arrives only where XDP runs, too.
        run(*inside, "ip", "link", "set", "dev", "eth0", "xdp", "obj", str(pass_object), "sec", "xdp")

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()

    def inside(self, make):
        """What `make` opens belongs to the peer."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as home, open(f"/proc/{self.pid}/ns/net") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "entering the peer's namespace")
            try:
                return make()
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    @staticmethod
    def raw_socket() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.bind(("eth0", 3))
        return made

    @staticmethod
    def mac_of_balancer() -> bytes:
        shown = subprocess.run(["ip", "-j", "link", "show", "eth0"], check=True, capture_output=True, text=True)
        return bytes.fromhex(json.loads(shown.stdout)[0]["address"].replace(":", ""))

    def receive(self) -> None:
        while True:
            frame, source = self.socket.recvfrom(2000)
            if source[2] == PACKET_OUTGOING:
                continue
            if to := outer_destination(frame):
                self.came_back[struct.unpack("!Q", frame[-8:])[0]] = str(ipaddress.ip_address(to))

    def send(self, vip: str, source_port: int) -> int:
        """One packet for VIP; returns the number by which it comes back."""
        address, _, rest = vip.rpartition(":")
        port, _, protocol = rest.partition("/")
        with self.lock:
            number = self.next_number
            self.next_number += 1
        inner = packet(address.strip("[]"), int(port), protocol, source_port, number)
        ether_type = 0x86DD if "[" in vip else 0x0800
        self.socket.send(self.macs + struct.pack("!H", ether_type) + inner)
        return number

    def reals_of(self, vip: str, flows: int, seconds: float) -> collections.Counter:
        """Where so many flows go; None counts those that did not come back in that time."""
        numbers = [self.send(vip, 20000 + 7 * flow) for flow in range(flows)]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(number not in self.came_back for number in numbers):
            time.sleep(0.002)
        return collections.Counter(self.came_back.pop(number, None) for number in numbers)

    def listen(self, address: str) -> None:
        def make() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, CHECK_PORT))
            made.listen(64)
            return made

        self.listeners[address] = self.inside(make)

    def deafen(self, address: str) -> None:
        self.listeners.pop(address).close()


class Stream(threading.Thread):
    """A steady stream of packets for VIPs that are always there; each has to come back."""

    PAUSE_SECONDS = 0.005

    def __init__(self, peer: Peer, vips: list[str]):
        super().__init__(daemon=True)
        self.peer, self.vips = peer, vips
        self.running = threading.Event()
        self.idle = threading.Event()
        self.sent: list[int] = []
        self.total = 0
        self.start()

    def run(self) -> None:
        flow = 0
        while True:
            self.idle.set()
            self.running.wait()
            self.idle.clear()
            while self.running.is_set():
                self.sent.append(self.peer.send(self.vips[flow % len(self.vips)], 30000 + flow % 1000))
                flow += 1
                time.sleep(self.PAUSE_SECONDS)
            self.idle.set()

    def stop(self) -> int:
        """How many packets did not come back."""
        self.running.clear()
        time.sleep(self.PAUSE_SECONDS)
        self.idle.wait()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and any(number not in self.peer.came_back for number in self.sent):
            time.sleep(0.005)
        lost = sum(1 for number in self.sent if self.peer.came_back.pop(number, None) is None)
        self.total += len(self.sent)
        self.sent = []
        return lost
