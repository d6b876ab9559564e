"""Lightning's Fabric: a loop of the job's own, whose parts a Fabric has set up.

A step is that of the optimizer that was set up. ``save()`` leaves a sidecar and is refused on every
rank before it writes, ``load()`` links the run that saved. At a signed stop ``optimizer.step()``
raises ShutdownOrdered; modules and optimizers are saved locked, and ``load(fabric, run.restore())``
goes on from them after the lift.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch

from libaccount._attach import quietly
from libaccount._gate import permit

from .._shared import attach_each, goes_on_from, is_first_rank, put_back, watch_launcher, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from libaccount import Run

_watched: weakref.WeakKeyDictionary[Any, _Watch] = weakref.WeakKeyDictionary()


def attach(fabric: Any, run: Run) -> None:
    """See ``libaccount.attach``. Before ``setup()``, so that a stop can save what that sets up."""
    kind = next(k for k in type(fabric).__mro__ if k.__module__.endswith("fabric.fabric"))
    for name, around in _AROUND.items():
        wrap(kind, name, around)
    quietly(watch_launcher, kind.__module__.rpartition(".fabric")[0])
    watch = _watched.setdefault(fabric, _Watch(run))
    run._offer_state(watch.state)


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on."""
    attach_each(framework.Fabric, attach)


def load(fabric: Any, state: dict[str, Any]) -> None:
    """Puts what ``Run.restore()`` gave back into what the fabric has set up.

    The loop itself goes on where the job lets it. Raises Error where other parts were saved than
    are set up.
    """
    put_back(_watched[fabric].parts(), state, "set up")


class _Watch:
    """What is known of one fabric."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._modules: list[weakref.ref[Any]] = []
        self._optimizers: list[weakref.ref[Any]] = []

    def set_up(self, parts: Any) -> None:
        for part in parts if isinstance(parts, tuple) else (parts,):
            if isinstance(part, torch.nn.Module):
                self._modules.append(weakref.ref(part))
            elif isinstance(part, torch.optim.Optimizer):
                self._optimizers.append(weakref.ref(part))

    def parts(self) -> dict[str, list[Any]]:
        known = {"models": self._modules, "optimizers": self._optimizers}
        return {
            kind: [part for part in (one() for one in ones) if part is not None]
            for kind, ones in known.items()
        }

    def state(self) -> dict[str, Any]:
        parts = self.parts()
        if not parts["models"]:
            return {}
        return {kind: [part.state_dict() for part in of_it] for kind, of_it in parts.items()}


# --- The fabric's own functions -------------------------------------------------------------------


def _set_up(setup: Any, fabric: Any, *args: Any, **kwargs: Any) -> Any:
    parts = setup(fabric, *args, **kwargs)
    known = _watched.get(fabric)
    if known is not None:
        known.set_up(parts)
    return parts


def _save(save: Any, fabric: Any, path: Any, *args: Any, **kwargs: Any) -> None:
    known = _watched.get(fabric)
    if known is None:
        save(fabric, path, *args, **kwargs)
        return
    permit("Fabric.save", path)  # each rank, or the others would wait for one that was refused
    save(fabric, path, *args, **kwargs)
    if is_first_rank():
        known.run.saved(path)


def _load(load_: Any, fabric: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
    known = _watched.get(fabric)
    if known is not None and is_first_rank():
        goes_on_from(known.run, path)
    return load_(fabric, path, *args, **kwargs)


_AROUND: dict[str, Callable[..., Any]] = {
    "setup": _set_up,
    "setup_module": _set_up,
    "setup_optimizers": _set_up,
    "save": _save,
    "load": _load,
}
