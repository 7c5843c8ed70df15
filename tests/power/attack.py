"""Crash images by the thousand: a day is recorded, the power goes off at random places in it, each image is judged.

    record ──▶ log, promises ──▶ cut ──▶ disk ──▶ image ──▶ judge_file          every image, by SQLite itself
                                                     ├────▶ judge_by_store      every fiftieth, by the real store
                                                     └────▶ record …            some: another day from there, and another crash

An image is drawn from the seed of its recording and its number, so ``images`` draws it again. The recording itself is not the
same twice (threads share commits as they come), so an image that is wrong is kept: files, and what was promised.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from rota.testing.clock import ManualClock
from tests.power.disk import Disk
from tests.power.judge import judge_by_store, judge_file, lay_out, looks_in
from tests.power.logging_vfs import Entry, recording
from tests.power.promises import Demands, Promises, Wrong
from tests.power.workload import Copy, Shop, short_log

DB: Final = "shop.db"
BY_STORE_EVERY: Final = 50
_FAST: Final = Path("/dev/shm")


@dataclass(frozen=True)
class Recording:
    """One day: what was on the disk before, what happened, what was promised."""

    seed: str
    before: Mapping[str, bytes]
    entries: list[Entry]
    promises: Promises
    copies: list[Copy]
    clock: ManualClock


@dataclass
class Tally:
    """What became of the images.

    Attributes:
        images: How many there were.
        lost: Of how many something acknowledged was missing.
        inconsistent: How many were damaged, or held what nobody had begun, or half of a call.
        counts: How many images were judged by the store, had a log, a journal, a backup, …
        examples: The first few complaints of each kind.
    """

    images: int = 0
    lost: int = 0
    inconsistent: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, wrong: list[Wrong], where: str) -> None:
        """Count one image."""
        self.images += 1
        self.lost += any(each.is_loss for each in wrong)
        self.inconsistent += any(not each.is_loss for each in wrong)
        if wrong and len(self.examples) < 5:
            self.examples.append(f"{where}: {wrong[0].says}")


def workshop() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory where there is one: the syncs of the model are not the machine's."""
    return tempfile.TemporaryDirectory(prefix="rota-power-", dir=_FAST if _FAST.is_dir() else None)


