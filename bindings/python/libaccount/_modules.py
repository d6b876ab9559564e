"""Counts by module: which part of a model each operation belongs to.

Global module hooks tell where the forward is. They fire in compiled code too, where torch warns of
them and may compile anew: so this is only for those who ask (``count(by_module=True)``).
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from . import _load

GLOBAL = "Global"


class Places:
    """Module calls within module calls, each with a number; 0 is outside of all.

    A module is named as in the first module that holds it and is called: ``Net.layer1.0``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[tuple[int, str], int] = {}
        self._paths: list[tuple[str, ...]] = [()]
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._hooks: list[Any] = []

    def watch(self) -> None:
        from torch.nn.modules import module

        self._hooks = [
            module.register_module_forward_pre_hook(self._enter),
            module.register_module_forward_hook(self._leave, always_call=True),
        ]

    def unwatch(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def paths_of(self, place: int) -> tuple[str, ...]:
        """The names of the modules around a place, the outermost first."""
        return self._paths[place] if place < len(self._paths) else ()

    def _enter(self, module: Any, inputs: Any) -> None:
        core = _load.core()
        with self._lock:
            above = core.current_place()
            number = self._numbers.setdefault((above, self._name(module)), len(self._paths))
            if number == len(self._paths):
                self._paths.append((*self.paths_of(above), self._name(module)))
        core.enter_place(number)

    def _leave(self, module: Any, inputs: Any, output: Any) -> None:
        _load.core().leave_place()

    def _name(self, module: Any) -> str:
        if module not in self._names:
            root = type(module).__name__
            for name, inner in module.named_modules():
                self._names.setdefault(inner, f"{root}.{name}" if name else root)
        return self._names[module]


# One for all blocks that are open: numbers mean the same to each of them.
_places: Places | None = None
_users = 0


class Watching:
    """Held by one block."""

    def __init__(self) -> None:
        global _places, _users
        core = _load.core()
        core.track_modules(True)
        if _places is None:
            _places = Places()
            _places.watch()
        _users += 1
        self._places = _places
        self._before = self._read()
        self._result: dict[str, dict[str, dict[str, int]]] | None = None

    def close(self) -> None:
        global _places, _users
        if self._result is not None:
            return
        self._result = self.counts()
        _users -= 1
        if _users == 0:
            self._places.unwatch()
            _places = None
        _load.core().track_modules(False)

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """By module (with all that it calls), op and phase; ``Global`` has all."""
        if self._result is not None:
            return self._result
        result: dict[str, dict[str, dict[str, int]]] = {GLOBAL: {}}
        for (place, op, phase), executed in self._read().items():
            more = executed - self._before.get((place, op, phase), 0)
            if more == 0:
                continue
            # A module that calls itself is in its path twice, and counts once.
            for name in dict.fromkeys((GLOBAL, *self._places.paths_of(place))):
                phases = result.setdefault(name, {}).setdefault(op, {})
                phases[phase] = phases.get(phase, 0) + more
        return result

    def _read(self) -> dict[tuple[int, str, str], int]:
        return {(place, op, phase): n for place, op, phase, n in _load.core().read_places()}


def table(counts: dict[str, dict[str, dict[str, int]]], depth: int | None) -> str:
    """Module, executed, its share of all, and the phases; modules down to `depth`."""
    phases = sorted({p for ops in counts.values() for by in ops.values() for p in by})
    rows = [["Module", "executed", "share", *phases]]
    total = _sum(counts[GLOBAL])
    for name in sorted(counts, key=lambda name: (name != GLOBAL, name)):
        level = 0 if name == GLOBAL else name.count(".") + 1
        if depth is not None and level > depth:
            continue
        executed = _sum(counts[name])
        by_phase = [sum(by.get(p, 0) for by in counts[name].values()) for p in phases]
        share = f"{100 * executed / total:.1f} %" if total else "-"
        rows.append(["  " * level + name, f"{executed:,}", share, *(f"{n:,}" for n in by_phase)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _sum(ops: dict[str, dict[str, int]]) -> int:
    return sum(n for by in ops.values() for n in by.values())
