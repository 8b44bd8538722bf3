# SPDX-License-Identifier: Apache-2.0
"""A shuntd whose system calls can be made to fail, and what store, shuntd and data plane say of themselves."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from shared import Faults

READY = b"] ready: "
PATIENCE_SECONDS = 90  # on a busy machine


class Broken(Exception):
    """Something that must hold does not."""


def poll(what: str, true, seconds: float = PATIENCE_SECONDS):
    """The first true value of true(), which may also raise Broken to say why not yet."""
    deadline = time.monotonic() + seconds
    while True:
        why = ""
        try:
            if value := true():
                return value
        except Broken as broken:
            why = f": {broken}"
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {seconds} s{why}")
        time.sleep(0.02)


class Balancer:
    def __init__(self, build: pathlib.Path, scratch: pathlib.Path, faults: Faults):
        self.build, self.scratch, self.faults = build, scratch, faults
        self.store = scratch / "store.yaml"
        self.log = scratch / "shuntd.log"
        self.bpffs = pathlib.Path("/sys/fs/bpf")
        self.process: subprocess.Popen | None = None

    # ---- the daemon

    def spawn(self, *flags: str) -> None:
        self.log.write_bytes(b"")
        environment = os.environ | {
            "LD_PRELOAD": str(self.build / "tests/faults/libfailing_calls.so"),
            "SHUNT_FAULTS": str(self.faults.path),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.build / "userspace/daemon/shuntd", "--interfaces=eth0", f"--store={self.store}",
                 f"--socket={self.scratch}/shuntd.sock", f"--bpffs={self.bpffs}", "--max_flows=10000",
                 "--max_reals=1024", "--max_vips=64", *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)  # fmt: skip

    def started(self) -> bool:
        """True: it is ready; False: it ended instead."""
        try:
            poll("shuntd is ready or has ended", lambda: READY in self.log.read_bytes() or self.process.poll() is not None)
        except Broken as broken:
            raise Broken(f"{broken}; {self.where_it_stands()}") from None
        return self.process.poll() is None

    def where_it_stands(self) -> str:
        """Of each thread, its time on a CPU and the kernel's functions that it is in: does it hang, or was it given no time?"""
        threads = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            times = (task / "stat").read_text().rpartition(")")[2].split()
            user, system = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in times[11:13])
            stack = [line.split()[-1].partition("+")[0] for line in (task / "stack").read_text().splitlines()]
            threads.append(f"{(task / 'comm').read_text().strip()} ({times[0]}, {user} s user, {system} s system): "
                           f"{' < '.join(stack) or 'in no function of the kernel'}")  # fmt: skip
        return "its threads: " + "; ".join(threads)

    def start(self, *flags: str) -> None:
        self.spawn(*flags)
        if not self.started():
            raise Broken(f"a start without a fault ended with {self.ended()}: {self.log.read_text()}")

    def ended(self) -> int:
        """Its exit status; of one that a signal ended, minus the signal."""
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Broken("shuntd did not end") from None

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def words(self) -> list[str]:
        """What it said as it ended: of its messages, the lines."""
        return [line.removeprefix("shuntd: ") for line in self.log.read_text().splitlines() if line.startswith("shuntd: ")]

    def wipe(self) -> None:
        """As on a machine that never ran it."""
        subprocess.run(["ip", "link", "set", "dev", "eth0", "xdp", "off"], check=True)
        pins = [path for path in self.bpffs.glob("*") if path.suffix != ".debug"]  # those are the kernel's own
        subprocess.run(["rm", "-rf", *pins, self.store], check=True)

    def attached(self) -> bool:
        shown = subprocess.run(["ip", "-j", "link", "show", "eth0"], check=True, capture_output=True, text=True)
        return "xdp" in json.loads(shown.stdout)[0]

    # ---- shuntctl

    def ctl(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.build / "tools/shuntctl/shuntctl", f"--socket={self.scratch}/shuntd.sock", *words],
            capture_output=True, text=True, timeout=60)  # fmt: skip

    def must(self, *words: str) -> str:
        done = self.ctl(*words)
        if done.returncode != 0:
            raise Broken(f"shuntctl {' '.join(words)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def dump(self) -> str:
        return self.must("dump")

    def state(self) -> list[dict]:
        return json.loads(self.must("-o", "json"))["vips"]

    def stored(self) -> str:
        return self.store.read_text() if self.store.exists() else ""

    def left_aside(self) -> list[str]:
        """Files beside the store that nobody will ever rename."""
        return [path.name for path in self.scratch.glob(".store.yaml.*")]

    def verdicts(self) -> dict[str, int]:
        return {one["verdict"]: int(one["packets"]) for one in json.loads(self.must("-o", "json", "verdicts"))["verdicts"]}


def vips_of(dump: str) -> dict[str, list[str]]:
    """Of a store's text: the reals of each VIP, sorted."""
    vips: dict[str, list[str]] = {}
    for line in dump.splitlines():
        if found := re.search(r'- vip: "?([^"\s]+)"?', line):
            vips[found[1]] = reals = []
        elif vips:
            reals += re.findall(r'address: "?([^",\s]+)"?', line)
    return {vip: sorted(reals) for vip, reals in vips.items()}
