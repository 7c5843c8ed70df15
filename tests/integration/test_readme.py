"""The README's first screen, as it stands there, against a real node."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import CodeType

import pytest

from tests.house.tree import ROOT
from tests.unit.node.waiting import until

RUNNER = Path(__file__).with_name("readme_runner.py")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow(seconds=5)
def test_the_first_screen_does_what_it_says(tmp_path: Path) -> None:
    """Whoever tries a library types its first screen. It must work as printed, comments included."""
    program, session, from_async_code, *_ = blocks("python")
    compile(session, "README.md", "exec")
    (tmp_path / "shop.py").write_text(program)
    (tmp_path / "session.py").write_text(session + from_async_code)
    rota = str(Path(sysconfig.get_path("scripts")) / "rota")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROTA_")}
    with (tmp_path / "node.log").open("wb") as log:
        node = subprocess.Popen(
            [rota, "run", "shop:app", "-p", "2", "-c", "8"], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
        try:
            # As somebody would who has read on the other terminal that the workers are there; the page then asks for 10 s.
            until(lambda: (tmp_path / "node.log").read_text().count("worker.registered") == 2, "both workers are there")
            done = subprocess.run(
                [sys.executable, str(RUNNER)],
                cwd=tmp_path,
                env=environment | {"PYTHONPATH": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr + (tmp_path / "node.log").read_text()
        finally:
            node.terminate()
            code = node.wait(40)

    assert "margherita for mitte" in done.stdout
    assert "funghi for mitte" in done.stdout
    assert code == 0


def test_every_python_block_in_the_docs_compiles() -> None:
    """A page that cannot be pasted is a page that nobody tried."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

    for page in pages:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            # The flag lets `await` stand at the top, as in a session of `python -m asyncio`.
            assert isinstance(compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), CodeType)
