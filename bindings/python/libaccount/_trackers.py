"""A few numbers of the whole job for the experiment trackers that the job itself uses.

For people: what a tracker keeps are doubles (the exact total goes to each as text), and evidence is
the ledger. Nothing is imported that the job has not imported, and no tracker is started.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ._after_import import after_import

if TYPE_CHECKING:
    from types import ModuleType

    from ._core import JobStatus

    _Tell = Callable[[JobStatus], None]

_PAUSE_SECONDS = 10.0

# Writers that the job made: TensorBoard knows no active run.
_writers: weakref.WeakSet[Any] = weakref.WeakSet()


class Trackers:
    """Tells the trackers of this process, at a step's end, once the pause since the last is over.

    From the thread that trains, since some of them know their run by thread. A tracker that raises
    costs one line on stderr, and is left alone from then on.
    """

    def __init__(self, read_job: Callable[[], JobStatus | None]) -> None:
        self._read_job = read_job
        self._next = 0.0
        self._steps_told = -1
        self._broken: set[str] = set()
        self._finders: dict[str, Callable[[], _Tell | None]] = {
            "wandb": _wandb,
            "mlflow": _mlflow,
            "trackio": _trackio,
            "tensorboard": _tensorboard,
            "opentelemetry": _Meter().find,
        }
        _watch_writers()

    def told_after(self, close_step: Callable[[], None]) -> Callable[[], None]:
        """The same, and the trackers are told when it is time; one look at the clock a step."""
        now = time.monotonic

        def close_and_tell() -> None:
            close_step()
            if now() >= self._next:
                self._next = now() + _pause()
                self.tell()

        return close_and_tell

    def tell(self) -> None:
        """Now, unless nothing has changed."""
        active = {name: self._guarded(name, find) for name, find in self._finders.items()}
        if not any(active.values()):
            return
        job = self._read_job()
        if job is None or job.steps == self._steps_told:
            return
        self._steps_told = job.steps
        for name, tell in active.items():
            if tell is not None:
                self._guarded(name, tell, job)

    def _guarded(self, name: str, do: Callable[..., Any], *arguments: Any) -> Any:
        """None where it raises, whatever that is: training goes on."""
        if name in self._broken:
            return None
        try:
            return do(*arguments)
        except Exception as error:
            self._broken.add(name)
            with suppress(OSError, ValueError):
                print(
                    f"account: {name} took no numbers ({error}); it gets none from now on",
                    file=sys.stderr,
                )
            return None


def _pause() -> float:
    try:
        return max(0.0, float(os.environ.get("ACCOUNT_TRACK_SECONDS", _PAUSE_SECONDS)))
    except ValueError:
        return _PAUSE_SECONDS


def scalars(job: JobStatus) -> dict[str, float]:
    """By the names that all trackers get."""
    values = {
        "account/operations_total": float(job.operations),
        "account/operations_per_sec": float(job.operations_per_second),
        "account/steps": float(job.steps),
    }
    if job.samples:
        values["account/samples_total"] = float(job.samples)
    if job.tokens:
        values["account/tokens_total"] = float(job.tokens)
        values["account/tokens_per_sec"] = float(job.tokens_per_second)
    if job.threshold:
        values["account/threshold_ratio"] = job.counted / job.threshold
    return values


# --- Each tracker: who is to be told now, if anybody ----------------------------------------------
# A module that is being imported by another thread may lack its names yet.


def _wandb() -> _Tell | None:
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is None:
        return None

    def tell(job: JobStatus) -> None:
        run.log(scalars(job), commit=False)  # into the row that the job itself commits
        run.summary["account/operations"] = str(job.operations)

    return tell


def _mlflow() -> _Tell | None:
    mlflow: Any = sys.modules.get("mlflow")
    active_run = getattr(mlflow, "active_run", None)
    if active_run is None or active_run() is None:
        return None

    def tell(job: JobStatus) -> None:
        mlflow.log_metrics(scalars(job), step=job.steps)
        mlflow.set_tag("account.operations", str(job.operations))

    return tell


def _trackio() -> _Tell | None:
    known = getattr(sys.modules.get("trackio.context_vars"), "current_run", None)
    run = None if known is None else known.get()
    if run is None:
        return None
    return lambda job: run.log(scalars(job) | {"account/operations": str(job.operations)})


def _tensorboard() -> _Tell | None:
    return _tell_writers if _writers else None


@functools.cache
def _watch_writers() -> None:
    for module in ("torch.utils.tensorboard.writer", "tensorboardX.writer"):
        after_import(module, _remember_writers)


def _remember_writers(module: ModuleType) -> None:
    made = module.SummaryWriter.__init__

    @functools.wraps(made)
    def init(self: Any, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        _writers.add(self)

    module.SummaryWriter.__init__ = init


def _tell_writers(job: JobStatus) -> None:
    for writer in list(_writers):
        if writer.file_writer is None and writer.all_writers is None:
            continue  # closed: it would open a file anew
        for name, value in scalars(job).items():
            writer.add_scalar(name, value, job.steps)
        writer.add_text("account/operations", str(job.operations), job.steps)


class _Meter:
    """OpenTelemetry's instruments, once the job has a provider of its own."""

    def __init__(self) -> None:
        self._told = self._tokens_told = 0
        self._instruments: tuple[Any, Any, Any] | None = None

    def find(self) -> _Tell | None:
        api: Any = sys.modules.get("opentelemetry.metrics")
        if self._instruments is None and api is not None:
            provider = api.get_meter_provider()
            # The API's own stand-ins, until the job sets one.
            if not type(provider).__module__.startswith("opentelemetry.metrics"):
                meter = provider.get_meter("libaccount")
                self._instruments = (
                    meter.create_counter("account.operations", "{operation}", "Of the whole job"),
                    meter.create_counter("account.tokens", "{token}", "Of the whole job"),
                    meter.create_gauge("account.threshold.ratio", "1", "Of the nearest threshold"),
                )
        return None if self._instruments is None else self.tell

    def tell(self, job: JobStatus) -> None:
        assert self._instruments is not None
        counter, tokens, ratio = self._instruments
        counter.add(job.operations - self._told)  # a whole number, however large
        self._told = job.operations
        if job.tokens:
            tokens.add(job.tokens - self._tokens_told)
            self._tokens_told = job.tokens
        if job.threshold:
            ratio.set(job.counted / job.threshold, {"account.policy": job.policy})
