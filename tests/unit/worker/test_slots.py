"""Which slots are worth probing."""

from __future__ import annotations

from rota.model.job import ClaimedJob
from rota.model.slot import place_of
from rota.store.port import Ranks
from rota.worker.slots import SlotBook


def claimed(slot: int, seq: int = 1, priority: int = 0, crashes: int = 0) -> ClaimedJob:
    return ClaimedJob(seq, b"t" * 16, 1, slot, None, priority, b"{}", 1, None, 1, 0, crashes, False, None, 1, 1)


def drained(book: SlotBook) -> None:
    """Probe until nothing is suspected."""
    while book.has_suspects:
        slots, _ = book.next_probe()
        book.told(slots, [], [], is_full=False)


def test_a_new_share_is_looked_at_whole() -> None:
    """Jobs that waited before this worker came must be found."""
    book = SlotBook([5, 3, 9])

    slots, cursors = book.next_probe()

    assert (slots, cursors) == ([3, 5, 9], [0, 0, 0])


def test_a_slot_that_gave_all_it_had_is_not_probed_again() -> None:
    """A claim that brings less than it may has emptied its slots: a second one for each job would find nothing."""
    book = SlotBook([1, 2])
    slots, _ = book.next_probe()

    book.told(slots, [claimed(1, seq=40)], [], is_full=False)

    assert not book.has_suspects


def test_an_empty_slot_is_not_probed_again_until_there_is_news() -> None:
    """Probing a thousand empty slots costs milliseconds."""
    book = SlotBook([1, 2])
    drained(book)

    assert not book.has_suspects
    assert book.heard(2, 77)
    assert book.next_probe() == ([2], [0])


def test_news_during_a_probe_keeps_the_slot() -> None:
    """A job that commits while a claim is on its way must not be forgotten."""
    book = SlotBook([1])
    slots, _ = book.next_probe()
    book.heard(1, 5)

    book.told(slots, [], [], is_full=False)

    assert book.has_suspects


def test_the_cursor_moves_past_what_was_claimed_and_news_lower_it() -> None:
    """Dead entries of a line are not read again; a release with an old number is still found."""
    book = SlotBook([1])
    slots, _ = book.next_probe()
    book.told(slots, [claimed(1, seq=40)], [], is_full=True)
    assert book.next_probe() == ([1], [place_of(0, 41)])
    book.failed()

    book.heard(1, place_of(0, 7))

    assert book.next_probe() == ([1], [place_of(0, 7)])


def test_the_cursor_stays_when_only_what_a_crash_interrupted_was_taken() -> None:
    """That is taken from the middle of a line, and from others' lines."""
    book = SlotBook([1])
    slots, _ = book.next_probe()

    book.told(slots, [claimed(1, seq=40, crashes=1), claimed(2, seq=41, crashes=1)], [], is_full=True)

    assert book.next_probe() == ([1], [0])


def test_news_of_a_lower_place_during_a_probe_is_not_lost_to_its_answer() -> None:
    """The answer says nothing of what came after the look."""
    book = SlotBook([1])
    slots, _ = book.next_probe()
    book.heard(1, place_of(0, 7))

    book.told(slots, [claimed(1, seq=40)], [], is_full=False)

    assert book.next_probe()[1] == [place_of(0, 7)]


def test_a_look_everywhere_from_a_place_on_lowers_cursors_no_further() -> None:
    """A bulk submit names more slots than a notification holds. What has died before it need not be read again."""
    book = SlotBook([1, 2])
    slots, _ = book.next_probe()
    book.told(slots, [claimed(1, seq=40), claimed(2, seq=20)], [], is_full=False)
    drained(book)

    book.suspect_own(place_of(0, 30))

    assert book.next_probe() == ([1, 2], [place_of(0, 30), place_of(0, 21)])


def test_a_look_everywhere_during_a_probe_keeps_all_slots_and_its_place() -> None:
    """Producers tell of something all the time: cursors must move on all the same."""
    book = SlotBook([1, 2])
    slots, _ = book.next_probe()
    book.suspect_own(place_of(0, 90))

    book.told(slots, [claimed(1, seq=40)], [], is_full=False)

    assert dict(zip(*book.next_probe(), strict=True)) == {1: place_of(0, 41), 2: 0}


