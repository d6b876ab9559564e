"""Lightning's Trainer, as `lightning.pytorch` and as `pytorch_lightning`.

A step is the batch that the optimizer stepped in (of several optimizers too: a GAN's two are one
step). Training and validation are told apart. At a signed stop every rank sets ``should_stop`` at
the same step; the loop ends without validating or saving, and ``fit()`` raises ShutdownOrdered when
the trainer has ended. The state is saved locked, and ``fit()`` goes on from it after the lift.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from libaccount import category
from libaccount._attach import quietly
from libaccount._errors import ExportDenied

from .._shared import (
    attach_each,
    goes_on_from,
    is_first_rank,
    make_record,
    offer,
    rank_here,
    size_of,
    state_of_a_stop,
    watch_launcher,
    wrap,
)

if TYPE_CHECKING:
    from types import ModuleType

    from libaccount import Run

_watched: weakref.WeakKeyDictionary[Any, _Watch] = weakref.WeakKeyDictionary()


def attach(trainer: Any, run: Run) -> None:
    """See ``libaccount.attach``. Takes effect from the trainer's next batch on."""
    if trainer in _watched:
        return
    kind = next(k for k in type(trainer).__mro__ if k.__module__.endswith("trainer.trainer"))
    for name, around in _AROUND.items():
        wrap(kind, name, around)
    quietly(watch_launcher, _package_of(kind))
    strategy = next(
        k for k in type(trainer.strategy).__mro__ if k.__module__.endswith("strategies.strategy")
    )
    wrap(strategy, "remove_checkpoint", _remove_checkpoint)
    wrap(type(trainer.fit_loop.epoch_loop.val_loop), "run", _evaluation)
    watch = _Watch(run)
    _watched[trainer] = watch
    trainer.callbacks.insert(0, _callback(kind, watch))


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on."""
    attach_each(framework.Trainer, attach)


class _Watch:
    """What is known of one trainer."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stopped: SystemExit | None = None  # what the run raised at the step that was the last
        self.steps = 0  # of the trainer, that have been told
        self.fits = False

    def batch_ended(self, trainer: Any) -> None:
        if trainer.global_step == self.steps:
            return  # gradients accumulate
        self.steps = trainer.global_step
        try:
            self.run.step()
        except SystemExit as stop:  # ShutdownOrdered, ThresholdReached
            self.stopped = stop
            trainer.should_stop = True
            # Asked to stop early, a trainer would validate once more.
            trainer.fit_loop.epoch_loop._skip_next_val = True

    def batch_starts(self) -> None:
        if self.stopped is not None:  # min_epochs or min_steps let the trainer go on
            raise self.stopped


def _package_of(trainer: type) -> str:
    return trainer.__module__.rpartition(".trainer.trainer")[0]


def _callback(kind: type, watch: _Watch) -> Any:
    """A callback of the package that the trainer is of."""
    base: Any = import_module(f"{_package_of(kind)}.callbacks").Callback

    class LibaccountCallback(base):  # type: ignore[misc]
        def on_train_start(self, trainer: Any, module: Any) -> None:
            watch.steps = trainer.global_step
            watch.run._leave_steps_to_caller()

        def on_train_batch_start(self, *_: Any) -> None:
            watch.batch_starts()

        def on_train_batch_end(
            self, trainer: Any, module: Any, outputs: Any, batch: Any, *_: Any
        ) -> None:
            offer(watch.run, "lightning", size_of(batch), lambda: _ranks_share_batches(trainer))
            watch.batch_ended(trainer)

    return LibaccountCallback()


def _ranks_share_batches(trainer: Any) -> bool:
    """Tensor parallel."""
    shares = getattr(trainer.strategy, "distributed_sampler_kwargs", None) or {}
    return bool(shares.get("num_replicas", trainer.world_size) != trainer.world_size)


# --- The trainer's own functions ------------------------------------------------------------------


def _fit(fit: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    watch = _watched.get(trainer)
    if watch is None:
        return fit(trainer, *args, **kwargs)
    given = kwargs.get("ckpt_path")
    path = None
    if given in (None, "last"):
        path = _state_of_a_stop(trainer, watch.run)
    elif is_first_rank():
        goes_on_from(watch.run, given)
    if path is not None:
        kwargs["ckpt_path"] = path
    watch.run._offer_state(_state_reader(trainer))
    watch.fits = True
    try:
        with category("train"):
            fitted = fit(trainer, *args, **kwargs)
    finally:
        watch.fits = False
        watch.run._offer_state(None)
        if path is not None:
            with suppress(OSError):
                os.unlink(path)
    if watch.stopped is not None:
        raise watch.stopped
    return fitted


def _evaluation(run: Any, loop: Any, *args: Any, **kwargs: Any) -> Any:
    """The loop of validation, inside fit() and alone, and of tests."""
    if loop.trainer not in _watched:
        return run(loop, *args, **kwargs)
    with category("evaluate"):
        return run(loop, *args, **kwargs)


def _predict(predict: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    if trainer not in _watched:
        return predict(trainer, *args, **kwargs)
    with category("evaluate"):
        return predict(trainer, *args, **kwargs)


def _save_checkpoint(save: Any, trainer: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
    watch = _watched.get(trainer)
    if watch is None:
        save(trainer, filepath, *args, **kwargs)
        return
    try:
        save(trainer, filepath, *args, **kwargs)
    except ExportDenied:
        if not watch.fits:
            raise
        # The trainer's own checkpoints are left out while it ends; the other ranks wait here.
        trainer.strategy.barrier("Trainer.save_checkpoint")
        return
    if trainer.is_global_zero:
        if watch.fits:
            watch.run.saved(filepath)
        else:
            quietly(make_record, watch.run, os.fspath(filepath))


def _remove_checkpoint(remove: Any, strategy: Any, filepath: Any) -> None:
    remove(strategy, filepath)
    if strategy.is_global_zero:
        with suppress(OSError):
            os.unlink(os.fspath(filepath) + ".account.json")


_AROUND = {
    "fit": _fit,
    "predict": _predict,
    "save_checkpoint": _save_checkpoint,
}


# --- What a stop saves, and how training goes on from it ------------------------------------------

_SCRIPTS_OWN = (  # what the job's script makes anew, and torch.load(weights_only=True) might refuse
    "hyper_parameters",
    "hparams_name",
    "hparams_type",
    "datamodule_hyper_parameters",
    "datamodule_hparams_name",
    "datamodule_hparams_type",
)


def _state_reader(trainer: Any) -> Any:
    """None where a rank alone does not hold what it would go on from."""
    if type(trainer.strategy).__name__ not in ("SingleDeviceStrategy", "DDPStrategy"):
        return None

    def read() -> dict[str, Any]:
        checkpoint: dict[str, Any] = trainer._checkpoint_connector.dump_checkpoint(False)
        return {"lightning": {k: v for k, v in checkpoint.items() if k not in _SCRIPTS_OWN}}

    return read


def _state_of_a_stop(trainer: Any, run: Run) -> str | None:
    """The state that this rank saved at a stop, as a checkpoint file of its own; None without."""
    checkpoint = state_of_a_stop(run, "lightning")
    if checkpoint is None:
        return None
    os.makedirs(trainer.default_root_dir, exist_ok=True)
    path = os.path.join(trainer.default_root_dir, f"account-{run.id}-rank-{rank_here()}.ckpt")
    torch.save(checkpoint, path)
    return path
