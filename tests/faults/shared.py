# SPDX-License-Identifier: Apache-2.0
"""The file that failing_calls.cc and the session share: which call is to fail, how often each kind was made."""
import errno
import mmap
import pathlib
import struct

# The same names in the same order as Kind in failing_calls.cc, and how the kernel may refuse each.
KINDS = {
    "bpf": (errno.ENOMEM, errno.EPERM),
    "write": (errno.ENOSPC, errno.EIO),
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EROFS, errno.ENOSPC),
    "link": (errno.EPERM, errno.ENOSPC),
    "unlink": (errno.EROFS, errno.EIO),
    "folder": (errno.ENOSPC, errno.EACCES),
    "create": (errno.ENOSPC, errno.EROFS),
    "resize": (errno.ENOSPC, errno.EIO),
    "mode": (errno.EPERM, errno.EROFS),
    "map": (errno.ENOMEM, errno.EPERM),
    "netlink": (errno.ENOBUFS, errno.EPERM),
}
NAMES = list(KINDS)
NONE = 0xFFFFFFFF
SLOTS = 16
DESCRIPTION = 120
SIZE = 24 + 4 * SLOTS + DESCRIPTION


class Faults:
    """arm() one fault, run something, read what became of it."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        path.write_bytes(bytes(SIZE))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)
        self.disarm()

    def disarm(self) -> None:
        struct.pack_into("=I", self.memory, 0, NONE)

    def arm(self, kind: str, nth: int, error: int, lasting: bool) -> None:
        """The nth call of this kind from now on fails; with `lasting` all after it, too."""
        self.disarm()
        struct.pack_into("=iiII", self.memory, 4, nth, error, int(lasting), 0)
        self.memory[24 + 4 * SLOTS :] = bytes(DESCRIPTION)
        struct.pack_into("=I", self.memory, 0, NAMES.index(kind))

    @property
    def fired(self) -> int:
        return struct.unpack_from("=I", self.memory, 16)[0]

    @property
    def what(self) -> str:
        """The first call that failed."""
        return self.memory[24 + 4 * SLOTS :].split(b"\0")[0].decode(errors="replace")

    def hits(self) -> dict[str, int]:
        return dict(zip(NAMES, struct.unpack_from(f"={len(NAMES)}I", self.memory, 24)))
