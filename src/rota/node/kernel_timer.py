"""The kernel timer: the kernel ends this process at an instant, whatever the process itself is doing.

    arm(at) ── timer_create(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGKILL), absolute ── at ──▶ SIGKILL ──▶ PR_SET_PDEATHSIG: its workers

A process that is stopped, swapped out or stuck cannot look at a clock; the kernel can. ``CLOCK_BOOTTIME`` goes on while the
machine sleeps, so after a sleep that was too long the process dies at once. The timer is the process's own: a child does not
inherit it, and an ``exec`` deletes it.

The kernel does not kill process 1 of a pid namespace that way. A node's supervisor never is: its keeper takes that place.

Source:
    timer_create(2), timer_settime(2), sigevent(3type).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from functools import cache

from rota.errors import ConfigError

_CLOCK_BOOTTIME = 7
_SIGEV_SIGNAL = 0
_TIMER_ABSTIME = 1


class NoTimer:
    """Nothing falls: for ``on_store_loss="run"``, and for kernels that have no such timer."""

    def arm(self, at_ns: int) -> None:
        """Do nothing."""

    def disarm(self) -> None:
        """Do nothing."""


class KernelTimer:
    """A timer of the Linux kernel that kills the calling process.

    Args:
        number: The signal; another one for tests.

    Raises:
        ConfigError: This is process 1, which the kernel would not kill, or the kernel has no such timer.
    """

    def __init__(self, number: signal.Signals = signal.SIGKILL) -> None:
        if os.getpid() == 1:
            raise ConfigError(
                "a supervisor cannot be process 1 of its container: the kernel would not end it when its lease runs out. "
                "Nothing was started. Start the node with `rota run`, whose keeper takes that place."
            )
        self._timer = _create_timer(number)

    def arm(self, at_ns: int) -> None:
        """Let it fall at this instant of ``CLOCK_BOOTTIME``; at once if it has passed."""
        self._set(max(1, at_ns))

    def disarm(self) -> None:
        """Let it not fall."""
        self._set(0)

    def _set(self, at_ns: int) -> None:
        spec = _TimerSpec(_Time(0, 0), _Time(*divmod(at_ns, 1_000_000_000)))
        if _library().timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timer_settime was refused")


def has_timer() -> bool:
    """Whether this kernel has the timer."""
    return sys.platform == "linux"


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class _SignalEvent(ctypes.Structure):
    """``struct sigevent``, filled up to its 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 64),
    )


def _create_timer(number: signal.Signals) -> ctypes.c_void_p:
    event = _SignalEvent(signal=int(number), notify=_SIGEV_SIGNAL)
    timer = ctypes.c_void_p()
    try:
        failed = _library().timer_create(_CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(timer))
    except AttributeError as error:
        raise _no_timer("its C library has no timer_create") from error
    if failed:
        raise _no_timer(os.strerror(ctypes.get_errno()))
    return timer


def _no_timer(why: str) -> ConfigError:
    return ConfigError(
        f"this system has no timer that could end a node when its lease runs out ({why}). Nothing was started. "
        'With on_store_loss="run" nodes go without, and a job may then be run twice.'
    )


@cache
def _library() -> ctypes.CDLL:
    """Return the C library; before glibc 2.34 the timers were in one of their own."""
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "timer_create") else ctypes.CDLL("librt.so.1", use_errno=True)
