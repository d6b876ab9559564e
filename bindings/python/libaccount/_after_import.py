"""Doing something to a module right after its own code ran, now or whenever it is imported."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_waiting: dict[str, list[Callable[[ModuleType], None]]] = {}


def after_import(name: str, do: Callable[[ModuleType], None]) -> None:
    """Calls `do` with the module of that name, before anybody can take a name out of it."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is not None and not getattr(spec, "_initializing", False):
        do(module)
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _waiting.setdefault(name, []).append(do)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _waiting:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None
            if finder is not self and find is not None:
                spec = find(fullname, path, target)
            if spec is not None:
                return _followed(spec, fullname)
        return None


def _followed(spec: ModuleSpec, name: str) -> ModuleSpec:
    run = getattr(spec.loader, "exec_module", None)
    if run is not None:

        def exec_module(module: ModuleType) -> None:
            run(module)
            for do in _waiting.get(name, ()):
                do(module)

        setattr(spec.loader, "exec_module", exec_module)  # noqa: B010  (a method, to mypy)
    return spec
