"""Megatron: the loop of megatron.training (``pretrain()``), and megatron.core's optimizers.

Under megatron.training a step is ``train_step()``, with all microbatches of its pipeline schedule,
also one that was skipped for an overflow. In a loop of one's own it is ``step()`` of
megatron.core's optimizer, however many inner optimizers that has, none on a rank without
parameters. At a signed stop these raise ShutdownOrdered, on all ranks at the same step, before
``save_checkpoint()``; which leaves a sidecar beside its folder, and ``load_checkpoint()`` links the
run that saved. After the lift Megatron goes on from its newest checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.distributed.checkpoint.api import CheckpointException

from libaccount import category
from libaccount._after_import import after_import
from libaccount._attach import quietly
from libaccount._errors import ExportDenied
from libaccount._run import current

from .._shared import (
    goes_on_from,
    is_first_rank,
    is_refused_on_a_rank,
    leave_no_half,
    remove_orphans,
    was_refused,
    wrap,
    wrap_known,
)

if TYPE_CHECKING:
    from types import ModuleType

    from libaccount import Run

_OPTIMIZERS = "megatron.core.optimizer.optimizer"
_LAYER_WISE = "megatron.core.optimizer.layer_wise_optimizer"
_CHECKPOINTS = "megatron.training.checkpointing"
_LOOP = "megatron.training.training"


def attach(trained: Any, run: Run) -> None:
    """See ``libaccount.attach``. Of an optimizer of megatron.core, its steps are the run's; with
    ``pretrain`` the loop of megatron.training is attached."""
    for name in (_OPTIMIZERS, _LAYER_WISE, _CHECKPOINTS, _LOOP):
        if name in sys.modules:
            watch(sys.modules[name])
    if hasattr(type(trained), "step"):
        _wrap_step(type(trained))
        if run._hook is not None:
            run._hook.take_steps_from(trained)


def watch(framework: ModuleType) -> None:
    """From now on the steps and checkpoints of this part of Megatron are the current run's."""
    if framework.__name__ == _OPTIMIZERS:
        after_import(_LAYER_WISE, lambda module: quietly(watch, module))
    if framework.__name__ in (_OPTIMIZERS, _LAYER_WISE):
        for kind in vars(framework).values():
            if isinstance(kind, type) and kind.__module__ == framework.__name__:
                _wrap_step(kind)
        return
    if framework.__name__ == _LOOP:
        for name, (around, without) in _STEPS.items():
            wrap_known(framework, name, around, "Megatron", without)
    for name, around in _CHECKPOINTING.items():
        if framework.__name__ == _CHECKPOINTS:
            wrap_known(framework, name, around, "Megatron", _UNLINKED)
        elif hasattr(framework, name):  # the loop has the other module's, maybe from before
            wrap(framework, name, around)


# --- Steps ----------------------------------------------------------------------------------------


def _wrap_step(kind: type) -> None:
    if "step" in vars(kind) and not getattr(kind, "__abstractmethods__", None):
        wrap(kind, "step", _step)


def _step(step: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
    return _as_step(optimizer, step, optimizer, *args, **kwargs)


def _train_step(step: Any, *args: Any, **kwargs: Any) -> Any:
    with category("train"):
        return _as_step(step, step, *args, **kwargs)


def _as_step(owner: Any, do: Any, *args: Any, **kwargs: Any) -> Any:
    run = current()
    if run is None or run._hook is None:
        return do(*args, **kwargs)
    with run._hook.step_of(owner):  # the outermost closes the step
        return do(*args, **kwargs)


def _evaluate(evaluate: Any, *args: Any, **kwargs: Any) -> Any:
    with category("evaluate"):
        return evaluate(*args, **kwargs)


# --- Checkpoints ----------------------------------------------------------------------------------


def _save_checkpoint(save: Any, iteration: int, *args: Any, **kwargs: Any) -> Any:
    """No save is begun while a stop is under way: the last step of this rank is still ahead."""
    run = current()
    folder = _folder("save", iteration)
    if run is None or folder is None:
        return save(iteration, *args, **kwargs)
    if is_refused_on_a_rank("megatron.save_checkpoint", folder):
        return None
    was_there = os.path.exists(folder)
    try:
        saved = save(iteration, *args, **kwargs)
    except (ExportDenied, CheckpointException) as failed:
        if not was_refused(failed):
            raise
        leave_no_half(folder, was_there)  # the gate was shut meanwhile
        return None
    is_whole = not getattr(_arguments(), "async_save", False) and os.path.isdir(folder)
    if is_whole and not kwargs.get("non_persistent_ckpt") and is_first_rank():
        run.saved(folder)
        remove_orphans(os.path.dirname(folder), "iter_")
    return saved


def _load_checkpoint(load: Any, *args: Any, **kwargs: Any) -> Any:
    loaded = load(*args, **kwargs)
    run = current()
    if run is not None and is_first_rank():
        iteration = loaded[0] if isinstance(loaded, tuple) else 0
        quietly(_link, run, kwargs.get("load_arg", "load"), iteration)
    return loaded


def _link(run: Run, load_arg: str, iteration: int) -> None:
    folder = _folder(load_arg, iteration)
    if folder is not None:
        goes_on_from(run, folder)


def _arguments() -> Any:
    checkpoints = sys.modules.get(_CHECKPOINTS)
    return checkpoints.get_args() if checkpoints is not None else None


def _folder(which: str, iteration: int) -> str | None:
    """Of an iteration's checkpoint; where a fine-tune begins to count anew, of the newest one."""
    folder = os.fspath(getattr(_arguments(), which, None) or "")
    if not folder or "://" in folder:
        return None
    if iteration > 0 or which == "save":
        return os.path.join(folder, f"iter_{iteration:07d}")
    newest = Path(folder, "latest_checkpointed_iteration.txt")
    word = newest.read_text().strip() if newest.exists() else ""
    return os.path.join(folder, f"iter_{int(word):07d}" if word.isdigit() else "release")


_UNLINKED = "checkpoints link no runs, and a save under a stop may raise"
_CHECKPOINTING: dict[str, Callable[..., Any]] = {
    "save_checkpoint": _save_checkpoint,
    "load_checkpoint": _load_checkpoint,
}
_STEPS: dict[str, tuple[Callable[..., Any], str]] = {
    "train_step": (_train_step, "a step is that of the optimizer"),
    "evaluate": (_evaluate, "what evaluation computes is not told apart"),
}
