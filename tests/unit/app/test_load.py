"""Finding an app by the name that people type, and telling others what it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.app.load import load_app
from rota.errors import ConfigError

SHOP = """
import os
from rota import Rota
print("printed at import")
os.write(1, b"written at import\\n")
app = Rota("shop.db", retention=30 * 86_400, durability="normal")
nothing = 5

@app.task(queue="ovens")
def bake(order: str) -> str:
    return order

@app.task
def ship(order: str) -> None: ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an app in it, as the current one; what was imported from it is forgotten afterwards."""
    (tmp_path / "pizza_shop.py").write_text(SHOP)
    (tmp_path / "pizza_two.py").write_text("from rota import Rota\na, b = Rota('a.db'), Rota('b.db')\n")
    (tmp_path / "pizza_none.py").write_text("")
    (tmp_path / "pizza_bad.py").write_text("def f():\n    1 / 0\nf()\n")
    (tmp_path / "pizza_lacking.py").write_text("import pizza_dough\n")
    (tmp_path / "pizza_typo.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "pizza_ends.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "pizza_stopped.py").write_text("raise KeyboardInterrupt\n")
    (tmp_path / "pizza_method.py").write_text(
        "from rota import Rota\napp = Rota('a.db')\nclass Oven:\n    @app.task\n    def bake(self): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("pizza_")]:
        del sys.modules[name]


def test_an_app_is_found_by_module_and_name(folder: Path) -> None:
    """With one app in the module, its name may be left out."""
    app = load_app("pizza_shop:app")

    assert sorted(app.tasks) == ["bake", "ship"]
    assert load_app("pizza_shop") is app


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pizza_shpo:app", "there is no module 'pizza_shpo' (did you mean 'pizza_shop'?)"),
        ("pizza_shop:ap", "module pizza_shop has no 'ap' (did you mean 'app'?). It has app."),
        ("pizza_shop:nothing", "nothing is a int, not a Rota. It has app."),
        ("pizza_none:app", "It defines no Rota; write `app = Rota(…)` in it."),
        ("pizza_none", "defines no Rota"),
        ("pizza_two", "has 2 apps. Say which: pizza_two:a, pizza_two:b."),
        ("pizza_bad:app", "importing pizza_bad raised ZeroDivisionError at"),
        ("pizza_typo:app", "pizza_typo raised SyntaxError at {folder}/pizza_typo.py:2: invalid syntax."),
        ("pizza_ends:app", "importing pizza_ends ended the process, with code 3 at {folder}/pizza_ends.py:2."),
        ("pizza_lacking:app", "module pizza_lacking was found, and imports 'pizza_dough', which is not there"),
        ("pizza_shop.py:app", "such as pizza_shop:app."),
        ("./shops/mitte.py", "such as shops.mitte:app."),
        ("", "such as shop:app."),
        (":app", "such as shop:app."),
    ],
)
def test_a_name_that_leads_nowhere_says_what_to_type(folder: Path, name: str, says: str) -> None:
    """It is the first command that anybody types, and the first that goes wrong."""
    with pytest.raises(ConfigError) as caught:
        load_app(name)

    assert says.format(folder=folder) in str(caught.value)


def test_a_function_that_cannot_be_a_task_is_told_as_it_was_refused(folder: Path) -> None:
    """The refusal names function and place; wrapped into "importing raised …" it would name a place of ours."""
    done = describe(folder, "pizza_method:app")

    assert done.returncode == 78
    assert done.stderr.startswith(
        f"[ROTA-101] Oven.bake ({folder}/pizza_method.py:4) cannot be a task: it is a method."
    )


def test_an_interrupted_import_shows_no_traceback(folder: Path) -> None:
    """Ctrl-C while a heavy module loads is no fault of anybody."""
    done = describe(folder, "pizza_stopped:app")

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def describe(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the description as its own process, as nodes do."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROTA_")}
    command = [sys.executable, "-B", "-m", "rota.app.describe", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_a_description_is_json_whatever_the_module_prints(folder: Path) -> None:
    """Nodes read it from a pipe; the store's address must mean the same in their folder."""
    done = describe(folder, "pizza_shop:app")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "store": str(folder / "shop.db"),
        "queues": ["default", "ovens"],
        "tasks": ["bake", "ship"],
        "retention_days": 30.0,
        "settings": {"retention_days": 30.0, "durability": "normal"},
    }
    assert "printed at import" in done.stderr
    assert "written at import" in done.stderr
    assert not (folder / "shop.db").exists(), "describing opens nothing"


def test_a_description_that_fails_says_why_on_stderr(folder: Path) -> None:
    """Configuration is exit code 78; a wrong command is 2."""
    wrong, none = describe(folder, "pizza_shop:ap"), describe(folder)

    assert (wrong.returncode, wrong.stdout) == (78, "")
    assert "did you mean 'app'?" in wrong.stderr
    assert (none.returncode, none.stdout) == (2, "")
    assert "usage:" in none.stderr
