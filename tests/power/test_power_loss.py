"""The power goes off at any moment: what was acknowledged is there afterwards, once, and the file is whole (P1, P2)."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.power.attack import DB, Tally, attack, campaign, images, record
from tests.power.disk import SECTOR_BYTES, Disk
from tests.power.judge import judge_file, lay_out
from tests.power.logging_vfs import Entry
from tests.power.promises import Promises, finished_look, live_look

IMAGES = 10_000
PARTS = 5

ANNA, BERT = b"a" * 16, b"b" * 16


@pytest.mark.parametrize("part", range(PARTS))
def test_a_power_cut_loses_nothing_that_was_acknowledged(part: int) -> None:
    """Not in one of 10,000 images: cut in the making of the file, in shared commits, in backups, after a crash before."""
    tally = campaign(IMAGES // PARTS, f"part {part}")

    assert (tally.lost, tally.inconsistent) == (0, 0), tally.examples
    assert tally.images == IMAGES // PARTS
    for what in ("with a log", "judged by the store", "backups judged", "days after a crash"):
        assert tally.counts[what] > 0, what


def test_a_power_cut_while_the_file_is_made_leaves_one_that_can_be_opened() -> None:
    """Nothing has been promised by then but that it works the next time: before the schema, in the middle of it, after it."""
    made = record("beginning", calls=8)
    tally = Tally()

    attack(made, 400, tally, until=made.promises.steps[0].begun)

    assert (tally.lost, tally.inconsistent) == (0, 0), tally.examples
    for what in ("with a log", "with a journal", "before the file was there", "judged by the store"):
        assert tally.counts[what] > 0, what


@pytest.mark.parametrize(
    ("control", "may_be_damaged"),
    [
        ({"durability": "normal"}, False),
        ({"durability": "off"}, True),
        ({"syncs": False}, True),
        ({"syncs_folders": False}, True),
    ],
    ids=["normal", "off", "a disk that lies", "a disk that forgets names"],
)
def test_weaker_promises_are_broken(control: dict[str, Any], may_be_damaged: bool) -> None:
    """An attack that finds nothing where something must be lost would prove nothing where nothing may be."""
    tally = campaign(400, "control", **control)

    assert tally.lost + tally.inconsistent > 40
    assert may_be_damaged or tally.inconsistent == 0, tally.examples


def test_one_forgotten_sync_is_noticed(tmp_path: Path) -> None:
    """The finest thing that can go wrong: a single commit was acknowledged before it was on the disk."""
    made = record("one sync", calls=40)
    acks = [step.acked for step in made.promises.steps if step.nth and step.acked is not None]
    # Of the log: what was synced last may also be the file, into which the log was moved after the commit.
    logs = [("sync", entry[2]) for entry in made.entries if entry[0] == "made" and entry[1] == f"{DB}-wal"]
    at = next(ack for ack in acks if made.entries[ack - 1] in logs)
    disk, chance = Disk(), Random(1)
    disk.apply(made.entries[: at - 1])

    found = []
    for _ in range(40):
        lay_out(disk.image(chance), tmp_path)
        found += judge_file(tmp_path / DB, made.promises.at(at))

    assert found
    assert all(wrong.is_loss for wrong in found)


# ── the model of a disk ──────────────────────────────────────────────────────────────────────────────────────────────


def drawn(entries: list[Entry], times: int = 200) -> list[dict[str, bytes]]:
    disk = Disk()
    disk.apply(entries)
    chance = Random(1)
    return [disk.image(chance) for _ in range(times)]


def test_what_was_synced_is_there_and_what_was_not_may_be() -> None:
    """Otherwise the attack is too kind, or asks for what no disk gives."""
    kept: list[Entry] = [("made", "f", 0), ("write", 0, 0, b"one"), ("sync", 0), ("folder",)]

    assert {image["f"] for image in drawn(kept)} == {b"one"}
    assert {image["f"] for image in drawn([*kept, ("write", 0, 0, b"two")])} == {b"one", b"two"}
    assert {image["f"] for image in drawn([*kept, ("truncate", 0, 1)])} == {b"one", b"o"}


def test_writes_overtake_each_other_and_leave_zeros() -> None:
    """The second of two may be there without the first, in a file that has grown around it."""
    entries: list[Entry] = [("made", "f", 0), ("folder",), ("write", 0, 0, b"one"), ("write", 0, 3, b"two")]

    assert {image["f"] for image in drawn(entries)} == {b"", b"one", b"onetwo", b"\0\0\0two"}


def test_a_write_is_torn_at_sectors() -> None:
    """Disks promise a sector, not a page."""
    page = b"x" * 8 * SECTOR_BYTES
    entries: list[Entry] = [("made", "f", 0), ("write", 0, 0, bytes(len(page))), ("sync", 0), ("folder",)]

    torn = {image["f"] for image in drawn([*entries, ("write", 0, 0, page)])} - {page, bytes(len(page))}

    assert torn
    assert all(
        image[at : at + SECTOR_BYTES] in (page[:SECTOR_BYTES], bytes(SECTOR_BYTES)) for image in torn for at in (0, 512)
    )


def test_names_are_not_there_before_their_folder_is_synced() -> None:
    """A file whose bytes are on the disk is lost all the same if its name is not."""
    made: list[Entry] = [("made", "f", 0), ("write", 0, 0, b"one"), ("sync", 0)]

    assert {tuple(image.items()) for image in drawn(made)} == {(), (("f", b"one"),)}
    assert {tuple(image) for image in drawn([*made, ("folder",), ("delete", "f")])} == {(), ("f",)}


def test_what_a_crash_has_left_is_there_before_anybody_opens_it() -> None:
    """The next crash may come at once."""
    disk = Disk({"f": b"one", "g": b"two"})
    assert disk.image(Random(1)) == {"f": b"one", "g": b"two"}

    disk.apply([("made", "f", 0), ("write", 0, 3, b"!"), ("sync", 0), ("delete", "g")])

    assert disk.whole() == {"f": b"one!"}
    assert {image["f"] for image in (disk.image(Random(seed)) for seed in range(9))} == {b"one!"}


# ── what is promised ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_judge_knows_lost_from_invented_and_half() -> None:
    """Each complaint has its own cause, and a judge that mixes them up hides one behind the other."""
    promises = Promises()
    promises.begin(0, {ANNA: live_look(0)}).acked = 5
    promises.begin(10, {ANNA: finished_look(0, 1)}).acked = 15
    promises.begin(20, {ANNA: live_look(1), BERT: live_look(0)})
    settled, reopened = finished_look(0, 1), live_look(1)

    def says(cut: int, **found: int) -> list[bool]:
        looks = {ANNA if name == "anna" else BERT: look for name, look in found.items()}
        return [wrong.is_loss for wrong in promises.at(cut).judge(looks)]

    assert says(3) == says(3, anna=0) == []
    assert says(7) == [True]
    assert says(12, anna=0) == says(12, anna=settled) == says(30, anna=settled) == []
    assert says(17, anna=0) == [True]
    assert says(17, anna=finished_look(1, 1)) == says(17, anna=settled, bert=0) == [False]
    assert says(30, anna=reopened) == says(30, anna=settled, bert=0) == [False]
    assert says(30, anna=reopened, bert=0) == []


def test_what_was_lost_is_no_half_of_a_call() -> None:
    """A worker has settled one of two jobs before the submitter has its answer; then both are gone, together."""
    promises = Promises()
    promises.begin(0, {ANNA: live_look(0), BERT: live_look(0)})
    promises.begin(5, {ANNA: live_look(1, is_held=True)}).acked = 10

    def says(**found: int) -> list[bool]:
        looks = {ANNA if name == "anna" else BERT: look for name, look in found.items()}
        return [wrong.is_loss for wrong in promises.at(15).judge(looks)]

    assert says() == [True]
    assert says(anna=live_look(1, is_held=True), bert=0) == []
    assert says(anna=0, bert=0) == [True]
    assert says(anna=live_look(1, is_held=True)) == says(bert=0)[1:] == [False]


def test_an_image_is_drawn_again_from_its_number() -> None:
    """A failure that cannot be looked at twice is a rumour."""
    made = record("again", calls=8, pages=8)

    assert list(images(made, 20)) == list(images(made, 20))
