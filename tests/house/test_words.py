"""What must not stand in any file: one machine's paths and the hosts of registries, which differ from place to place."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import own_files, told

# Written in pieces, so that this file does not contain what it forbids.
HOSTS = "|".join(
    [r"pypi\." + "org", "python" + "hosted", r"npmjs\." + "org", r"deb\." + "debian", r"proxy\." + "golang"]
)
PATHS = "|".join(["/ro" + "ot/", "/wo" + "rk/", "/home/" + r"\w+/", "/Us" + r"ers/\w+/"])
FORBIDDEN = re.compile(rf"{HOSTS}|(?<![\w.$}}]){PATHS}")


def test_no_file_names_a_machine_or_a_registry() -> None:
    """The project must work, and read well, on a machine that its writers never saw."""
    texts = [file for file in own_files() if file.suffix not in {".png", ".ico", ".gz"}]

    found = [
        f"{told(file)}:{number}: {match.group()}"
        for file in texts
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (match := FORBIDDEN.search(line))
    ]

    assert texts
    assert not found, "; ".join(found)


@pytest.mark.parametrize("planted", ["see /ro" + "ot/x", "https://pypi" + ".org/simple", "at /home/" + "anna/rota"])
def test_a_planted_word_is_found(planted: str) -> None:
    """A checker that cannot fail checks nothing."""
    assert FORBIDDEN.search(planted)