def test_a_full_answer_clears_nothing_and_turns_the_line() -> None:
    """The last slots must not starve behind the first."""
    book = SlotBook([1, 2, 3])
    slots, _ = book.next_probe()

    book.told(slots, [claimed(1), claimed(2)], [], is_full=True)

    assert book.next_probe()[0] == [3, 1, 2]


def test_a_slot_that_was_reached_and_gave_nothing_goes_to_the_end_too() -> None:
    """It may hold nothing but dead entries: in front of every claim they would be read every time."""
    book = SlotBook([1, 2, 3])
    slots, _ = book.next_probe()

    book.told(slots, [claimed(2)], [], is_full=True)

    assert book.next_probe()[0] == [3, 1, 2]


def test_skipped_slots_stay_suspects() -> None:
    """Another session was staging them; what it does may be undone."""
    book = SlotBook([1, 2])
    slots, _ = book.next_probe()

    book.told(slots, [], [2], is_full=False)

    assert book.next_probe()[0] == [2]


def test_news_of_others_slots_are_told_apart() -> None:
    """They are a reason to look elsewhere when idle, not to claim."""
    book = SlotBook([1])
    drained(book)

    assert not book.heard(2, 1)
    assert not book.has_suspects


def test_a_large_claim_looks_into_many_slots_and_a_small_one_into_few() -> None:
    """What was submitted together lies side by side in the store, spread over all slots: taken together it is cheap."""
    book = SlotBook(range(1_024))
    slots, _ = book.next_probe()
    book.told(slots, [claimed(slot) for slot in range(1_000)], [], is_full=True)
    large = len(book.next_probe()[0])

    book.told(slots, [claimed(slot) for slot in range(8)], [], is_full=True)
    small = len(book.next_probe()[0])

    assert (large, small) == (1_000, 32)


def test_a_slot_is_staged_once_for_each_news() -> None:
    """To look whether anything fell due, in a thousand slots, is a third of what a claim reads."""
    book = SlotBook([1, 2, 3])
    slots, _ = book.next_probe()
    assert book.unstaged(slots) == [1, 2, 3]

    book.told(slots, [claimed(1), claimed(2), claimed(3)], [2], is_full=True)
    book.heard(3, 7)

    assert book.unstaged([1, 2, 3]) == [2, 3]


def test_a_slot_that_is_woken_during_its_claim_is_staged_again() -> None:
    """The claim may have looked before the news was true."""
    book = SlotBook([1])
    slots, _ = book.next_probe()
    book.heard(1, 7)

    book.told(slots, [claimed(1)], [], is_full=True)

    assert book.unstaged([1]) == [1]


def test_a_look_everywhere_stages_everywhere() -> None:
    """News may have been lost."""
    book = SlotBook([1, 2])
    drained(book)

    book.suspect_own()

    assert book.unstaged([1, 2]) == [1, 2]


def test_what_is_told_to_be_staged_is_not_staged_again() -> None:
    """A job without a key, or a key's next one that the settle has made its head."""
    book = SlotBook([1, 2])
    drained(book)

    book.heard(1, 7, is_staged=True)
    book.suspect_own(9, is_staged=True)
    book.heard(2, 7)

    assert book.unstaged([1, 2]) == [2]


def after_a_small_claim(book: SlotBook, ranks: Ranks | None = None) -> list[int]:
    """Have a probe bring one job of its first slot and leave the rest; return the slots of the next probe."""
    slots, _ = book.next_probe()
    book.told(slots, [claimed(slots[0])], [], is_full=True, ranks=ranks)
    return book.next_probe()[0]


def fronted(book: SlotBook, fronts: dict[int, int | None]) -> None:
    """Have a probe of all slots say what is left in front of each; other slots have something of the usual priority."""
    slots, _ = book.next_probe()
    ranks = Ranks(fronts=[fronts.get(slot, place_of(0, 1_000 + slot)) for slot in slots])
    book.told(slots, [claimed(slots[0])], [], is_full=True, ranks=ranks)


def test_a_small_claim_looks_everywhere_while_priorities_are_mixed() -> None:
    """What is more urgent may wait in any slot, and a claim can only put first what it looks at."""
    book = SlotBook(range(1_024))

    assert len(after_a_small_claim(book, Ranks())) == 1_024
    assert len(after_a_small_claim(book, Ranks())) == 1_024
    assert len(after_a_small_claim(book)) == 32


