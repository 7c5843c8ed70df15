"""The options of a submission: what they come to, and what is refused before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from rota.errors import InvalidArgumentsError, LimitError, RotaError, UsageError
from rota.model.meta import overrides_of
from rota.model.retry import Retry
from rota.model.slot import hash16
from rota.model.token import token_from_text
from rota.submit.check import check_batch, check_key, check_name
from rota.submit.terms import Terms, new_job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)
HOUR_US = 3_600 * 10**6
TOKEN = token_from_text("0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c")


def terms(**options: Any) -> Terms:
    """Return the terms of a submission to the ovens."""
    return Terms.of("bake", **({"queue": "ovens"} | options))


def refusal(**options: Any) -> RotaError:
    """Return the error that options are refused with."""
    with pytest.raises(RotaError) as caught:
        terms(**options)
    return caught.value


def test_without_options_a_job_may_run_at_once_and_never_expires() -> None:
    """The plain case carries nothing along."""
    plain = terms()

    assert (plain.due_at(NOW_US), plain.expires_at(NOW_US), plain.meta, plain.priority) == (None, None, None, 0)


@pytest.mark.parametrize(
    "options",
    [{"delay": -1}, {"delay": "1h"}, {"at": datetime(2027, 1, 1)}, {"priority": 101}, {"queue": ""}, {"key": ""},
     {"timeout": 0}, {"retry": 3}, {"retry": Retry(on=KeyError)}, {"expires": "x"}, {"delay": 1, "at": NOW}],
    ids=str,
)  # fmt: skip
def test_a_refused_option_says_that_nothing_was_written(options: dict[str, Any]) -> None:
    """Whoever reads it at night must not have to wonder whether half of it went in; and it is said once."""
    assert refusal(**options).message.count("Nothing was written.") == 1


@pytest.mark.parametrize("delay", [timedelta(hours=1), 3_600, 3_600.0])
def test_a_delay_counts_from_the_submission(delay: timedelta | float) -> None:
    """Options may be made long before the job is submitted; a bare number is seconds."""
    later = terms(delay=delay)

    assert later.due_at(NOW_US) == NOW_US + HOUR_US
    assert later.due_at(NOW_US + 5) == NOW_US + HOUR_US + 5


def test_an_instant_is_meant_in_its_own_time_zone() -> None:
    """Two o'clock in Berlin is one o'clock in UTC."""
    at = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))

    assert terms(at=at).due_at(NOW_US) == NOW_US + HOUR_US


@pytest.mark.parametrize("options", [{"at": NOW - timedelta(days=400)}, {"at": NOW}, {"delay": 0}])
def test_an_instant_that_has_passed_means_at_once(options: dict[str, Any]) -> None:
    """A job that is already due is ready; it must not wait for somebody to notice."""
    assert terms(**options).due_at(NOW_US) is None


@pytest.mark.parametrize("expires", [timedelta(hours=1), 3_600, NOW + timedelta(hours=1)])
def test_expiry_is_an_instant_or_a_time_from_now(expires: Any) -> None:
    """Both are said in practice."""
    assert terms(expires=expires).expires_at(NOW_US) == NOW_US + HOUR_US


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delay": 5, "at": NOW}, "delay= and at= both say"),
        ({"at": datetime(2026, 1, 1)}, "has no time zone"),
        ({"expires": datetime(2026, 1, 1)}, "has no time zone"),
        ({"at": 5}, "a datetime with a time zone is needed"),
        ({"delay": NOW}, "To give an instant, write at="),
        ({"delay": "5m"}, "a timedelta is needed, or a number of seconds"),
        ({"delay": True}, "a timedelta is needed"),
        ({"delay": -1}, "is outside of 0 to 3,660 days"),
        ({"delay": timedelta(days=4_000)}, "is it meant as another unit?"),
        ({"delay": 1e30}, "is outside of 0 to 3,660 days"),
        ({"delay": float("nan")}, "is outside of 0 to 3,660 days"),
        ({"priority": 101}, "from -100 to 100"),
        ({"priority": -101}, "from -100 to 100"),
        ({"priority": 1.5}, "a whole number"),
        ({"priority": True}, "a whole number"),
        ({"timeout": 0}, "at least a millisecond"),
        ({"timeout": "soon"}, "a timedelta is needed"),
        ({"retry": 5}, "Write retry=Retry(attempts=5)"),
        ({"retry": Retry(on=ValueError)}, "Retry(on=…) cannot travel"),
        ({"queue": ""}, "a name is needed"),
        ({"queue": "a\nb"}, "a name is needed"),
        ({"queue": " a"}, "without blanks at its ends"),
        ({"queue": "q" * 201}, "has 201 bytes"),
        ({"key": 5}, "Wrap it in str()"),
        ({"key": ""}, "it is empty"),
        ({"key": "a\0b"}, "NUL character"),
        ({"key": "\ud800"}, "surrogate"),
        ({"key": "ö" * 257}, "has 514 bytes, more than 512"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], says: str) -> None:
    """Each in a sentence of its own, with the value and what to write instead."""
    assert says in str(refusal(**options))


def test_an_instant_too_far_away_is_refused_when_it_is_submitted() -> None:
    """A date ten years ahead is nearly always milliseconds taken for seconds."""
    with pytest.raises(LimitError, match="days ahead, more than 3,660"):
        terms(at=NOW + timedelta(days=3_661)).due_at(NOW_US)
    with pytest.raises(LimitError, match="expires="):
        terms(expires=NOW + timedelta(days=3_661)).expires_at(NOW_US)


def test_overrides_travel_and_the_rest_stays_with_the_task() -> None:
    """The exceptions worth a retry are classes, and classes are not written into a store."""
    own = Retry(attempts=9, on=(ValueError,))
    meta = terms(timeout=1.5, retry=Retry(attempts=2, base=0.25, cap=7)).meta
    assert meta is not None

    policy, timeout_ms = overrides_of(meta, own, 60_000)

    assert (policy.attempts, policy.base, policy.cap, policy.on) == (
        2,
        timedelta(milliseconds=250),
        timedelta(seconds=7),
        (ValueError,),
    )
    assert timeout_ms == 1_500


def test_an_override_of_one_thing_leaves_the_other() -> None:
    """No limit and no word on the limit are two things."""
    own = Retry(attempts=9)
    unlimited, retried = terms(timeout=None).meta, terms(retry=Retry(attempts=2)).meta
    assert unlimited is not None
    assert retried is not None

    assert overrides_of(unlimited, own, 60_000) == (own, None)
    assert overrides_of(retried, own, 60_000) == (Retry(attempts=2), 60_000)
    assert msgspec.json.decode(unlimited) == {"timeout_ms": None}


def test_a_job_is_placed_by_its_key_else_by_its_token() -> None:
    """All jobs of a key go to one slot; others spread."""
    keyed = new_job("bake", b"{}", "mitte", TOKEN, terms(), due_at=None, expires_at=None)
    alone = new_job("bake", b"{}", None, TOKEN, terms(token=TOKEN, priority=7), due_at=5, expires_at=6)

    assert (keyed.hash16, keyed.key, keyed.is_fresh) == (hash16("mitte", TOKEN), "mitte", True)
    assert (alone.hash16, alone.priority, alone.is_fresh) == (hash16(None, TOKEN), 7, False)
    assert (alone.due_at, alone.expires_at, alone.queue, alone.codec) == (5, 6, "ovens", 1)


def test_a_batch_has_at_most_ten_thousand_jobs() -> None:
    """It is one transaction, and nobody may wait for long behind it."""
    check_batch(10_000)
    with pytest.raises(LimitError, match="10,001 jobs in one submit_many"):
        check_batch(10_001)


def test_names_and_keys_that_are_good_pass_unchanged() -> None:
    """Any script is fine."""
    assert check_name("öfen.nacht-2", "queue") == "öfen.nacht-2"
    assert check_key("Straße 5", "bake") == "Straße 5"
    assert check_key(None, "bake") is None


def test_an_error_says_which_family_it_is_of() -> None:
    """Callers catch by what they can do: mend the code."""
    assert isinstance(refusal(key=5), InvalidArgumentsError)
    assert isinstance(refusal(key=5), UsageError)
