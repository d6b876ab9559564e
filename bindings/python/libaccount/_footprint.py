"""Everything of this library in a process: what an engineer asks before it is linked into a job."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

# Nothing of the package is imported here: in a process that has not imported it, this file is
# loaded alone (libaccount_autoload/__main__.py) and finds nothing.
_OURS = "libaccount"
_HERE = str(Path(__file__).parent) + os.sep


def footprint() -> dict[str, list[str]]:
    """Lists what of libaccount is in this process now; all lists are empty where nothing is.

    - ``patches``: functions and methods of others that are wrapped, by their names
    - ``hooks``: callbacks that torch calls
    - ``imports``: modules whose import is waited for
    - ``libraries``: shared objects that are loaded
    - ``shared_files``: files in shared memory that are mapped
    - ``descriptors``, ``threads``, ``signals`` (handlers), ``variables`` (of the environment)

    Found by looking, not by a list that is kept: modules, torch and /proc are searched. Takes a
    second or two in a process with many modules; not thread-safe against imports.

    >>> import libaccount
    >>> libaccount.footprint()["signals"]
    []
    """
    maps = _mapped_files()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names that answer with a warning when looked at
        patches = sorted(set(_patches()))
    return {
        "patches": patches,
        "hooks": _hooks(),
        "imports": _waiting_imports(),
        "libraries": sorted({path for path in maps if _is_library(path)}),
        "shared_files": sorted({path for path in maps if path.endswith(".tally")}),
        "descriptors": _descriptors(),
        "threads": _threads(),
        "signals": [name.name for name in signal.valid_signals() if _handled_here(name)],
        "variables": sorted(name for name in os.environ if name.startswith("ACCOUNT_")),
    }


def _is_ours(thing: Any) -> bool:
    """Whether calling it runs code of this package."""
    kind = type(thing)  # not __class__, which some objects invent
    if kind in (staticmethod, classmethod):
        thing = thing.__func__
    if kind is property:
        return any(_is_ours(part) for part in (thing.fget, thing.fset) if part is not None)
    if issubclass(kind, (ModuleType, type)):
        return False
    thing = getattr(thing, "__func__", thing)  # of a bound method
    code = getattr(thing, "__code__", None)
    if code is not None:
        return str(getattr(code, "co_filename", "")).startswith(_HERE)
    return kind.__module__.split(".")[0] == _OURS


def _patches() -> Iterator[str]:
    package = sys.modules.get(_OURS)
    own = {id(value) for value in vars(package).values()} if package else set()
    program = sys.modules.get("__main__")
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or module is program or name.startswith(_OURS):
            continue
        for word, value in list(vars(module).items()):
            if isinstance(value, type):
                if value.__module__ != name:
                    continue
                for attribute, method in list(vars(value).items()):
                    if _safely_ours(method):
                        yield f"{name}.{value.__qualname__}.{attribute}"
            elif id(value) not in own and _safely_ours(value):
                yield f"{name}.{word}"


def _safely_ours(thing: Any) -> bool:
    try:
        return _is_ours(thing)
    except Exception:  # an object that answers getattr with an error is not one of ours
        return False


def _hooks() -> list[str]:
    found = []
    optimizers = sys.modules.get("torch.optim.optimizer")
    for name in ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks"):
        hooks = getattr(optimizers, name, None) or {}
        found += [f"torch.optim.optimizer.{name}" for hook in hooks.values() if _is_ours(hook)]
    if getattr(sys.modules.get(f"{_OURS}._load"), "_watching", False):
        found += [
            "torch's dispatcher: kernels of counted ops (libaccount_torch.so)",
            "torch's dispatcher: a listener for new ops (libaccount_torch.so)",
        ]
    return found


def _waiting_imports() -> list[str]:
    waiting = getattr(sys.modules.get(f"{_OURS}._after_import"), "_waiting", {})
    return sorted(name for name in waiting if name not in sys.modules)


def _mapped_files() -> set[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if line.count("/")}


def _is_library(path: str) -> bool:
    return ".so" in path and (path.startswith(_HERE) or "libaccount" in os.path.basename(path))


def _descriptors() -> list[str]:
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:  # the one that listed them
            continue
        if f"/account-{os.geteuid()}/" in target or target.endswith(".tally"):
            found.append(f"{entry}: {target}")
    return found


def _threads() -> list[str]:
    names = (Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())
    return [name for name in names if name == "account"]


def _handled_here(number: int) -> bool:
    handler = signal.getsignal(number)
    return callable(handler) and _is_ours(handler)
