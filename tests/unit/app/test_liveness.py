"""Which proof of life a store's nodes have, and where their files lie."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from rota.app import host_folder as module
from rota.app.address import Address, read_address
from rota.app.config import Config
from rota.app.host_folder import host_folder
from rota.app.liveness import lease_of, liveness_of
from rota.errors import ConfigError, UnsupportedStoreError
from rota.node.lease import Lease, NoLease, Tenure
from rota.node.leases import Leases
from rota.node.liveness import FileLocks
from rota.runtime.entropy import SystemEntropy
from rota.store.sqlite.filesystem import Mount
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock

POSTGRES = read_address("postgresql://shop:secret@db/shop")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's folder for temporary files; there is no other."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "_MEMORY", str(tmp_path / "nowhere"))
    return tmp_path


def test_sqlite_is_proved_by_locks_beside_the_database(clock: ManualClock, tmp_path: Path) -> None:
    """One kernel, one volume: nothing is timed."""
    address = read_address(tmp_path / "shop.db")

    policy = liveness_of(address, clock)

    assert isinstance(policy, FileLocks)
    assert policy.folder == str(tmp_path / "shop.db.d" / "proof")
    assert isinstance(lease(address, Config(), clock), NoLease)


def test_postgres_is_proved_by_leases_and_this_hosts_locks(clock: ManualClock, temporary: Path) -> None:
    """The settings decide how long they are."""
    policy = liveness_of(POSTGRES, clock, Config(lease_ms=30_000))

    assert isinstance(policy, Leases)
    assert policy.lease_ms == 30_000
    assert Path(policy.folder).parent == temporary
    assert isinstance(lease(POSTGRES, Config(), clock), Lease)


def test_a_store_in_memory_has_no_nodes(clock: ManualClock) -> None:
    """Nobody else could see it."""
    with pytest.raises(UnsupportedStoreError, match="in memory"):
        liveness_of(read_address(":memory:"), clock)


def test_going_without_a_timer_is_told(clock: ManualClock) -> None:
    """P9: what is weaker is chosen by name, and shown."""
    telemetry = Telemetry()

    lease(POSTGRES, Config(), clock, telemetry)
    assert telemetry.counters["node.unfenced"] == 0

    lease(POSTGRES, Config(on_store_loss="run"), clock, telemetry)
    assert telemetry.counters["node.unfenced"] == 1


def lease(address: Address, config: Config, clock: ManualClock, telemetry: Telemetry | None = None) -> Tenure:
    told = telemetry or Telemetry()
    return lease_of(address, config, clock=clock, entropy=SystemEntropy(clock), telemetry=told, node="mitte")


def test_everyone_who_writes_the_address_alike_finds_the_same_folder() -> None:
    """Whoever it connects as."""
    folder = host_folder("postgresql://shop:secret@db/shop", "rota")

    assert host_folder("postgresql://other@db/shop", "rota") == folder
    assert "secret" not in folder
    assert len({folder, host_folder("postgresql://db/shop", "else"), host_folder("postgresql://db/b", "rota")}) == 3


def test_the_folder_is_ours_alone() -> None:
    """Whoever could write there could have jobs run twice."""
    folder = Path(host_folder("postgresql://db/shop", "rota"))
    assert folder.stat().st_mode & 0o777 == 0o700

    folder.chmod(0o770)

    with pytest.raises(ConfigError, match="others can write in it"):
        host_folder("postgresql://db/shop", "rota")


def test_a_folder_of_somebody_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name can be guessed, and the folder for temporary files is everybody's."""
    folder = host_folder("postgresql://db/shop", "rota")
    user = os.geteuid()
    monkeypatch.setattr(module, "_user", lambda: user)
    assert host_folder("postgresql://db/shop", "rota") == folder

    os.rename(folder, folder.replace(f"rota-{user}-", f"rota-{user + 1}-"))
    monkeypatch.setattr(module, "_user", lambda: user + 1)

    with pytest.raises(ConfigError, match="belongs to somebody else"):
        host_folder("postgresql://db/shop", "rota")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """It could lead into a folder of ours that somebody chose."""
    folder = Path(host_folder("postgresql://db/shop", "rota"))
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="is no folder"):
        host_folder("postgresql://db/shop", "rota")


def test_a_network_file_system_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A free lock proves nothing there: its holder may have lost touch with the file server."""
    monkeypatch.setattr(module, "mount_of", lambda _: Mount("/tmp", "nfs4"))

    with pytest.raises(ConfigError, match="nfs4"):
        host_folder("postgresql://db/shop", "rota")


def test_memory_takes_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every Linux has it, and it is the host's own."""
    (tmp_path / "shm").mkdir()
    monkeypatch.setattr(module, "_MEMORY", str(tmp_path / "shm"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "cannot" / "be" / "made"))

    assert Path(host_folder("postgresql://db/shop", "rota")).parent == tmp_path / "shm"
