"""Settings, and where they come from.

    option of Rota(…)  ▷  environment ROTA_*, or the file that ROTA_*_FILE names  ▷  rota.toml, else [tool.rota]  ▷  default

The first that says something wins, setting by setting. Both files are looked for in the current folder alone: a setting
that takes effect because of a file three folders up is found by nobody.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from rota.errors import ConfigError
from rota.model.limits import (
    PAYLOAD_AND_RESULT_BYTES_CEILING,
    PAYLOAD_BYTES_MAX,
    RESULT_BYTES_MAX,
    RETENTION_DAYS_DEFAULT,
    WAITING_JOBS_MAX,
)
from rota.model.near import closest

DEFAULT_STORE: Final = "rota.db"
LEASE_MS_MIN: Final = 3_000
LEASE_MS_MAX: Final = 3_600_000
SCHEMA_BYTES_MAX: Final = 63
_FILES: Final = ("rota.toml", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Config:
    """An app's settings.

    Attributes:
        store: Path or URL of the store.
        busy_timeout_ms: How long a call waits for a locked SQLite file before it fails with ``StoreBusyError``; ``None`` for
            10 s. On PostgreSQL, how long a program's call waits for a server that went away before it fails with
            ``StoreUnavailableError``; ``None`` for 2 s. Nodes ask again by themselves.
        durability: ``full``: on stable storage when ``submit`` returns. SQLite only: with ``normal`` a power cut can lose the
            last jobs, with ``off`` it can damage the file. Chosen by name only, and shown by ``rota doctor``.
        schema: Name of the schema on PostgreSQL.
        payload_bytes_max: The largest arguments of one job, as JSON.
        result_bytes_max: The largest result, as JSON.
        waiting_max: Jobs that may wait in one queue before submits are refused.
        retention_days: How long finished jobs are kept.
        lease_ms: How long a node is believed alive after its last renewal (PostgreSQL).
        lease_dsn: Where nodes renew their leases; empty for the store's own address. For a store behind a pooler.
        on_store_loss: ``stop``: a node that cannot renew its lease stops its workers before others start their jobs. ``run``:
            they go on, and a job may be run by two workers at once. Chosen by name only.
    """

    store: str = DEFAULT_STORE
    busy_timeout_ms: int | None = None
    durability: str = "full"
    schema: str = "rota"
    payload_bytes_max: int = PAYLOAD_BYTES_MAX
    result_bytes_max: int = RESULT_BYTES_MAX
    waiting_max: int = WAITING_JOBS_MAX
    retention_days: float = float(RETENTION_DAYS_DEFAULT)
    lease_ms: int = 8_000
    lease_dsn: str = ""
    on_store_loss: str = "stop"


_OPTIONS: Final = {"busy_timeout_ms": "busy_timeout", "retention_days": "retention", "lease_ms": "lease"}
"""The options of ``Rota`` that are called otherwise, since they are lengths of time."""

NAMES: Final = tuple(field.name for field in fields(Config))


def load_config(
    options: Mapping[str, Any], environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Config:
    """Return the settings that hold.

    Args:
        options: What the code says; ``None`` where it says nothing.
        environ: The environment; ``None`` for the process's own.
        folder: Where ``rota.toml`` and ``pyproject.toml`` are looked for; ``None`` for the current one.

    Raises:
        ConfigError: A setting is unknown, of the wrong kind or out of range, or a file cannot be read.
    """
    environ = os.environ if environ is None else environ
    found = {name: (value, source) for name, (value, source) in _from_files(folder or Path.cwd()).items()}
    found |= _from_environment(environ)
    found |= {
        name: (value, f"Rota({_OPTIONS.get(name, name)}=…)") for name, value in options.items() if value is not None
    }
    return Config(**{name: _KINDS[name](value, source) for name, (value, source) in found.items()})


def _from_files(folder: Path) -> dict[str, tuple[Any, str]]:
    for name in _FILES:
        path = folder / name
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}. Nothing was opened.", path=str(path)) from error
        if name == "pyproject.toml":
            table = table.get("tool", {}).get("rota", {})
        if not table and name == "pyproject.toml":
            continue
        for key in table:
            if key not in NAMES:
                raise ConfigError(
                    f"{path} sets {key!r}, which is no setting{closest(key, NAMES)}. Settings: {', '.join(NAMES)}.",
                    path=str(path),
                    name=key,
                )
        return {key: (value, f"{key} in {path.name}") for key, value in table.items()}
    return {}


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for name in NAMES:
        variable = f"ROTA_{name.upper()}"
        if environ.get(variable):
            found[name] = (environ[variable], variable)
        elif path := environ.get(f"{variable}_FILE"):
            try:
                found[name] = (Path(path).read_text(encoding="utf-8").strip(), f"{variable}_FILE")
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{variable}_FILE names {path}, which cannot be read: {error}. Nothing was opened.", name=name
                ) from error
    return found


def _text(value: Any, source: str) -> str:
    if isinstance(value, (str, Path)) and str(value):
        return str(value)
    raise ConfigError(f"{source} is {value!r}; text is needed.", source=source)


def _server(value: Any, source: str) -> str:
    address = _text(value, source)
    if not address.lower().startswith(("postgresql://", "postgres://")):  # Not shown: there may be a password in it.
        raise ConfigError(f"{source} is no postgresql:// address. Nothing was opened.", source=source)
    return address


def _schema(value: Any, source: str) -> str:
    name = _text(value, source)
    if len(name.encode()) > SCHEMA_BYTES_MAX or name.startswith("pg_"):
        raise ConfigError(
            f"{source} is {name!r}; PostgreSQL takes at most {SCHEMA_BYTES_MAX} bytes as a schema's name, and keeps those that "
            "begin with pg_ for itself. Nothing was opened.",
            source=source,
        )
    return name


def _durability(value: Any, source: str) -> str:
    if value in ("full", "normal", "off"):
        return str(value)
    raise ConfigError(f"{source} is {value!r}; it can be 'full', 'normal' or 'off'.", source=source)


def _on_store_loss(value: Any, source: str) -> str:
    if value in ("stop", "run"):
        return str(value)
    raise ConfigError(f"{source} is {value!r}; it can be 'stop' or 'run'.", source=source)


def _number(value: Any, source: str) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"{source} is {value!r}; a number is needed.", source=source)


def _whole(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, source: str) -> int:
        number = _number(value, source)
        if number != int(number) or not low <= number <= high:
            raise ConfigError(
                f"{source} is {value!r}; a whole number from {low:,} to {high:,} is needed.", source=source
            )
        return int(number)

    return read


def _days(value: Any, source: str) -> float:
    days = value / timedelta(days=1) if isinstance(value, timedelta) else _number(value, source)
    if not 2 <= days <= 3_660:
        said, seconds = f"{value!r}", ""
        if isinstance(value, timedelta):
            said, seconds = f"{days:.4g} days", " A bare number is seconds there; write timedelta(days=…)."
        raise ConfigError(
            f"{source} is {said}; 2 to 3,660 days are needed: a token that is submitted again within a day or two "
            f"must still be known.{seconds}",
            source=source,
        )
    return days


def _milliseconds(value: Any, source: str) -> int:
    number = value / timedelta(milliseconds=1) if isinstance(value, timedelta) else _number(value, source)
    return _whole(0, 3_600_000)(round(number), source)


def _lease(value: Any, source: str) -> int:
    number = value / timedelta(milliseconds=1) if isinstance(value, timedelta) else _number(value, source)
    if not LEASE_MS_MIN <= number <= LEASE_MS_MAX:
        raise ConfigError(
            f"{source} is {number / 1_000:g} s; {LEASE_MS_MIN // 1_000} s to {LEASE_MS_MAX // 60_000} min are needed: a busy "
            "machine or a slow commit would lose a shorter one, and healthy jobs would be stopped for it.",
            source=source,
        )
    return round(number)


_KINDS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "store": _text,
    "busy_timeout_ms": _milliseconds,
    "durability": _durability,
    "schema": _schema,
    "payload_bytes_max": _whole(1_024, PAYLOAD_AND_RESULT_BYTES_CEILING),
    "result_bytes_max": _whole(1_024, PAYLOAD_AND_RESULT_BYTES_CEILING),
    "waiting_max": _whole(1, 10**12),
    "retention_days": _days,
    "lease_ms": _lease,
    "lease_dsn": _server,
    "on_store_loss": _on_store_loss,
}
