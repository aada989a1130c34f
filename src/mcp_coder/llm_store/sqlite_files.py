"""The files of a store: made private, and told whether they lie on this machine.

A path comes in; the file is there after, 0600 in a directory of 0700 whatever the umask, or ``OSError`` says why
not. SQLite gives the files that it makes beside it the same mode. Never opens it as a database.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable

from mcp_coder.llm_places import private_directory

__all__ = [
    "create_private",
    "file_system_of",
    "identity",
    "is_remote",
    "is_remote_kind",
    "parsed",
    "writable",
]

_REMOTE = frozenset({
    "9p", "afs", "afpfs", "autofs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs", "gfs2", "glusterfs",
    "lustre", "ncpfs", "ocfs2", "osxfuse", "panfs", "prl_fs", "sshfs", "vboxsf", "virtiofs", "webdav",
})  # fmt: skip
_REMOTE_FAMILIES = ("davfs", "fuse", "nfs", "smb", "vmhgfs")
_LOCAL = frozenset({"fuseblk", "fuse.ext2", "fuse.ext3", "fuse.ext4", "fuse.exfat"})
"""Disks of this machine whose driver happens to run outside the kernel."""
_LOCAL_FAMILY = "fuse.ntfs"


def create_private(path: str) -> None:
    """Make an empty file, and its directory where that is missing; one that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        private_directory(parent)
    with contextlib.suppress(FileExistsError):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(file, 0o600)  # an odd umask takes bits away from the owner as well
        finally:
            os.close(file)
        _sync(parent)


def _sync(directory: str) -> None:
    """Bring the directory's list of names to disk: a store that lost its name in a power cut would be lost."""
    with contextlib.suppress(OSError):
        number = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def writable(path: str) -> bool:
    """Return whether a file and its directory can be written, as far as the system says before one tries."""
    return os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK | os.X_OK)


def is_remote(path: str) -> bool:
    """Return whether a file lies where shared memory between machines cannot be relied on."""
    return is_remote_kind(file_system_of(os.path.realpath(path), _mounts()))


def is_remote_kind(kind: str) -> bool:
    """Return whether a kind of file system (``nfs4``, ``fuse.sshfs``) belongs to another machine, or may."""
    if kind in _LOCAL or kind.startswith(_LOCAL_FAMILY):
        return False
    return kind in _REMOTE or kind.startswith(_REMOTE_FAMILIES)


def file_system_of(path: str, mounts: Iterable[tuple[str, str]]) -> str:
    """Return the kind of file system of a real path: of the longest mount point above it, the last of its name."""
    found, longest = "", -1
    for point, kind in mounts:
        above = path == point or path.startswith(point.rstrip("/") + "/")
        if above and len(point) >= longest:
            found, longest = kind, len(point)
    return found


def _mounts() -> Iterable[tuple[str, str]]:
    try:
        with open("/proc/self/mounts", "rb") as file:
            return parsed(os.fsdecode(file.read()))
    except OSError:  # not Linux
        import psutil

        return [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]


def parsed(table: str) -> list[tuple[str, str]]:
    """Return the mount points in a table like ``/proc/self/mounts``, each with the kind of its file system."""
    fields = (line.split(" ") for line in table.splitlines())
    return [(_unescaped(line[1]), line[2]) for line in fields if len(line) > 2]


def _unescaped(point: str) -> str:
    r"""Return a mount point as it is: a blank in it is written as ``\040``."""
    if "\\" not in point:
        return point
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