def test_news_of_an_urgent_job_have_the_next_small_claim_look_everywhere() -> None:
    """It must not wait until its slot has its turn behind hundreds of others with ordinary jobs."""
    book = SlotBook(range(1_024))
    assert len(after_a_small_claim(book)) == 32
    book.failed()

    book.heard(1_000, place_of(100, 7))

    assert 1_000 in book.next_probe()[0]


def test_news_of_an_urgent_job_during_a_probe_are_not_lost_to_its_answer() -> None:
    """The answer says what was there when the store looked."""
    book = SlotBook(range(1_024))
    after_a_small_claim(book)
    book.heard(1_000, place_of(100, 7))

    book.told([*range(32)], [claimed(0)], [], is_full=True)

    assert 1_000 in book.next_probe()[0]


def test_news_of_ordinary_jobs_leave_a_small_claim_small() -> None:
    """Looking into a thousand slots costs a millisecond, and nothing urgent is there."""
    book = SlotBook(range(1_024))
    after_a_small_claim(book)
    book.failed()

    book.heard(1_000, place_of(0, 7))
    book.heard(1_001, 0)

    assert len(book.next_probe()[0]) == 32


def test_where_fronts_are_known_only_the_best_are_probed() -> None:
    """On PostgreSQL a look into a thousand slots costs milliseconds."""
    book = SlotBook(range(1_024))

    fronted(book, {1_000: place_of(100, 7), 900: place_of(50, 3), 800: None})

    slots, cursors = book.next_probe()
    assert (len(slots), slots[:2], cursors[:2]) == (32, [1_000, 900], [place_of(100, 7), place_of(50, 3)])


def test_a_larger_claim_probes_more_of_the_best() -> None:
    """The best jobs may lie in as many slots."""
    book = SlotBook(range(1_024))
    fronted(book, {})

    assert len(book.next_probe(100)[0]) == 400


def test_a_slot_with_news_is_probed_beside_the_best() -> None:
    """What was left in front of it is not known any more; and what falls due must be staged before it is seen."""
    book = SlotBook(range(1_024))
    fronted(book, {slot: place_of(9, slot) for slot in range(32)})

    book.heard(1_000, place_of(5, 7), is_staged=True)
    book.heard(900, 1 << 60, is_staged=False)

    assert {1_000, 900} < set(book.next_probe()[0])
    assert len(book.next_probe()[0]) == 34


def test_a_slot_that_has_nothing_left_is_no_suspect() -> None:
    """Of it, too, nothing would be known; it would be probed each time."""
    book = SlotBook([1, 2, 3])

    fronted(book, {2: None})

    assert sorted(book.next_probe()[0]) == [1, 3]


def test_a_front_does_not_hide_what_was_told_during_the_probe() -> None:
    """A late commit has an old number."""
    book = SlotBook([1, 2])
    slots, _ = book.next_probe()
    book.heard(2, place_of(0, 7))

    book.told(slots, [claimed(1, seq=40)], [], is_full=True, ranks=Ranks(fronts=[place_of(0, 50), place_of(0, 60)]))

    assert dict(zip(*book.next_probe(), strict=True)) == {1: place_of(0, 50), 2: 0}


def test_a_look_from_the_beginning_forgets_the_fronts() -> None:
    """What nobody told of may lie anywhere."""
    book = SlotBook(range(1_024))
    fronted(book, {})

    book.suspect_all()

    assert book.next_probe() == ([*range(1_024)], [0] * 1_024)


def test_cursors_move_to_where_the_first_of_all_lies() -> None:
    """Others' urgent jobs may fill a hundred stretches before it, each of which would be looked into."""
    book = SlotBook([1, 2, 3])
    slots, _ = book.next_probe()
    book.heard(3, place_of(100, 7))

    book.told(slots, [claimed(1, seq=40)], [], is_full=True, ranks=Ranks(nothing_before=place_of(0, 0)))

    found = dict(zip(*book.next_probe(), strict=True))
    assert found == {1: place_of(0, 41), 2: place_of(0, 0), 3: 0}
