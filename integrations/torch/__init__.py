"""Plain PyTorch loops: which object's steps are the run's steps, and what a stop saves."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch

from .._shared import wrap

if TYPE_CHECKING:
    from libaccount import Run

_scalers: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def attach(what: Any, run: Run) -> None:
    if isinstance(what, torch.optim.Optimizer):
        if run._hook is not None:
            run._hook.take_steps_from(what)
    elif isinstance(what, torch.nn.Module):
        run._offer_state(lambda: {"model": what.state_dict()})
    else:
        _scalers[what] = run
        run._leave_steps_to_caller()
        wrap(torch.amp.GradScaler, "update", _update)


def _update(update: Any, scaler: Any, *args: Any, **kwargs: Any) -> None:
    update(scaler, *args, **kwargs)
    run = _scalers.get(scaler)
    if run is not None:
        run.step()
