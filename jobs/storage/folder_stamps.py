"""What the file system says of a file and of a folder, short enough to be frozen with a corpus.

A file's stamp is its time of change and its inode: whoever swaps a file in the ordinary ways changes one of them. Who
may write to the folder can keep both, so a stamp is no proof: verdicts are never taken over on its word.

A folder's identity tells a mount from the empty folder below it, and one disk from another at the same place. Devices
have numbers of their own on every machine and after every start, and are compared only where both are the same.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
#: stands for what is not stable here
_UNKNOWN = "-"


def stamp_of(status: os.stat_result) -> str:
    """Time of change in nanoseconds and inode; without inode where the file system makes them up anew (FUSE)."""
    inode = _UNKNOWN if _is_fuse(status.st_dev) else status.st_ino
    return f"{status.st_mtime_ns}/{inode}"


def same_stamp(frozen: str, now: str) -> bool:
    """Whether nothing speaks against it being the same file."""
    return all(a == b or _UNKNOWN in (a, b) for a, b in zip(frozen.split("/"), now.split("/"), strict=True))


def identity_of(status: os.stat_result) -> str:
    """Machine, device and inode of a folder."""
    device = _UNKNOWN if _is_fuse(status.st_dev) else status.st_dev
    return f"{machine()}/{device}/{status.st_ino}"


def same_identity(frozen: str, now: str) -> bool:
    """Whether it can be the same folder."""
    machine_then, device_then, inode_then = frozen.split("/")
    machine_now, device_now, inode_now = now.split("/")
    devices_compare = machine_then == machine_now and _UNKNOWN not in (device_then, device_now)
    return inode_then == inode_now and (not devices_compare or device_then == device_now)


@lru_cache(maxsize=1)
def machine() -> str:
    """This machine since its last start."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname().replace("/", "_")


@lru_cache(maxsize=1024)
def _is_fuse(device: int) -> bool:
    """Whether files of this device come from a program (sshfs, rclone, s3fs), whose inodes may change at any time."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split()[2] == number and line.partition(" - ")[2].startswith("fuse") for line in mounts)
