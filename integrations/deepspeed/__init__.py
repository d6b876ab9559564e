"""DeepSpeed: the engine that ``deepspeed.initialize()`` makes, ZeRO 0 to 3 and pipelines.

A step is the engine's, after gradient accumulation, also one that was skipped for an overflow; how
often its inner optimizers step for that is theirs. ``save_checkpoint()`` leaves a sidecar beside
the folder of its tag, ``load_checkpoint()`` links the run that saved, and ``save_16bit_model()``
leaves a record. At a signed stop ``engine.step()`` raises ShutdownOrdered, on all ranks at the same
step; a ZeRO rank holds a part of the state only, so that nothing is saved locked, and after the
lift a job goes on from its newest checkpoint.
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libaccount._attach import quietly
from libaccount._errors import ExportDenied
from libaccount._gate import permit

from .._shared import attach_each, goes_on_from, is_first_rank, make_record, wrap

if TYPE_CHECKING:
    from types import ModuleType

    from libaccount import Run

_runs: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()


def attach(engine: Any, run: Run) -> None:
    """See ``libaccount.attach``. The steps of the engine that is attached are the run's."""
    _attach(engine, run)
    if run._hook is not None:
        run._hook.take_steps_from(engine)


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on. The first of them that steps has the steps."""
    attach_each(framework.DeepSpeedEngine, _attach)


def _attach(engine: Any, run: Run) -> None:
    from deepspeed.runtime.engine import DeepSpeedEngine

    for name, around in _AROUND.items():
        wrap(DeepSpeedEngine, name, around)
    _runs[engine] = run


# --- The engine's own functions -------------------------------------------------------------------


def _take_model_step(take: Any, engine: Any, *args: Any, **kwargs: Any) -> Any:
    run = _runs.get(engine)
    if run is None or run._hook is None:
        return take(engine, *args, **kwargs)
    with run._hook.step_of(engine):
        return take(engine, *args, **kwargs)


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


def _load_checkpoint(load: Any, engine: Any, *args: Any, **kwargs: Any) -> Any:
    loaded = load(engine, *args, **kwargs)
    run = _runs.get(engine)
    path = loaded[0] if isinstance(loaded, tuple) else None
    if run is not None and path is not None and is_first_rank():
        goes_on_from(run, path if os.path.isdir(path) else os.path.dirname(path))
    return loaded


_AROUND: dict[str, Callable[..., Any]] = {
    "_take_model_step": _take_model_step,
    "save_checkpoint": _save_checkpoint,
    "save_16bit_model": _save_16bit_model,
    "load_checkpoint": _load_checkpoint,
}
