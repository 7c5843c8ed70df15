"""The doctor's word on nodes that go on when their lease has run out (P9)."""

from __future__ import annotations

import pytest

from rota.node.identity import Identity, read_identity
from rota.node.unfenced import said, store_loss
from rota.store.port import NodeRow

ME = Identity("boot", 1, 2, 3)


def node(name: str, host: str) -> NodeRow:
    return NodeRow(1, name, "proof", host, 8_000, 1, 0, False)


@pytest.mark.parametrize("runs_on", [False, True])
def test_what_a_node_says_of_itself_still_tells_who_it_is(*, runs_on: bool) -> None:
    """Its neighbours watch its process by that."""
    assert read_identity(said(ME, runs_on=runs_on)) == ME


def test_nodes_that_run_on_are_named_whatever_is_set_here() -> None:
    """They were started elsewhere, with other settings."""
    nodes = [node("mitte", said(ME, runs_on=True)), node("nord", said(ME, runs_on=False)), node("ost", "?")]

    check = store_loss(nodes, "stop")

    assert (check.name, check.level) == ("store loss", "warning")
    assert check.says.startswith('mitte: started with on_store_loss="run"; ')
    assert "P4" in check.says
    assert "ROTA_ON_STORE_LOSS=stop" in check.advice


def test_settings_that_would_have_nodes_run_on_are_a_warning_before_there_is_one() -> None:
    """It is seen when somebody looks, not when a job has run twice."""
    check = store_loss([node("nord", said(ME, runs_on=False))], "run")

    assert check.level == "warning"
    assert check.says.startswith('on_store_loss="run" is set here')


def test_nothing_is_wrong_where_all_stop() -> None:
    """The default."""
    check = store_loss([node("nord", said(ME, runs_on=False))], "stop")

    assert (check.level, check.advice) == ("ok", "")
