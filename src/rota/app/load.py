"""Finding an app by the name that people type: ``shop:app``."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from rota.app.rota import Rota
from rota.errors import ConfigError, UsageError
from rota.model.near import closest


def load_app(name: str) -> Rota:
    """Import a module and return its app.

    Modules in the current folder are found, as with ``python -m``.

    Args:
        name: ``module:attribute``, such as ``shop:app`` or ``shop.jobs:app``; with a module alone, its only ``Rota``.

    Raises:
        ConfigError: No such module or attribute, it is no ``Rota``, or the module raised when it was imported.
        TaskDefinitionError: One of its functions cannot be a task.
    """
    module_name, separator, attribute = name.partition(":")
    if name.endswith(".py") or module_name.endswith(".py") or "/" in module_name or not module_name:
        raise ConfigError(
            f"{name!r} is no app: write MODULE:APP, as it is imported, such as {_suggestion(name)}.", app=name
        )
    module = _import(module_name, name)
    if separator and attribute:
        return _attribute(module, attribute, name)
    return _only_app(module, name)


def _import(module_name: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            nearby = [path.stem for path in Path.cwd().glob("*.py")]
            nearby += [path.parent.name for path in Path.cwd().glob("*/__init__.py")]
            raise ConfigError(
                f"{name}: there is no module {error.name!r}{closest(error.name, nearby)}. Modules are looked for in {here} and "
                "where Python finds packages; run the command in the folder that holds the module.",
                app=name,
            ) from error
        raise ConfigError(
            f"{name}: module {module_name} was found, and imports {error.name!r}, which is not there. Install it into this "
            f"environment ({sys.prefix}).",
            app=name,
        ) from error
    except UsageError:
        raise  # it says what is wrong and where, such as a function that cannot be a task
    except SystemExit as error:
        raise ConfigError(
            f"{name}: importing {module_name} ended the process, with code {error.code!r} at {_place_of(error)}. What a script "
            'does belongs under `if __name__ == "__main__":`.',
            app=name,
        ) from error
    except Exception as error:
        raise ConfigError(
            f"{name}: importing {module_name} raised {type(error).__name__} at {_place_of(error)}: {_message_of(error)}.",
            app=name,
        ) from error


def _place_of(error: BaseException) -> str:
    """Return where an error was raised; for one of syntax, where it is written."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{where.filename}:{where.lineno}"


def _message_of(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return text.rstrip(".") or "without a message"


def _attribute(module: ModuleType, attribute: str, name: str) -> Rota:
    found = getattr(module, attribute, None)
    if isinstance(found, Rota):
        return found
    apps = _apps_of(module)
    known = f" It has {', '.join(apps)}." if apps else " It defines no Rota; write `app = Rota(…)` in it."
    if found is None:
        raise ConfigError(
            f"{name}: module {module.__name__} has no {attribute!r}{closest(attribute, apps)}.{known}", app=name
        )
    raise ConfigError(f"{name}: {attribute} is a {type(found).__name__}, not a Rota.{known}", app=name)


def _only_app(module: ModuleType, name: str) -> Rota:
    apps = _apps_of(module)
    if len(apps) == 1:
        return apps.popitem()[1]
    if not apps:
        raise ConfigError(f"{name}: module {module.__name__} defines no Rota; write `app = Rota(…)` in it.", app=name)
    choices = ", ".join(f"{module.__name__}:{one}" for one in apps)
    raise ConfigError(f"{name}: module {module.__name__} has {len(apps)} apps. Say which: {choices}.", app=name)


def _apps_of(module: ModuleType) -> dict[str, Rota]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Rota)}


def _suggestion(name: str) -> str:
    path = name.partition(":")[0].removesuffix(".py").strip("./").replace("/", ".")
    return f"{path or 'shop'}:{name.partition(':')[2] or 'app'}"
