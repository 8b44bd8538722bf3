#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counters_watch.py SHUNTCTL SOCKET METRICS_URL FILE: reads every counter five times a second, by shuntctl, by its
verdicts and by the metrics, until it is ended; a daemon that is away is no error. Before each line that it adds to FILE,
JSON, it has looked whether any counter has gone backwards since it was last seen:
  samples    readings of all three so far      failed  those that came to nothing
  counters   different ones seen so far        backwards  "NAME: BEFORE, then AFTER", the first twenty

Called by tests of restarts; it stands on the balancer. It does not judge.
"""
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

PAUSE_SECONDS = 0.2
DEADLINE_SECONDS = 5
# What the daemon itself does, and its web server: these begin anew with it.
OF_THE_PROCESS = ("shunt_probes_total", "shunt_events_total", "exposer_")

Counters = Iterator[tuple[str, float]]


def shuntctl(program: str, address: str, *words: str) -> dict:
    run = subprocess.run([program, f"--socket={address}", "-o", "json", *words], capture_output=True, check=True,
                         timeout=DEADLINE_SECONDS)
    return json.loads(run.stdout)


def of_traffic(name: str, traffic: dict) -> Counters:
    for key, value in traffic.items():
        if value is not None:
            yield f"{name} {key}", value


def of_state(state: dict) -> Counters:
    for vip in state["vips"]:
        yield from of_traffic(vip["vip"], vip["traffic"])
        if vip["settling"]:
            yield f"{vip['vip']} refused_flows", vip["settling"]["refused_flows"]
        for real in vip["reals"]:
            yield from of_traffic(f"{vip['vip']} {real['address']}", real["traffic"])


def of_verdicts(verdicts: dict) -> Counters:
    for verdict in verdicts["verdicts"]:
        yield f"{verdict['verdict']} packets", verdict["packets"]
        yield f"{verdict['verdict']} bytes", verdict["bytes"]


def of_metrics(text: str) -> Counters:
    families = set()
    for line in text.splitlines():
        if line.startswith("# TYPE ") and line.endswith(" counter"):
            families.add(line.split()[2])
        elif not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            family = name.partition("{")[0]
            if family in families and not family.startswith(OF_THE_PROCESS):
                yield name, float(value)


class Watch:
    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self.backwards: list[str] = []
        self.samples = self.failed = 0

    def see(self, counters: Counters) -> None:
        for name, value in counters:
            before = self.last.get(name, 0)
            if value < before:
                self.backwards.append(f"{name}: {before:.0f}, then {value:.0f}")
            self.last[name] = value

    def told(self) -> str:
        return json.dumps({"samples": self.samples, "failed": self.failed, "counters": len(self.last),
                           "backwards": self.backwards[:20]})


def main() -> None:
    program, address, url, name = sys.argv[1:5]
    watch = Watch()
    with open(name, "a", buffering=1) as file:
        while True:
            next_at = time.monotonic() + PAUSE_SECONDS
            try:
                watch.see(of_state(shuntctl(program, address)))
                watch.see(of_verdicts(shuntctl(program, address, "verdicts", "--all")))
                with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as scrape:
                    watch.see(of_metrics(scrape.read().decode()))
                watch.samples += 1
            except (subprocess.SubprocessError, urllib.error.URLError, OSError):
                watch.failed += 1  # the daemon is away
            print(watch.told(), file=file)
            time.sleep(max(0.0, next_at - time.monotonic()))


main()
