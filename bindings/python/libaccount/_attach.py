"""attach(): the right thing for the object that a training loop is made of.

Which frameworks there are is written down here; what is to be done in each of them, in the folder
`integrations/` of its name. None is imported before the job has imported the framework.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from ._after_import import after_import
from ._errors import Error
from ._run import Run, current, start

if TYPE_CHECKING:
    from types import ModuleType

# Where a class, or a function, that may be attached to is defined: who knows it.
_CLASSES = {
    "transformers.trainer.Trainer": "huggingface",
    "lightning.pytorch.trainer.trainer.Trainer": "lightning",
    "pytorch_lightning.trainer.trainer.Trainer": "lightning",
    "lightning.fabric.fabric.Fabric": "fabric",
    "lightning_fabric.fabric.Fabric": "fabric",
    "accelerate.accelerator.Accelerator": "accelerate",
    "deepspeed.runtime.engine.DeepSpeedEngine": "deepspeed",
    "ray.train.v2.api.data_parallel_trainer.DataParallelTrainer": "ray",
    "torchtitan.trainer.Trainer": "torchtitan",
    "megatron.core.optimizer.optimizer.MegatronOptimizer": "megatron",
    "megatron.training.checkpointing.save_checkpoint": "megatron",
    "megatron.training.training.pretrain": "megatron",
    "torch.optim.optimizer.Optimizer": "torch",
    "torch.amp.grad_scaler.GradScaler": "torch",
    "torch.nn.modules.module.Module": "torch",
}


def attach(trainer: Any, **options: Any) -> Run:
    """Counts what a trainer trains, as a part of a run, which it starts unless one has begun.

    ``trainer`` is a Transformers ``Trainer`` (TRL's are such), a Lightning ``Trainer`` or
    ``Fabric``, an ``Accelerator``, a DeepSpeed engine, torchtitan's ``Trainer``, Megatron's
    ``pretrain`` or an optimizer of megatron.core, a torch optimizer, a ``GradScaler`` or a module;
    ``options`` are start()'s. What is done depends on it (``integrations/`` has a page for each):
    a step is the trainer's step, what it trains and what it evaluates are told apart, a signed stop
    ends it in its own way and saves its state, its checkpoints link runs, and the model that it
    saves carries a record.

    Of an optimizer the steps are the run's steps, whatever other optimizers do; a scaler's
    ``update()`` ends a step also where it skipped the optimizer's; a module says what to save at a
    stop (its ``state_dict()``), unless ``state=`` does.

    Attaching twice is the same as once. Raises Error for an object that nothing is known of.

    >>> import tempfile, torch, libaccount as account
    >>> model = torch.nn.Linear(2, 2)
    >>> generator, critic = (torch.optim.SGD(model.parameters()) for _ in range(2))
    >>> run = account.attach(generator, dir=tempfile.mkdtemp(), run="gan")
    >>> for optimizer in (critic, critic, generator):
    ...     optimizer.step()
    >>> run.totals().steps
    1
    >>> run.finish()
    """
    integration = _integration_of(trainer)
    name_of = getattr(integration, "name_of", None)  # of a framework that names its models
    if name_of is not None and current() is None and not os.environ.get("ACCOUNT_MODEL"):
        options.setdefault("model", quietly(name_of, trainer))
    run = start(**options)
    if run.counting:  # under ACCOUNT=off nothing is touched
        integration.attach(trainer, run)
    return run


def watch_frameworks() -> None:
    """Attaches every trainer that this process makes, of the frameworks that it imports."""
    for name, known in _CLASSES.items():
        if known != "torch":  # a loop without a trainer needs nothing
            after_import(name.rpartition(".")[0], partial(quietly, _watch, known))


def watch_ray_worker() -> None:
    """Starts a Ray worker's part of the run once Ray has told it its rank."""
    ray = _load("ray")
    after_import(ray.AFTER_CONFIG, ray.watch_worker)


def _watch(known: str, framework: ModuleType) -> None:
    _load(known).watch(framework)


def quietly(do: Any, *arguments: Any) -> Any:
    """Does it; a failure becomes one line on stderr, and training goes on as without it."""
    try:
        return do(*arguments)
    except Exception as error:
        with suppress(OSError, ValueError):
            print(f"account: {error}; training goes on", file=sys.stderr)
        return None


def _integration_of(trainer: Any) -> ModuleType:
    for kind in (trainer,) if isfunction(trainer) else type(trainer).__mro__:
        known = _CLASSES.get(f"{kind.__module__}.{kind.__qualname__}")
        if known is not None:
            return _load(known)
    raise Error(
        f"nothing is known of {type(trainer).__module__}.{type(trainer).__qualname__}; attach() "
        "takes a Transformers, Lightning or torchtitan Trainer, a Fabric, an Accelerator, a "
        "DeepSpeed engine, Megatron's pretrain or optimizer, or a torch optimizer, GradScaler or "
        "module. start() alone counts any loop",
        "invalid_argument",
    )


def _load(name: str) -> ModuleType:
    return import_module(f"libaccount.integrations.{name}")


def _offer_to_report_to(trackers: ModuleType) -> None:
    """``TrainingArguments(report_to="libaccount")``, in a script that imports libaccount."""
    trackers.INTEGRATION_TO_CALLBACK["libaccount"] = _load("huggingface").Callback


after_import("transformers.integrations.integration_utils", partial(quietly, _offer_to_report_to))
