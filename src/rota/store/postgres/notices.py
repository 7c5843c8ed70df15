"""What a notification says: JSON, as our functions write it and as ``tell`` does.

    {"w": [[queue, slot, place], …] | null, "p": place, "r": bool,
     "c": [token, …], "s": [token, …] | null, "e": bool, "a": bool}

``r`` is "ready": nothing needs to be staged. Null is "look everywhere", from place ``p`` on: a notification holds 7,999
bytes. What was settled goes over a channel of its own, since most who listen wait for no result; and in a large cluster so does
work in a slot, since one node is meant.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from rota.errors import RotaError
from rota.model.token import token_from_text, token_text
from rota.store.port import Wake, Woken
from rota.store.wakes import lowest_place

EVERYTHING: Final = Wake(woken=None, settled=None, is_epoch=True, is_alone=True)
"""What is told when nobody knows what was missed."""

_CHANNEL_BYTES_MAX: Final = 63
"""Where the server cuts a name."""

_TEXT_BYTES_MAX: Final = 7_900
_CANCELS_MAX: Final = 100


class _News(Struct, omit_defaults=True):
    """A notification's payload."""

    w: list[tuple[int, int, int]] | None = []
    c: list[str] = []
    s: list[str] | None = []
    e: bool = False
    a: bool = False
    p: int = 0
    r: bool = False


_decoder = msgspec.json.Decoder(_News)


def settled_channel(schema: str) -> str:
    """Return the channel on which settled jobs are told, as ``tell_wakes.sql`` does; the rest is told on the schema's name."""
    return _cut(f"{schema} settled")


def slot_channel(schema: str, slot: int) -> str:
    """Return the channel on which a large cluster is told of work in one slot, as ``slot_channel.sql`` does."""
    return _cut(f"{schema} slot {slot}")


def _cut(channel: str) -> str:
    return channel.encode()[:_CHANNEL_BYTES_MAX].decode(errors="ignore")


def read(text: str) -> Wake:
    """Return what a notification says; everything, if it cannot be read."""
    try:
        news = _decoder.decode(text)
        return Wake(
            woken=None if news.w is None else [Woken(*each) for each in news.w],
            cancels=[token_from_text(each) for each in news.c],
            settled=None if news.s is None else [token_from_text(each) for each in news.s],
            is_epoch=news.e,
            is_alone=news.a,
            from_place=news.p,
            is_staged=news.r,
        )
    except (msgspec.DecodeError, RotaError):
        return EVERYTHING


def written(wake: Wake) -> str:
    """Return a wake-up as a notification; one that names too much says "everything"."""
    news = _News(
        w=None if wake.woken is None else [(each.queue_id, each.slot, each.place) for each in wake.woken],
        c=[token_text(token) for token in wake.cancels],
        s=None if wake.settled is None else [token_text(token) for token in wake.settled],
        e=wake.is_epoch,
        a=wake.is_alone,
        p=wake.from_place,
        r=wake.is_staged,
    )
    text = msgspec.json.encode(news).decode()
    if len(text) > _TEXT_BYTES_MAX:
        news.p = lowest_place(wake)
        news.w, news.s, news.c = None, None, news.c[:_CANCELS_MAX]
        text = msgspec.json.encode(news).decode()
    return text
