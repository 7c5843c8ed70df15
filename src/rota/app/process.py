"""What the two kinds of process of a node begin with."""

from __future__ import annotations

import faulthandler
import sys

from rota.runtime.clock import Clock
from rota.telemetry.json_lines import JsonLines
from rota.telemetry.lines import LogLines
from rota.telemetry.telemetry import Telemetry

FAILED = 1
UNAVAILABLE = 69
CONFIG = 78


def begin(log_format: str, clock: Clock) -> Telemetry:
    """Make crashes show where they happened, and return what the process tells through, on standard error."""
    faulthandler.enable()
    sink = JsonLines if log_format == "json" else LogLines
    return Telemetry([sink(sys.stderr, clock.now_us)])
