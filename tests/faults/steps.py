# SPDX-License-Identifier: Apache-2.0
"""The session: what is done, step after step, while calls fail. Changes are commands of shuntctl; health and a start
are not. Not here: how faults are chosen and what must hold after them (rounds.py)."""
import dataclasses

from wire import CHECK_PORT, real4, real6

KEPT = ["203.0.113.1:80/tcp", "[2001:db8:1::1]:53/udp"]  # always there: the stream goes to them
VIP = "203.0.113.2:80/tcp"
OTHER = "[2001:db8:1::2]:443/udp"

STORE = f"""\
hash_key: "0x000102030405060708090a0b0c0d0e0f"
defaults: {{ ring_size: 1009, slow_start_seconds: 0, udp_idle_seconds: 1 }}
vips:
  - vip: "{KEPT[0]}"
    reals: [ {{ address: "{real4(11)}" }}, {{ address: "{real4(12)}" }}, {{ address: "{real6(11)}" }} ]
  - vip: "{KEPT[1]}"
    reals: [ {{ address: "{real6(12)}" }}, {{ address: "{real4(13)}" }} ]
"""

# Applied as a whole: a VIP goes, another comes, settings and reals of a third change.
FILE = STORE.replace("ring_size: 1009", "ring_size: 2003") + f"""\
  - vip: "{OTHER}"
    tracking: none
    reals: [ {{ address: "{real4(14)}", weight: 3 }}, {{ address: "{real6(14)}" }} ]
"""


@dataclasses.dataclass(frozen=True)
class Step:
    name: str
    words: tuple[str, ...] = ()  # of shuntctl
    refused: bool = False  # also without a fault
    health: str = ""  # a real that goes down or up
    life: str = ""  # of the daemon: fresh, adopt, stop


def change(name: str, *words: str, refused: bool = False) -> Step:
    return Step(name, words, refused)


CHANGES = [
    change("add a VIP", "vip", "add", VIP),
    change("add a real", "real", "add", VIP, real4(11)),
    change("add a real of the other family", "real", "add", VIP, real6(13)),
    change("add a third real", "real", "add", VIP, real4(12), "--weight=20"),
    change("change a weight", "real", "set", VIP, real4(11), "--weight=70"),
    change("drain a real", "real", "drain", VIP, real4(12)),
    change("undrain it", "real", "undrain", VIP, real4(12)),
    change("change the ring's size", "vip", "set", VIP, "--ring-size=4099"),
    change("remember every flow", "vip", "set", VIP, "--tracking=all"),
    change("remember none", "vip", "set", VIP, "--tracking=none"),
    change("check its reals", "vip", "set", VIP, "--check=tcp", "--check-via=direct", f"--check-port={CHECK_PORT}",
           "--check-interval=100ms", "--check-timeout=100ms", "--rise=1", "--fall=1", "--check-initial=up", "--panic=0"),
    Step("a real goes down", health="down"),
    Step("it comes up", health="up"),
    change("check through the tunnel", "vip", "set", VIP, "--check-via=tunnel", "--check-initial=up",
           "--check-interval=60s", "--fall=100"),
    change("change a VIP that is always there", "real", "add", KEPT[0], real6(14), "--weight=5"),
    change("refuse a change", "real", "add", VIP, real4(11), refused=True),
    change("remove a real", "real", "rm", VIP, real4(12)),
    change("apply a file", "apply", "-f", "FILE"),
    change("remove a VIP", "vip", "rm", OTHER),
]  # fmt: skip

LIFE = [
    Step("start where nothing is", life="fresh"),
    Step("start where another forwards", life="adopt"),
    Step("stop and take everything down", life="stop"),
]
