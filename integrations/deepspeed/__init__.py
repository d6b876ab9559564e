"""DeepSpeed: the engine that ``deepspeed.initialize()`` makes, ZeRO 0 to 3 and pipelines.

A step is the engine's, after gradient accumulation, also one that was skipped for an overflow; how
often its inner optimizers step for that is theirs. ``save_checkpoint()`` leaves a sidecar beside
the folder of its tag, ``load_checkpoint()`` links the run that saved, and ``save_16bit_model()``
leaves a record. At a signed stop ``engine.step()`` raises ShutdownOrdered, on all ranks at the same
step. Each rank saves locked what it holds of the state (state.py); after the lift
``load_checkpoint()`` goes on from there, or ``load(engine, run.restore())`` does.
"""

from __future__ import annotations

import os
import shutil
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from libaccount._attach import quietly
from libaccount._errors import Error, ExportDenied
from libaccount._gate import permit
from libaccount._state import random_states, set_random_states

from .._shared import attach_each, goes_on_from, is_first_rank, make_record, state_of_a_stop, wrap
from .state import has_only_deepspeeds_own, put_back, state_of

if TYPE_CHECKING:
    from types import ModuleType

    from libaccount import Run

_runs: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()
_stepping: Any = None  # the engine inside whose step() this process is


def attach(engine: Any, run: Run) -> None:
    """See ``libaccount.attach``. The steps of the engine that is attached are the run's."""
    _attach(engine, run)
    if run._hook is not None:
        run._hook.take_steps_from(engine)


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on. The first of them that steps has the steps."""
    attach_each(framework.DeepSpeedEngine, _attach)


def load(engine: Any, state: dict[str, Any]) -> None:
    """Puts what ``Run.restore()`` gave back into the engine.

    Call it on all ranks, where ``load_checkpoint()`` would stand; the loop then goes on from
    ``engine.global_steps``. Raises Error, and changes nothing, where what was saved is not of such
    an engine.
    """
    if "deepspeed" not in state:
        raise Error("what was saved at the stop is not a DeepSpeed engine's", "invalid_argument")
    put_back(engine, state["deepspeed"])


def _attach(engine: Any, run: Run) -> None:
    from deepspeed.runtime.engine import DeepSpeedEngine

    for name, around in _AROUND.items():
        wrap(DeepSpeedEngine, name, around)
    _runs[engine] = run
    run._offer_state(_state_of_the_stopped)


# --- The engine's own functions -------------------------------------------------------------------


def _take_model_step(take: Any, engine: Any, *args: Any, **kwargs: Any) -> Any:
    global _stepping
    run = _runs.get(engine)
    if run is None or run._hook is None:
        return take(engine, *args, **kwargs)
    _stepping = engine
    try:
        with run._hook.step_of(engine) as owns:
            taken = take(engine, *args, **kwargs)
            if owns:
                quietly(_offer_samples, run, engine)
            return taken
    finally:
        _stepping = None


def _offer_samples(run: Run, engine: Any) -> None:
    """Of a step, as the engine itself counts them (``global_samples``): by its configuration."""
    if engine.dp_world_size != torch.distributed.get_world_size():
        return  # ranks share batches
    samples = engine.train_micro_batch_size_per_gpu() * engine.gradient_accumulation_steps()
    run._offer_intake("deepspeed", samples, 0)


def _save_checkpoint(
    save: Any, engine: Any, save_dir: Any, tag: Any = None, *args: Any, **kwargs: Any
) -> Any:
    run = _runs.get(engine)
    if run is None:
        return save(engine, save_dir, tag, *args, **kwargs)
    folder = Path(save_dir, str(tag) if tag is not None else f"global_step{engine.global_steps}")
    permit("DeepSpeedEngine.save_checkpoint", folder)  # before the first file of any rank
    was_there = folder.exists()
    try:
        saved = save(engine, save_dir, tag, *args, **kwargs)
    except ExportDenied:  # the gate was shut meanwhile: no half of a checkpoint stays
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if is_first_rank():
        run.saved(folder)
    return saved


def _save_16bit_model(
    save: Any, engine: Any, save_dir: Any, save_filename: str = "pytorch_model.bin", **kwargs: Any
) -> Any:
    run = _runs.get(engine)
    if run is not None:
        permit("DeepSpeedEngine.save_16bit_model", save_dir)
    saved = save(engine, save_dir, save_filename, **kwargs)
    path = os.path.join(save_dir, save_filename)
    if run is not None and is_first_rank() and os.path.exists(path):
        quietly(make_record, run, path)
    return saved


def _load_checkpoint(
    load: Any, engine: Any, load_dir: Any, tag: Any = None, *args: Any, **kwargs: Any
) -> Any:
    loaded = load(engine, load_dir, tag, *args, **kwargs)
    run = _runs.get(engine)
    path, client_state = loaded if isinstance(loaded, tuple) else (None, None)
    if run is None or path is None:
        return loaded
    if is_first_rank():
        goes_on_from(run, path if os.path.isdir(path) else os.path.dirname(path))
    if tag is None and not args and _is_whole(**kwargs) and has_only_deepspeeds_own(client_state):
        _go_on_from_a_stop(engine, run)
    return loaded


_AROUND: dict[str, Callable[..., Any]] = {
    "_take_model_step": _take_model_step,
    "save_checkpoint": _save_checkpoint,
    "save_16bit_model": _save_16bit_model,
    "load_checkpoint": _load_checkpoint,
}


# --- What a stop saves, and how training goes on from it ------------------------------------------


def _state_of_the_stopped() -> dict[str, Any]:
    """Raises Error, and says so, where a rank does not hold what it would go on from."""
    try:
        return {"deepspeed": state_of(_the_one_that_stopped())}
    except Error as nothing:
        if is_first_rank():
            print(f"account: nothing is saved of a DeepSpeed engine: {nothing}", file=sys.stderr)
        raise


def _the_one_that_stopped() -> Any:
    engine = _stepping
    if engine is None:  # a trainer's step, or one by hand: it may not be the engine's
        raise Error("it was not engine.step() that ended at the stop", "unavailable")
    run = _runs[engine]
    trained = [one for one, its in _runs.items() if its is run and one.optimizer is not None]
    if len(trained) > 1:
        raise Error(f"{len(trained)} train, and only one of them stepped", "unavailable")
    return engine


def _is_whole(
    load_optimizer_states: bool = True,
    load_lr_scheduler_states: bool = True,
    load_module_only: bool = False,
    **_: Any,
) -> bool:
    return load_optimizer_states and load_lr_scheduler_states and not load_module_only


def _go_on_from_a_stop(engine: Any, run: Run) -> None:
    """From the newest checkpoint the engine goes on to where a stop ended it, if that was later.

    A job that keeps nothing of its own in its checkpoints can tell only by the engine how far it
    has come; one that does would be elsewhere than the engine.
    """
    before = random_states()
    state = state_of_a_stop(run, "deepspeed")
    if state is None or state["counters"]["global_steps"] <= engine.global_steps:
        set_random_states(before)
        return
    put_back(engine, state)
    if is_first_rank():
        print(
            f"account: training goes on from step {engine.global_steps}, where it was stopped",
            file=sys.stderr,
        )
