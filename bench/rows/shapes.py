"""Measurements of one figure, as rows take them."""

from __future__ import annotations

from bench.rows.drain import drain
from bench.rows.flow import flow
from bench.rows.submit import bulk, callers, single
from bench.side import Side
from bench.table import Figures, Measure


def drains(jobs: int, processes: int = 1, kind: str = "plain") -> Measure:
    """Measure a drain of so many jobs."""
    return lambda side: (drain(side, jobs, processes, kind),)


def bulks(jobs: int, kind: str = "plain") -> Measure:
    """Measure submits of so many jobs, 1,000 a call."""
    return lambda side: (bulk(side, jobs, kind),)


def singles(side: Side) -> Figures:
    """Measure one caller."""
    return (single(side),)


def calls(side: Side) -> Figures:
    """Measure 64 callers."""
    return (callers(side),)


def flows(side: Side) -> Figures:
    """Measure a producer and a worker."""
    return (flow(side),)
