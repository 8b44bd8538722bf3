#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One system call fails, again and again: a scripted session in which each call that writes fails once.

usage: session.py --build=FOLDER [--all] [--seed=N] [--part=life|changes] [--step=NAME] [--verbose]

For each step of the session (steps.py) and each kind of call, the first, second, … call of that kind fails until the step makes no
further one; once alone, and once with all after it until the step has ended. After each fault: shuntd lives, or ended at its
start with status 1 and one message; the step succeeded, or failed and named the cause; store, shuntd and data plane
agree with the state before or after; every packet of a steady stream came back. Without --all only some calls of each
step fail, chosen by the seed, the same ones each time. Needs root; everything happens in namespaces of this process's own.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile

from balancer import Balancer
from rounds import Rounds
from shared import Faults
from steps import CHANGES, LIFE
from wire import Peer

SKIPPED_STATUS = 77


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build folder")
    parser.add_argument("--all", action="store_true", help="every call, not some of them")
    parser.add_argument("--seed", type=int, default=1, help="chooses the calls, and with which error they fail")
    parser.add_argument("--part", choices=["life", "changes"], help="only starts and stops, or only what happens between them")
    parser.add_argument("--step", default="", help="only steps with this in their name")
    parser.add_argument("--verbose", action="store_true", help="a line for each fault")
    return parser.parse_args()


def own_namespaces() -> None:
    """Again, in namespaces that vanish with this process."""
    if os.environ.get("SHUNT_FAULTS_INSIDE") == "yes":
        return
    os.environ["SHUNT_FAULTS_INSIDE"] = "yes"
    inside = ["unshare", "--mount", "--net", "--propagation=private", "--", sys.executable, *sys.argv]
    os.execvp(inside[0], inside)


def main() -> int:
    options = arguments()
    if os.geteuid() != 0:
        print("skipped: needs root, for network namespaces and BPF")
        return SKIPPED_STATUS
    own_namespaces()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # takes down what it started
    os.system("mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf")
    build = options.build.resolve()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="shunt-faults-"))
    peer = Peer(build / "bpf/pass.bpf.o")
    balancer = Balancer(build, scratch, Faults(scratch / "faults"))
    try:
        rounds = Rounds(balancer, peer, random.Random(options.seed), options)
        rounds.run({"life": LIFE, "changes": CHANGES, None: LIFE + CHANGES}[options.part], options.step)
        print(f"{rounds.passed} passed, {rounds.failed} failed", flush=True)
        return 0 if rounds.passed and not rounds.failed else 1
    finally:
        if balancer.process and balancer.process.poll() is None:
            balancer.process.kill()
        peer.close()
        shutil.rmtree(scratch)


sys.exit(main())
