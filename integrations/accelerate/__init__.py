"""Hugging Face Accelerate: a loop of the job's own, whose parts an Accelerator has prepared.

A step is the prepared optimizer's, after gradient accumulation. ``save_state()`` leaves a sidecar,
``load_state()`` links the run that saved, and both are refused or told as a whole. At a signed stop
``optimizer.step()`` raises ShutdownOrdered; models, optimizers and schedulers are saved locked, and
``load(accelerator, run.restore())`` goes on from them after the lift.
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from libaccount._attach import quietly
from libaccount._errors import ExportDenied

from .._shared import (
    attach_each,
    goes_on_from,
    is_first_rank,
    make_record,
    offer,
    put_back,
    size_of,
    wrap,
)

if TYPE_CHECKING:
    from types import ModuleType

    from accelerate import Accelerator

    from libaccount import Run

_runs: weakref.WeakKeyDictionary[Accelerator, Run] = weakref.WeakKeyDictionary()
# By loader, of the batch that it gave last, until a backward is made of it.
_sizes: weakref.WeakKeyDictionary[Any, tuple[int, int]] = weakref.WeakKeyDictionary()


def attach(accelerator: Accelerator, run: Run) -> None:
    """See ``libaccount.attach``."""
    from accelerate import Accelerator, data_loader

    _runs[accelerator] = run
    wrap(Accelerator, "backward", _backward)
    for kind in (data_loader.DataLoaderShard, data_loader.DataLoaderDispatcher):
        wrap(kind, "__iter__", _iterate)
    wrap(Accelerator, "save_state", _save_state)
    wrap(Accelerator, "save_model", _save_model)
    wrap(Accelerator, "load_state", _load_state)
    known = weakref.ref(accelerator)
    run._offer_state(lambda: _state_of(known()))


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on."""
    attach_each(framework.Accelerator, attach)


def load(accelerator: Accelerator, state: dict[str, Any]) -> None:
    """Puts what ``Run.restore()`` gave back into what the accelerator has prepared.

    Call it where ``load_state()`` would stand. The loop itself goes on where the job lets it: what
    it needs for that it has registered with ``register_for_checkpointing()``.
    """
    put_back(_parts(accelerator), state, "prepared")


def _parts(accelerator: Accelerator) -> dict[str, list[Any]]:
    scaler = accelerator.scaler
    return {
        "models": [accelerator.unwrap_model(model) for model in accelerator._models],
        "optimizers": list(accelerator._optimizers),
        "schedulers": list(accelerator._schedulers),
        "scalers": [] if scaler is None else [scaler],
        "objects": list(accelerator._custom_objects),
    }


def _state_of(accelerator: Accelerator | None) -> dict[str, Any]:
    if accelerator is None or not accelerator._models:
        return {}
    return {
        kind: [part.state_dict() for part in parts] for kind, parts in _parts(accelerator).items()
    }


# --- The accelerator's own functions --------------------------------------------------------------


def _iterate(iterate: Any, loader: Any) -> Iterator[Any]:
    try:
        for batch in iterate(loader):
            if torch.is_grad_enabled():
                _sizes[loader] = size_of(batch)
            yield batch
    finally:
        _sizes.pop(loader, None)


def _backward(backward: Any, accelerator: Accelerator, *args: Any, **kwargs: Any) -> Any:
    """What was trained on: not what is evaluated, of which there is no backward."""
    done = backward(accelerator, *args, **kwargs)
    run = _runs.get(accelerator)
    if run is not None:
        for size in list(_sizes.values()):
            offer(run, "accelerate", size, lambda: _ranks_share_batches(accelerator))
    _sizes.clear()
    return done


def _ranks_share_batches(accelerator: Accelerator) -> bool:
    """Tensor, context or sequence parallel."""
    mesh = getattr(accelerator, "parallelism_config", None)
    return mesh is not None and mesh.non_data_parallel_size > 1


def _save_state(save: Any, accelerator: Accelerator, *args: Any, **kwargs: Any) -> Any:
    run = _runs.get(accelerator)
    if run is None:
        return save(accelerator, *args, **kwargs)
    folder = kwargs.get("output_dir", args[0] if args else None)
    was_there = folder is not None and os.path.exists(folder)
    try:
        saved = save(accelerator, *args, **kwargs)
    except ExportDenied:  # the gate was shut meanwhile: no half of a checkpoint stays
        if folder is not None and not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if is_first_rank() and isinstance(saved, (str, os.PathLike)):
        run.saved(saved)
    return saved


def _save_model(save: Any, accelerator: Accelerator, *args: Any, **kwargs: Any) -> Any:
    saved = save(accelerator, *args, **kwargs)
    run = _runs.get(accelerator)
    if run is not None and is_first_rank():
        folder = kwargs.get("save_directory", args[1] if len(args) > 1 else None)
        quietly(make_record, run, str(folder))
    return saved


def _load_state(load_state: Any, accelerator: Accelerator, *args: Any, **kwargs: Any) -> Any:
    folder = kwargs.get("input_dir", args[0] if args else None)
    run = _runs.get(accelerator)
    if run is not None and folder is not None and is_first_rank():
        goes_on_from(run, folder)
    return load_state(accelerator, *args, **kwargs)
