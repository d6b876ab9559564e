"""Ray Train: the workers of a TorchTrainer are the ranks of the run.

A worker learns its rank from Ray after torch was imported there, so that its part of the run begins
then; the driver, which trains nothing itself, takes no part while ``fit()`` runs. At a signed stop
every worker raises ShutdownOrdered out of ``optimizer.step()`` at the same step, and ``fit()``
fails; a worker that Ray would start anew is refused while the stop stands.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from libaccount._attach import watch_frameworks
from libaccount._errors import Error
from libaccount._run import current, start

from .._shared import wrap

if TYPE_CHECKING:
    from types import ModuleType

    from libaccount import Run

# Imported once ray.train.torch.config, which the first import of torch may be a part of, is whole.
AFTER_CONFIG = "ray.train.torch.train_loop_utils"


def attach(trainer: Any, run: Run) -> None:
    """The driver's trainer trains nothing itself."""
    raise Error(
        "a Ray trainer runs in other processes: start the script under `account run`, or call "
        "libaccount.start() at the beginning of the training function",
        "invalid_argument",
    )


def watch(framework: ModuleType) -> None:
    """In the driver."""
    wrap(framework.DataParallelTrainer, "fit", _fit)


def watch_worker(_: ModuleType) -> None:
    """In a worker, once ``AFTER_CONFIG`` was imported."""
    wrap(sys.modules["ray.train.torch.config"], "_set_torch_distributed_env_vars", _rank_is_known)


def _fit(fit: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    run = current()
    if run is None:
        return fit(trainer, *args, **kwargs)
    run.finish()  # as a rank it would be waited for
    try:
        return fit(trainer, *args, **kwargs)
    finally:
        start()  # what the driver computes afterwards counts again


def _rank_is_known(set_variables: Any) -> None:
    set_variables()
    if current() is None:
        start()
        watch_frameworks()
