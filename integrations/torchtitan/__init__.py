"""torchtitan: the Trainer that ``torchrun -m torchtitan.train`` builds from a configuration.

A step is ``train_step()``'s, after all gradients are accumulated, all optimizers of all model parts
and the schedules have stepped. Training and validation are told apart. Checkpoints leave a sidecar,
which torchtitan itself does not see; a checkpoint that is loaded links the run that saved it, and a
model that is saved alone carries a record. At a signed stop ``train_step()`` raises ShutdownOrdered
on all ranks at the same step, before a checkpoint of that step is begun, and the trainer is closed.
After the lift it goes on from its newest checkpoint.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch.distributed.checkpoint.api import CheckpointException

from libaccount import category
from libaccount._attach import quietly
from libaccount._errors import ExportDenied

from .._shared import (
    attach_each,
    begins_from,
    goes_on_from,
    is_first_rank,
    is_refused_on_a_rank,
    leave_no_half,
    make_record,
    record_in,
    remove_orphans,
    was_refused,
    wrap_known,
)

if TYPE_CHECKING:
    from types import ModuleType

    from libaccount import Run

# Of trainers, and of their checkpointers and validators.
_runs: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()


def attach(trainer: Any, run: Run) -> None:
    """See ``libaccount.attach``. The steps of the trainer that is attached are the run's."""
    _attach(trainer, run)
    if run._hook is not None and hasattr(trainer, "train_step"):
        run._hook.take_steps_from(trainer)


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on. The first of them that steps has the steps."""
    attach_each(framework.Trainer, _attach)


def name_of(trainer: Any) -> str:
    """What torchtitan calls the model: "llama3 8B"."""
    model = trainer.config.model_spec
    return f"{model.name} {model.flavor}"


def _attach(trainer: Any, run: Run) -> None:
    _hook(trainer, run, "train", _train, "a stopped trainer is not closed")
    _hook(trainer, run, "train_step", _train_step, "a step is the first optimizer's")
    checkpointer = getattr(trainer, "checkpointer", None)
    if getattr(checkpointer, "enable", False):
        _hook(checkpointer, run, "_should_save", _should_save, "a refused save raises ExportDenied")
        if _hide_sidecars():
            _hook(checkpointer, run, "dcp_save", _save, _UNLINKED)
            _hook(checkpointer, run, "dcp_load", _load, _UNLINKED)
    validator = getattr(trainer, "validator", None)
    if validator is not None:
        _hook(validator, run, "validate", _validate, "what validation computes is not told apart")


def _hook(part: Any, run: Run, name: str, around: Callable[..., Any], without: str) -> None:
    if wrap_known(type(part), name, around, "torchtitan", without):
        _runs[part] = run


# --- The trainer's own functions ------------------------------------------------------------------


def _train(train: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    if trainer not in _runs:
        return train(trainer, *args, **kwargs)
    try:
        with category("train"):
            return train(trainer, *args, **kwargs)
    except SystemExit:  # ShutdownOrdered, ThresholdReached; torchtitan itself closes at errors only
        quietly(_settle, getattr(trainer, "checkpointer", None))
        quietly(trainer.close)
        raise


def _train_step(step: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    run = _runs.get(trainer)
    if run is None or run._hook is None:
        return step(trainer, *args, **kwargs)
    with run._hook.step_of(trainer):  # once, also where a subclass calls the base's
        return step(trainer, *args, **kwargs)


def _validate(validate: Any, validator: Any, *args: Any, **kwargs: Any) -> Any:
    if validator not in _runs:
        return validate(validator, *args, **kwargs)
    with category("evaluate"):
        return validate(validator, *args, **kwargs)


# --- Its checkpoints ------------------------------------------------------------------------------

_UNLINKED = "checkpoints link no runs"
# The save of a checkpointer that is made in the background: its future, and its folder.
_under_way: weakref.WeakKeyDictionary[Any, tuple[Any, str, bool]] = weakref.WeakKeyDictionary()
# What a checkpointer has loaded.
_loaded: weakref.WeakKeyDictionary[Any, list[str]] = weakref.WeakKeyDictionary()


def _hide_sidecars() -> bool:
    """torchtitan takes each name with "step-N" in it for a checkpoint when it counts which to keep.

    It lists its folder by a function of its own; False where another version does not.
    """
    try:
        files = import_module("torchtitan.tools.filesystem")
    except ImportError:
        files = None
    return wrap_known(files, "listdir", _list_without_sidecars, "torchtitan", _UNLINKED)


def _list_without_sidecars(list_folder: Any, *args: Any, **kwargs: Any) -> list[str]:
    names = list_folder(*args, **kwargs)
    return [name for name in names if not name.endswith(".account.json")]


def _should_save(ask: Any, checkpointer: Any, step: int, *args: Any, **kwargs: Any) -> bool:
    """No save is begun while a stop is under way: the last step of this rank is still ahead."""
    should_save = ask(checkpointer, step, *args, **kwargs)
    _settle(checkpointer, wait=should_save)  # torchtitan itself would wait now
    if not should_save:
        return False
    folder = f"{checkpointer.folder}/step-{step}"
    way = "torchtitan.CheckpointManager.save"
    return checkpointer not in _runs or not is_refused_on_a_rank(way, folder)


def _save(
    save: Any, checkpointer: Any, states: Any, checkpoint_id: str, *args: Any, **kwargs: Any
) -> Any:
    run = _runs.get(checkpointer)
    if run is None or "://" in checkpoint_id:
        return save(checkpointer, states, checkpoint_id, *args, **kwargs)
    was_there = os.path.exists(checkpoint_id)
    try:
        saved = save(checkpointer, states, checkpoint_id, *args, **kwargs)
    except (ExportDenied, CheckpointException) as failed:
        if not was_refused(failed):
            raise
        leave_no_half(checkpoint_id, was_there)  # the gate was shut meanwhile
        if checkpointer.async_mode != "disabled":  # it asks for a future
            raise
        return None
    future = getattr(saved, "upload_completion", saved)
    if hasattr(future, "result"):
        _under_way[checkpointer] = (future, checkpoint_id, was_there)
    elif any(part in states for part in checkpointer.states if part != "model"):
        _tell_saved(checkpointer, checkpoint_id)
    elif is_first_rank():
        quietly(_record, run, checkpoint_id, _loaded.get(checkpointer, []))
    return saved


def _settle(checkpointer: Any, wait: bool = True) -> None:
    """Of a save in the background: a sidecar once it is whole, and nothing where it was refused."""
    known = _under_way.get(checkpointer)
    if known is None or not (wait or known[0].done()):
        return
    del _under_way[checkpointer]
    future, folder, was_there = known
    try:
        future.result()
    except (Exception, CheckpointException) as failed:  # torchtitan itself raises what it was
        if was_refused(failed):
            leave_no_half(folder, was_there)
            checkpointer.save_future = None
        return
    _tell_saved(checkpointer, folder)


def _tell_saved(checkpointer: Any, folder: str) -> None:
    if is_first_rank():
        _runs[checkpointer].saved(folder)
        remove_orphans(checkpointer.folder, "step-")


def _record(run: Run, folder: str, loaded: list[str]) -> None:
    """Weights that were begun from none are known to be; of others, what has a record."""
    parents = [path for path in loaded if record_in(path) is not None]
    if len(parents) < len(loaded):
        parents.append("unknown")
    make_record(run, folder, "fine-tune" if loaded else "pretraining", parents)


def _load(
    load: Any, checkpointer: Any, states: Any, checkpoint_id: str, *args: Any, **kwargs: Any
) -> None:
    load(checkpointer, states, checkpoint_id, *args, **kwargs)
    run = _runs.get(checkpointer)
    if run is None:
        return
    _loaded.setdefault(checkpointer, []).append(checkpoint_id)
    if is_first_rank() and not goes_on_from(run, checkpoint_id):
        begins_from(run, [checkpoint_id])