def record(
    seed: str,
    *,
    durability: str = "full",
    calls: int = 120,
    before: Mapping[str, bytes] | None = None,
    promises: Promises | None = None,
    clock: ManualClock | None = None,
    pages: int = 24,
) -> Recording:
    """Run a day in a shop under the logging file system.

    Args:
        calls: How many calls are made one after the other; about as many come from the crowd.
        before: The files that a crash has left, to go on from.
        promises: What is promised of them.
        pages: How long SQLite's log may become.
    """
    with workshop() as folder, short_log(pages), recording(folder) as log:
        lay_out(before or {}, Path(folder))
        shop = Shop(f"{folder}/{DB}", log, seed, promises=promises, clock=clock, durability=durability)
        shop.alone(calls // 2)
        shop.crowd(max(1, calls // 24))
        shop.night()
        shop.alone(calls - calls // 2)
        shop.close()
    made = Recording(seed, before or {}, log.entries, shop.promises, shop.copies, shop.clock)
    _refuse_wrong_promises(made)
    return made


def _refuse_wrong_promises(made: Recording) -> None:
    """Check what was promised against the store as it is without any crash: a wrong promise would prove nothing."""
    disk = Disk(made.before)
    disk.apply(made.entries)
    with workshop() as folder:
        lay_out(disk.whole(), Path(folder))
        wrong = judge_file(Path(folder) / DB, made.promises.at(len(made.entries) + 1))
    if wrong:
        raise AssertionError(f"no crash, and yet, in {made.seed}: {wrong[0].says} (and {len(wrong) - 1} more)")


def go_on(made: Recording) -> Recording:
    """Record another day from one of the images of this one: what was recovered must survive the next crash as well."""
    chance = Random(f"{made.seed}: the crash")
    disk, cut = Disk(made.before), chance.randint(len(made.entries) // 4, len(made.entries))
    disk.apply(made.entries[:cut])
    image = _store_of(disk.image(chance))
    with workshop() as folder:
        lay_out(image, Path(folder))
        found = looks_in(Path(folder) / DB)
    return record(f"{made.seed}, day two", before=image, promises=Promises.of(found), clock=made.clock, calls=60)


def images(
    made: Recording, count: int, *, until: int | None = None, syncs: bool = True, syncs_folders: bool = True
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Draw places at which the power goes off, and what is on the disk then, twice each; in the order of the day.

    Args:
        until: The last place; ``None`` for the end of the day.
    """
    chance = Random(f"{made.seed}: cuts")
    disk, at = Disk(made.before, syncs=syncs, syncs_folders=syncs_folders), 0
    cuts = sorted(chance.randint(0, len(made.entries) if until is None else until) for _ in range((count + 1) // 2))
    for number in range(count):
        cut = cuts[number // 2]
        disk.apply(made.entries[at:cut])
        at = cut
        yield cut, disk.image(Random(f"{made.seed}: {number}"))


def attack(
    made: Recording,
    count: int,
    tally: Tally,
    *,
    until: int | None = None,
    keep: Path | None = None,
    by_store: bool = True,
    **lies: bool,
) -> None:
    """Judge so many images of a day.

    Args:
        until: The last place at which the power goes off.
        keep: Where the files of images that are wrong are kept.
        by_store: Whether the real store judges some of them as well.
        lies: Syncs that do nothing: ``syncs=False``, ``syncs_folders=False``.
    """
    demands: dict[int, Demands] = {}
    with workshop() as place:
        folder = Path(place)
        for number, (cut, image) in enumerate(images(made, count, until=until, **lies)):
            if cut not in demands:
                demands = {cut: made.promises.at(cut)}
            lay_out(_store_of(image), folder)
            wrong = judge_file(folder / DB, demands[cut])
            wrong += _judge_copy(made, cut, image, folder, tally if number % 10 == 0 else None)
            if by_store and not wrong and number % BY_STORE_EVERY == 0:
                tally.counts["judged by the store"] += 1
                lay_out(image, folder)
                wrong = judge_by_store(folder / DB, demands[cut])
            _count(image, tally)
            tally.add(wrong, f"{made.seed}, image {number} of {count}, cut {cut}")
            if wrong and keep is not None:
                kept = keep / f"{made.seed}-{number}"
                kept.mkdir(parents=True, exist_ok=True)
                lay_out(image, kept)
                (kept / "wrong.txt").write_text("\n".join(each.says for each in wrong))


def _judge_copy(
    made: Recording, cut: int, image: Mapping[str, bytes], folder: Path, tally: Tally | None
) -> list[Wrong]:
    """Judge the last backup that was finished: that it is there, and if it is to be counted, what is in it."""
    nth = bisect_right([copy.acked for copy in made.copies], cut)
    if not nth:
        return []
    copy = made.copies[nth - 1]
    if copy.name not in image:
        return [Wrong(True, f"the backup {copy.name} was finished and is not there")]
    if tally is None:
        return []
    tally.counts["backups judged"] += 1
    (folder / copy.name).write_bytes(image[copy.name])
    return judge_file(folder / copy.name, made.promises.at(copy.begun, copy.acked))


def _store_of(image: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that are the store: not its copies."""
    return {name: content for name, content in image.items() if name.startswith(DB)}


def _count(image: Mapping[str, bytes], tally: Tally) -> None:
    if image.get(f"{DB}-wal"):
        tally.counts["with a log"] += 1
    if image.get(f"{DB}-journal"):
        tally.counts["with a journal"] += 1
    if not image.get(DB):
        tally.counts["before the file was there"] += 1


DAYS: Final = ((120, 24), (120, 24), (8, 8), (120, 16), (160, 600))
"""Calls of a day and pages after which the log is moved: ordinary ones, one that is hardly more than the making of the
file, and one with the log as long as in production."""
_IMAGES_A_DAY: Final = 500


def campaign(count: int, seed: str, *, durability: str = "full", keep: Path | None = None, **lies: bool) -> Tally:
    """Judge so many images of as many days as that takes. Every fifth image is of a day that follows a crash."""
    tally = Tally()
    day = 0
    while tally.images < count:
        calls, pages = DAYS[day % len(DAYS)]
        made = record(f"{seed}-{day}", durability=durability, calls=calls, pages=pages)
        share = min(_IMAGES_A_DAY, count - tally.images)
        honest = durability == "full" and not lies
        attack(made, share if not honest else share * 4 // 5, tally, keep=keep, by_store=honest, **lies)
        tally.counts["days"] += 1
        if honest:
            attack(go_on(made), share - share * 4 // 5, tally, keep=keep)
            tally.counts["days after a crash"] += 1
        day += 1
    return tally
