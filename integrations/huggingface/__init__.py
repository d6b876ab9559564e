"""Hugging Face Transformers' Trainer, and the trainers that build on it (TRL's, Seq2SeqTrainer).

A step is the trainer's (``on_step_end``: after gradient accumulation, also where a scaler skipped
the optimizer's). Training, evaluation and generation are told apart. At a signed stop every rank
leaves its loop at the same step, without saving, and ``train()`` raises ShutdownOrdered when the
trainer has ended; the state is saved locked, and ``train()`` goes on from it after the lift.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from libaccount import category, start
from libaccount._after_import import after_import
from libaccount._attach import quietly
from libaccount._errors import ExportDenied
from libaccount._run import current

from .._shared import (
    attach_each,
    begins_from,
    goes_on_from,
    is_first_rank,
    is_refused,
    make_record,
    offer,
    record_in,
    remove_orphans,
    size_of,
    state_of_a_stop,
    unless_said,
    wrap,
)

if TYPE_CHECKING:
    from types import ModuleType

    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

    from libaccount import Run

_CHECKPOINT = "checkpoint-"


def attach(trainer: Trainer, run: Run) -> None:
    """See ``libaccount.attach``. Takes effect from the trainer's next step on."""
    if callback_of(trainer) is None:
        trainer.add_callback(Callback(run))


def watch(framework: ModuleType) -> None:
    """Attaches every one that is made from now on."""
    attach_each(framework.Trainer, attach)
    _wrap_saves()


