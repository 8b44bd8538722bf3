# SPDX-License-Identifier: Apache-2.0
"""Goes through the steps with faults, and judges what became of each. Not here: the steps (steps.py)."""
import argparse
import collections
import os
import random
import signal
import time

from balancer import Balancer, Broken, poll, vips_of
from shared import KINDS, NAMES
from steps import FILE, KEPT, STORE, VIP, Step
from wire import REALS, Peer, Stream, real4, real6

FLOWS = 12  # of each VIP, looked at after each round
MOST_CALLS = 400  # of one kind in one step
HEALTH_SECONDS = 2  # it takes one or two tenths
# Without --all, of each step: a start takes seconds, a change some tenths of one.
LIFE_ROUNDS, CHANGE_ROUNDS = 3, 4


class Rounds:
    def __init__(self, balancer: Balancer, peer: Peer, chance: random.Random, options: argparse.Namespace):
        self.balancer, self.peer, self.chance, self.options = balancer, peer, chance, options
        self.faults = balancer.faults
        self.passed = self.failed = 0
        self.met: collections.Counter[str] = collections.Counter()  # by kind, how often one was chosen to fail
        self.stream: Stream | None = None
        self.file = balancer.scratch / "file.yaml"
        self.file.write_text(FILE)
        for n in REALS:
            peer.listen(real4(n))
            peer.listen(real6(n))

    def run(self, steps: list[Step], wanted: str) -> None:
        """Faults in the steps with `wanted` in their name; the others are only gone through."""
        for step in (one for one in steps if one.life and wanted in one.name):
            self.go_through(step)
        if not any(wanted in one.name for one in steps if not one.life):
            return
        self.fresh_start()
        self.stream = Stream(self.peer, KEPT)
        for step in (one for one in steps if not one.life):
            if wanted in step.name:
                self.go_through(step)
            self.advance(step)
        self.judge_verdicts()
        self.stop_whole()

    # ---- choosing

    def go_through(self, step: Step) -> None:
        began, failed = time.monotonic(), self.failed
        calls = self.count(step)
        every = [(kind, nth, lasting) for kind, many in calls.items()
                 for nth in range(1, min(many, MOST_CALLS) + 1) for lasting in (False, True)]  # fmt: skip
        faults = every if self.options.all else self.some_of(every, LIFE_ROUNDS if step.life else CHANGE_ROUNDS)
        for kind, nth, lasting in faults:
            self.round(step, kind, nth, KINDS[kind][self.chance.randrange(2)], lasting)
        kinds = ", ".join(f"{many} {kind}" for kind, many in calls.items()) or "none that writes"
        verdict = "ok" if failed == self.failed else "FAILED"
        print(f"{verdict}: {step.name}: {len(faults)} of {len(every)} faults in its calls ({kinds}); "
              f"{time.monotonic() - began:.1f} s", flush=True)  # fmt: skip

    def some_of(self, every: list[tuple[str, int, bool]], most: int) -> list[tuple[str, int, bool]]:
        """As many as that, of the kinds that have failed least often in the session so far."""
        left, some = list(every), []
        while left and len(some) < most:
            fewest = min(self.met[kind] for kind, _, _ in left)
            fault = self.chance.choice([one for one in left if self.met[one[0]] == fewest])
            left.remove(fault)
            some.append(fault)
            self.met[fault[0]] += 1
        return some

    def count(self, step: Step) -> dict[str, int]:
        """The step without a fault, and back: how often it makes which call."""
        before = self.before(step)
        counted = self.faults.hits()
        self.do(step)
        calls = {kind: many - counted[kind] for kind, many in self.faults.hits().items() if many != counted[kind]}
        self.restore(step, before)
        return calls

    # ---- one round

    def round(self, step: Step, kind: str, nth: int, error: int, lasting: bool) -> None:
        began = time.monotonic()
        what = f"{step.name}: {kind} {nth} {'and those after it fail' if lasting else 'fails'} with {os.strerror(error)!r}"
        try:
            before = self.before(step)
            self.faults.arm(kind, nth, error, lasting)
            try:
                said = self.do(step)
            finally:
                self.faults.disarm()
            if step.life:
                self.judge_life(step, said, error)
            else:
                self.judge_change(step, before, said, error)
            self.restore(step, before)
            self.passed += 1
            if self.options.verbose:
                print(f"  {what} ({self.faults.what or 'it was not met'}): {time.monotonic() - began:.1f} s", flush=True)
        except Broken as broken:
            self.failed += 1
            print(f"FAILED: {what} ({self.faults.what or 'it was not met'}): {broken}", flush=True)
            self.log_tail()
            self.recover(step, before)

    def log_tail(self) -> None:
        for line in self.balancer.log.read_text().splitlines()[-6:]:
            print(f"  | {line}", flush=True)

    def do(self, step: Step):
        """A change: its completed command. Of the daemon's life: None while it runs, else its exit status."""
        if step.words:
            return self.balancer.ctl(*(str(self.file) if word == "FILE" else word for word in step.words))
        if step.health:
            self.turn(step.health)
            self.follow_health(step.health)  # the fault is to be met meanwhile; what follows is judged after it
            return None
        if step.life == "stop":
            return self.balancer.stop()
        self.balancer.spawn()
        return None if self.balancer.started() else self.balancer.ended()

    def follow_health(self, health: str) -> None:
        """Until shuntd knows; with a fault it may never."""
        try:
            poll("its health", lambda: self.is_down() == (health == "down"), HEALTH_SECONDS)
        except Broken:
            pass

    def turn(self, health: str) -> None:
        """The third real of the checked VIP."""
        if health == "down" and real4(12) in self.peer.listeners:
            self.peer.deafen(real4(12))
        elif health == "up" and real4(12) not in self.peer.listeners:
            self.peer.listen(real4(12))

    # ---- the state before a step, and back to it

    def before(self, step: Step) -> str:
        if step.life == "fresh":
            self.balancer.wipe()
            self.balancer.store.write_text(STORE)
            return STORE
        if step.life:
            self.fresh_start(*(["--detach_on_exit"] if step.life == "stop" else []))
            dump = self.balancer.dump()
            if step.life == "adopt":
                self.balancer.stop(self.chance.choice([signal.SIGTERM, signal.SIGKILL]))
            return dump
        if self.stream:
            self.stream.running.set()
        return self.balancer.dump()

    def restore(self, step: Step, before: str) -> None:
        if step.life:
            if self.balancer.process.poll() is None:
                self.balancer.stop(signal.SIGKILL)
            return
        if step.health:
            self.turn("up" if step.health == "down" else "down")
            poll("its health is as before", lambda: self.is_down() == (step.health == "up"))
        elif self.balancer.dump() != before:
            back = self.balancer.scratch / "before.yaml"
            back.write_text(before)
            self.balancer.must("apply", "-f", str(back))
            if self.balancer.dump() != before:
                raise Broken("applying what was dumped gives another dump")

    def recover(self, step: Step, before: str) -> None:
        """After a failure: from scratch, so that one does not lead to others."""
        if self.balancer.process.poll() is None:
            self.balancer.stop(signal.SIGKILL)
        if step.life:
            return
        if self.stream:
            self.stream.stop()
        self.fresh_start(store=before)
        if step.health:
            self.turn("up" if step.health == "down" else "down")

    def advance(self, step: Step) -> None:
        done = self.do(step)
        if done is not None and (done.returncode != 0) != step.refused:
            raise Broken(f"{step.name}, without a fault: status {done.returncode}: {done.stderr}")
        if step.health:
            poll("the real's health", lambda: self.is_down() == (step.health == "down"))

    def fresh_start(self, *flags: str, store: str = STORE) -> None:
        self.balancer.wipe()
        self.balancer.store.write_text(store)
        self.balancer.start(*flags)
        poll("every packet is forwarded", self.whole)

    def stop_whole(self) -> None:
        if (status := self.balancer.stop()) != 0:
            raise Broken(f"stopping without a fault: status {status}: {self.balancer.words()}")

    # ---- judging

    def is_down(self) -> bool:
        vip = next(vip for vip in self.balancer.state() if vip["vip"] == VIP)
        return any(real["health"] == "down" for real in vip["reals"])

    def judge_change(self, step: Step, before: str, said, error: int) -> None:
        if self.balancer.process.poll() is not None:
            raise Broken(f"shuntd ended with {self.balancer.ended()}")
        dump, stored = self.balancer.dump(), self.balancer.stored()
        if said is not None:
            if said.returncode not in ((2,) if step.refused else (0, 1)):
                raise Broken(f"shuntctl ended with {said.returncode}: {said.stderr}")
            if said.returncode == 0 and dump == before:
                raise Broken("reported done, but the state is the one before")
            if said.returncode == 1 and dump != before:
                raise Broken(f"reported failed ({said.stderr.strip()}), but the state is not the one before")
            if said.returncode == 1 and not step.refused and os.strerror(error) not in said.stderr:
                raise Broken(f"the message does not name the cause {os.strerror(error)!r}: {said.stderr.strip()}")
        if stored != dump and "store" not in (said.stderr if said is not None else ""):
            raise Broken(f"the store differs from the dump, and nobody said so:\n{stored}\n---\n{dump}")
        poll("the store is the dump", lambda: self.balancer.stored() == self.balancer.dump(), 10)
        if step.health:
            poll("its health is followed", lambda: self.is_down() == (step.health == "down"), 10)
        poll("every packet is forwarded", self.whole, 10)
        if left := self.balancer.left_aside():
            raise Broken(f"left beside the store: {', '.join(left)}")
        if self.stream and (lost := self.stream.stop()):
            raise Broken(f"{lost} packets of the stream were lost")

    def judge_life(self, step: Step, status: int | None, error: int) -> None:
        words = self.balancer.words()
        if status is not None and status not in (0, 1):
            raise Broken(f"shuntd ended with {status}")
        if status == 1 and (len(words) == 0 or os.strerror(error) not in " ".join(words)):
            raise Broken(f"it ended with 1, and its words do not name the cause {os.strerror(error)!r}: {words}")
        if status == 0 and step.life != "stop":
            raise Broken("it ended with 0 at its start")
        if step.life == "adopt" and status is not None:
            self.whole()  # with nobody there
        if status is not None:
            self.balancer.start("--detach_on_exit")
        poll("every packet is forwarded", self.whole, 10)
        if vips_of(self.balancer.dump()) != vips_of(self.balancer.stored()):  # written by hand, the store has another form
            raise Broken("store and dump differ after the start")
        if status is not None:
            self.stop_whole()
            if self.balancer.attached() or (self.balancer.bpffs / "shunt").exists():
                raise Broken("something stays behind after --detach_on_exit")

    def whole(self) -> bool:
        """Every flow of every VIP goes to one of its reals, and to none that is down. What has no real, goes nowhere."""
        if self.balancer.process.poll() is None:
            vips = {vip["vip"]: vip["reals"] for vip in self.balancer.state()}
        else:
            vips = {vip: [{"address": real, "health": "unchecked"} for real in reals]
                    for vip, reals in vips_of(self.balancer.stored()).items()}  # fmt: skip
        for vip in set(vips) | {VIP}:
            good = {real["address"] for real in vips.get(vip, []) if real["health"] != "down"}
            seen = self.peer.reals_of(vip, FLOWS, 1 if good else 0.05)
            if None in seen and good:
                raise Broken(f"{seen[None]} of {FLOWS} flows of {vip} did not come back")
            if wrong := set(seen) - good - {None}:
                raise Broken(f"flows of {vip} go to {', '.join(wrong)}, which is none of {good}")
        return True

    def judge_verdicts(self) -> None:
        """Over the whole session: packets that were not for a VIP were passed, all others encapsulated."""
        counted = {name: packets for name, packets in self.balancer.verdicts().items() if packets}
        other = {name: packets for name, packets in counted.items()
                 if name != "TX_ENCAPSULATED" and not name.startswith("PASS_")}  # fmt: skip
        print(f"verdicts: {counted}", flush=True)
        expected = {"DROP_NO_REAL"}  # asked of a VIP that has no real at that step
        if set(other) - expected:
            print(f"FAILED: other verdicts than TX_ENCAPSULATED: {other}", flush=True)
            self.failed += 1
