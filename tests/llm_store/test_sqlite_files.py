"""Files that are private whatever the umask; file systems told from /proc/self/mounts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_store import sqlite_files
from mcp_coder.llm_store.sqlite_files import create_private, file_system_of, identity, is_remote, writable


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_directories_are_private(umask: int, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "s.sqlite"
    create_private(str(path))
    assert (mode(path), mode(path.parent), mode(path.parents[1])) == (0o600, 0o700, 0o700)
    assert path.read_bytes() == b""


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_text("content")
    path.chmod(0o640)
    create_private(str(path))
    assert (path.read_text(), mode(path)) == ("content", 0o640)


def test_a_directory_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        create_private(str(tmp_path / "file" / "s.sqlite"))


def test_a_file_is_told_from_another_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert identity(str(path)) is None
    path.touch()
    first = identity(str(path))
    (tmp_path / "other").touch()
    (tmp_path / "other").rename(path)
    assert None is not identity(str(path)) != first


def test_what_can_be_written_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not writable(str(path))
    path.touch()
    assert writable(str(path))


TABLE = r"""
proc /proc proc rw 0 0
/dev/vda / ext4 rw 0 0
tmpfs /mnt tmpfs rw 0 0
server:/export /mnt/with\040blank nfs4 rw 0 0
sshfs /home/dev/far fuse.sshfs rw 0 0
/dev/sdb1 /home/dev/stick fuseblk rw 0 0
overlay /home/dev/far/over overlay rw 0 0
cut
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/s", "ext4"),
        ("/mnt/s", "tmpfs"),
        ("/mnt/with blank/s", "nfs4"),
        ("/mnt/with blanks/s", "tmpfs"),
        ("/home/dev/far", "fuse.sshfs"),
        ("/home/dev/far/over/s", "overlay"),
        ("/home/dev/stick/s", "fuseblk"),
    ],
)
def test_the_longest_mount_point_says_the_kind(path: str, kind: str) -> None:
    assert file_system_of(path, sqlite_files.parsed(TABLE)) == kind


def test_a_later_mount_hides_an_earlier_one() -> None:
    assert file_system_of("/a/s", [("/a", "nfs"), ("/a", "ext4")]) == "ext4"
    assert file_system_of("relative", []) == ""


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse", "virtiofs", "ceph"]
)
def test_these_are_of_other_machines(kind: str) -> None:
    assert sqlite_files.is_remote_kind(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "fuse.ntfs-3g", "apfs", ""]
)
def test_these_are_of_this_machine(kind: str) -> None:
    assert not sqlite_files.is_remote_kind(kind)


def test_this_directory_is_of_this_machine(tmp_path: Path) -> None:
    assert not is_remote(str(tmp_path / "s"))
