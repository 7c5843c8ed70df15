"""Where a file may lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rota.errors import UnsupportedStoreError
from rota.store.sqlite import filesystem
from rota.store.sqlite.filesystem import Mount, mount_of, refuse_network

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:31 / /mnt/share rw,relatime shared:5 - nfs4 server:/export rw,vers=4.2
24 22 0:32 / /mnt/share/local rw,relatime - xfs /dev/vdb rw
25 22 0:33 / /mnt/my\\040files rw,relatime - cifs //server/files rw
26 22 0:34 / /mnt/over rw,relatime - ext4 /dev/vdc rw
27 26 0:35 / /mnt/over rw,relatime - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/shop.db", "ext4"),
        ("/mnt/share/shop.db", "nfs4"),
        ("/mnt/share/local/shop.db", "xfs"),
        ("/mnt/shared.db", "ext4"),
        ("/mnt/my files/shop.db", "cifs"),
        ("/mnt/over/shop.db", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(path: str, kind: str) -> None:
    """A local disk mounted inside of a share is local; what is mounted over a disk hides it."""
    mount = mount_of(path, MOUNTS)

    assert mount is not None
    assert mount.kind == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse", "fuse.sshfs", "fuseblk"])
def test_network_file_systems_are_known(kind: str) -> None:
    """On each of these somebody has lost a SQLite file."""
    assert Mount(point="/", kind=kind).is_network


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs"])
def test_local_ones_are_not_refused(kind: str) -> None:
    """A false alarm keeps people out."""
    assert not Mount(point="/", kind=kind).is_network


def test_a_store_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the file is made."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 254:0 / / rw - ext4 /dev/vda rw\n23 22 0:31 / {tmp_path} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)

    with pytest.raises(UnsupportedStoreError, match="nfs4"):
        refuse_network(str(tmp_path / "shop.db"))

    assert os.listdir(tmp_path) == ["mountinfo"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """The link lies on the disk, the file on the share."""
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mounts = f"22 1 254:0 / / rw - ext4 /dev/vda rw\n23 22 0:31 / {tmp_path}/share rw - nfs server:/ rw\n"

    mount = mount_of(str(tmp_path / "link" / "shop.db"), mounts)

    assert mount is not None
    assert mount.is_network