def callback_of(trainer: Trainer) -> Callback | None:
    """Ours, where it counts: under ACCOUNT=off a trainer is left as it is."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, Callback) and callback.run.counting:
            return callback
    return None


class Callback(TrainerCallback):  # type: ignore[misc]
    """What ``report_to="libaccount"`` and ``callbacks=[Callback()]`` add to a trainer.

    Belongs to the current run, or starts one by the environment's settings.
    """

    def __init__(self, run: Run | None = None) -> None:
        self.run = run or current() or start()
        self.stopped: SystemExit | None = None  # what the run raised at the step that was the last
        if self.run.counting:  # under ACCOUNT=off nothing is touched
            _wrap_trainer()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.run._leave_steps_to_caller()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        try:
            self.run.step()
        except SystemExit as stop:  # ShutdownOrdered, ThresholdReached
            self.stopped = stop
        return self._obeyed(args, state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        return self._obeyed(args, state, control)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        checkpoint = _checkpoint(args, state)
        if self.run.counting and state.is_world_process_zero and os.path.isdir(checkpoint):
            self.run.saved(checkpoint)
            remove_orphans(args.output_dir, _CHECKPOINT)

    def _obeyed(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl
    ) -> TrainerControl:
        if self.stopped is not None:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False
        elif control.should_save and is_refused("transformers.Trainer", _checkpoint(args, state)):
            control.should_save = False  # a stop is under way; this rank's last step is still ahead
        return control


def _checkpoint(args: TrainingArguments, state: TrainerState) -> str:
    return os.path.join(args.output_dir, f"{_CHECKPOINT}{state.global_step}")


# --- The trainer's own functions ------------------------------------------------------------------


def _wrap_trainer() -> None:
    from transformers import Trainer

    wrap(Trainer, "train", _train)
    wrap(Trainer, "training_step", _training_step)
    wrap(Trainer, "evaluate", _evaluate)
    wrap(Trainer, "predict", _evaluate)
    wrap(Trainer, "_save_checkpoint", _save_checkpoint)
    wrap(Trainer, "create_model_card", _create_model_card)
    _wrap_saves()


def _train(
    train: Any, trainer: Trainer, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any
) -> Any:
    callback = callback_of(trainer)
    if callback is None:
        return train(trainer, resume_from_checkpoint, *args, **kwargs)
    run = callback.run
    _remember(trainer.model, run)
    with category("train"):
        stopped_at = _state_of_a_stop(trainer, run, resume_from_checkpoint)
        quietly(_tell_origins, trainer, run, None if stopped_at else resume_from_checkpoint)
        run._offer_state(_state_reader(trainer))
        try:
            result = train(trainer, stopped_at or resume_from_checkpoint, *args, **kwargs)
        finally:
            run._offer_state(None)
    if callback.stopped is not None:
        raise callback.stopped
    return result


def _training_step(
    step: Any, trainer: Trainer, model: Any, inputs: Any, *args: Any, **kwargs: Any
) -> Any:
    """A batch, of which several make a step where gradients accumulate."""
    size = size_of(inputs)  # the trainer may take parts out of it
    loss = step(trainer, model, inputs, *args, **kwargs)
    callback = callback_of(trainer)
    if callback is not None:
        offer(callback.run, "transformers", size, lambda: _ranks_share_batches(trainer))
    return loss


def _ranks_share_batches(trainer: Trainer) -> bool:
    """Tensor, context or sequence parallel."""
    sizes = (getattr(trainer, f"get_{kind}_size", None) for kind in ("tp", "cp", "sp"))
    return any(size is not None and size() != 1 for size in sizes)


def _evaluate(evaluate: Any, trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    if callback_of(trainer) is None:
        return evaluate(trainer, *args, **kwargs)
    with category("evaluate"):
        return evaluate(trainer, *args, **kwargs)


def _save_checkpoint(save: Any, trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    """The gate may shut while a checkpoint is written; half of one is not left behind."""
    callback = callback_of(trainer)
    if callback is None:
        return save(trainer, *args, **kwargs)
    checkpoint = _checkpoint(trainer.args, trainer.state)
    was_there = os.path.exists(checkpoint)
    try:
        with _Inside():
            return save(trainer, *args, **kwargs)
    except ExportDenied:
        if not was_there:
            shutil.rmtree(checkpoint, ignore_errors=True)
        return None


def _create_model_card(create: Any, trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    made = create(trainer, *args, **kwargs)
    callback = callback_of(trainer)
    if callback is not None and trainer.is_world_process_zero():
        quietly(_record, callback.run, trainer.args.output_dir, trainer.model)
    return made


def _tell_origins(trainer: Trainer, run: Run, resume: Any) -> None:
    if not is_first_rank():
        return
    if resume is True:
        resume = get_last_checkpoint(trainer.args.output_dir)
    if resume and not goes_on_from(run, resume):
        _of_unknown.add(run)
    begins_from(run, _folders_of_origin(trainer.model))


# --- What a stop saves, and how training goes on from it ------------------------------------------


def _state_reader(trainer: Trainer) -> Any:
    """None where a rank alone does not hold what it would go on from."""
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return None
    known = weakref.ref(trainer)

    def read() -> dict[str, Any]:
        trainer = known()
        assert trainer is not None  # the offer ends with train()
        state: dict[str, Any] = {
            "trainer_state": json.dumps(dataclasses.asdict(trainer.state)),
            "model": _weights_of(trainer),
            "optimizer": trainer.optimizer.state_dict(),
            "scheduler": trainer.lr_scheduler.state_dict(),
        }
        if trainer.accelerator.scaler is not None:
            state["scaler"] = trainer.accelerator.scaler.state_dict()
        return {"transformers": state}

    return read


def _weights_of(trainer: Trainer) -> dict[str, Any]:
    model = _bare(trainer.model)
    if _is_peft(model):
        from peft import get_peft_model_state_dict

        adapter: dict[str, Any] = get_peft_model_state_dict(model)
        return adapter
    weights: dict[str, Any] = model.state_dict()
    return weights


def _state_of_a_stop(trainer: Trainer, run: Run, resume_from_checkpoint: Any) -> str | None:
    """The state that this rank saved at a stop, as a checkpoint that the trainer goes on from; None
    where there is none, or a newer checkpoint, or the job names one. The stop has been lifted: it
    may be written.
    """
    if _state_reader(trainer) is None or isinstance(resume_from_checkpoint, (str, os.PathLike)):
        return None
    state = state_of_a_stop(run, "transformers")
    if state is None:
        return None
    step = int(json.loads(state["trainer_state"])["global_step"])
    folder = trainer.args.output_dir
    newest = get_last_checkpoint(folder) if os.path.isdir(folder) else None
    if newest is not None and _step_of(newest) > step:
        return None
    checkpoint = os.path.join(folder, f"{_CHECKPOINT}{step}")
    os.makedirs(checkpoint, exist_ok=True)
    trainer._save_rng_state(checkpoint)  # restore() has set the generators
    if trainer.args.should_save:
        _load_weights(trainer, state["model"])
        with _Inside():
            trainer.save_model(checkpoint, _internal_call=True)
        for name in ("optimizer", "scheduler", "scaler"):
            if name in state:
                torch.save(state[name], os.path.join(checkpoint, f"{name}.pt"))
        Path(checkpoint, "trainer_state.json").write_text(state["trainer_state"])
    trainer.accelerator.wait_for_everyone()
    return checkpoint


def _step_of(checkpoint: str) -> int:
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads(Path(checkpoint, "trainer_state.json").read_text())["global_step"])
    return -1


def _load_weights(trainer: Trainer, weights: dict[str, Any]) -> None:
    model = _bare(trainer.model)
    if _is_peft(model):
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, weights)
    else:
        model.load_state_dict(weights)


# --- What save_pretrained() leaves, and generate() ------------------------------------------------

# The runs that models were trained in, and those that went on from a checkpoint of an unknown one.
_of_runs: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()
_of_unknown: weakref.WeakSet[Run] = weakref.WeakSet()


def _remember(model: Any, run: Run) -> None:
    model = _bare(model)
    _of_runs[model] = run
    if _is_peft(model):  # merged, what is left is the base
        _of_runs[model.get_base_model()] = run


class _Inside:
    """While a checkpoint is saved: its sidecar is enough, weights are not read for a record."""

    depth = 0

    def __enter__(self) -> None:
        _Inside.depth += 1

    def __exit__(self, *error: object) -> None:
        _Inside.depth -= 1


def _wrap_saves() -> None:
    after_import("transformers.modeling_utils", _wrap_model)
    after_import("transformers.generation.utils", _wrap_generation)
    after_import("peft.peft_model", _wrap_adapter)


def _wrap_model(models: ModuleType) -> None:
    wrap(models.PreTrainedModel, "save_pretrained", _save_pretrained)


def _wrap_adapter(adapters: ModuleType) -> None:
    wrap(adapters.PeftModel, "save_pretrained", _save_pretrained)


def _wrap_generation(generation: ModuleType) -> None:
    wrap(generation.GenerationMixin, "generate", _generate)


def _save_pretrained(save: Any, model: Any, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
    with _Inside():  # an adapter saves its base's parts by the same function
        saved = save(model, save_directory, *args, **kwargs)
    run = _of_runs.get(model)
    is_main = kwargs.get("is_main_process", args[0] if args else True)
    if run is not None and _Inside.depth == 0 and is_main and is_first_rank():
        quietly(_record, run, os.fspath(save_directory), model)
    return saved


def _record(run: Run, folder: str, model: Any) -> None:
    """What was begun from is what from_pretrained() loaded, where that has a record.

    Else it is unknown: a model that was made from a configuration may have been given any weights,
    and an adapter does not say whether it was loaded or made.
    """
    parents = [path for path in _folders_of_origin(model) if record_in(path) is not None]
    adapter = _is_peft(_bare(model))
    if not parents or adapter or run in _of_unknown:
        parents.append("unknown")
    make_record(run, folder, "adapter" if adapter else "fine-tune", parents)


def _generate(generate: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
    """What a trainer generates to learn from is a rollout; what it evaluates by is evaluation."""
    inside = category.of_this_thread()
    with category("rollout") if inside == "train" else unless_said("generate"):
        return generate(model, *args, **kwargs)


# --- Models ---------------------------------------------------------------------------------------

_AROUND = (
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
    torch._dynamo.OptimizedModule,
)


def _bare(model: Any) -> Any:
    """Without DistributedDataParallel's or torch.compile's module around it."""
    while isinstance(model, _AROUND):
        model = getattr(model, "_orig_mod", None) or model.module
    return model


def _is_peft(model: Any) -> bool:
    return hasattr(model, "peft_config") and hasattr(model, "get_base_model")


def _folders_of_origin(model: Any) -> Iterator[str]:
    """Where from_pretrained() found the model: a folder, or that of a name's copy in the cache."""
    name = getattr(getattr(_bare(model), "config", None), "_name_or_path", "")
    if os.path.isdir(name):
        yield name
    elif name:
        from huggingface_hub import try_to_load_from_cache

        with suppress(Exception):  # no such name
            cached = try_to_load_from_cache(name, "config.json")
            if isinstance(cached, str):
                yield os.path.dirname(cached)
