"""Run: the one object that a training job holds, and start(), which makes it."""

from __future__ import annotations

import atexit
import functools
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import _load, _state
from ._errors import Error, ShutdownOrdered
from ._intake import Intake
from ._trackers import Trackers

if TYPE_CHECKING:
    from types import TracebackType

    from ._core import JobStatus, Totals
    from ._steps import StepHook

_current: Run | None = None


class Run:
    """This process's part of a run. Made by start(); ends by itself when the process exits.

    Steps end where the first optimizer that steps says so, until step() is called by hand.
    """

    def __init__(self, inner: Any, hook: StepHook | None, setting: str = "count") -> None:
        self._inner = inner
        self._hook = hook
        self._setting = setting
        self._has_state = False  # start(state=...) said what a stop saves
        self._trackers = Trackers(self.job) if inner.counting and inner.rank == 0 else None
        self._close_step = (
            inner.step if self._trackers is None else self._trackers.told_after(inner.step)
        )
        self._intake = Intake(inner.processed)
        self._hears_frameworks = False

    def step(self, samples: int = 0, tokens: int = 0) -> None:
        """Closes a training step by hand, and turns the optimizer hook off for good.

        ``samples`` and ``tokens``: see processed(), of this step.

        Raises ShutdownOrdered where a signed order stops the job at this step, ThresholdReached
        where a limit of its own does; the optimizer hook raises them out of ``optimizer.step()``.
        While keepers agree on the step, or a limit lets the job pause, this waits.
        """
        if samples or tokens:
            self.processed(samples, tokens)
        self._leave_steps_to_caller()
        self._close_step()

    def processed(self, samples: int = 0, tokens: int = 0) -> None:
        """Says what this rank has taken in since it said so last, where no framework knows it.

        ``samples`` are rows of batches (sequences, images), ``tokens`` positions of sequences as
        they were computed, padding included; 0 is "not known". They belong to the step that is
        open; ranks are added up, so that of ranks that share a batch (tensor, pipeline or context
        parallel) one says it. From the first call on, what the frameworks know by themselves is
        left out.

        >>> import tempfile, torch, libaccount as account
        >>> with account.start(dir=tempfile.mkdtemp(), run="intake") as run:
        ...     for batch in torch.ones(3, 4, 128, dtype=torch.long):
        ...         run.processed(samples=len(batch), tokens=batch.numel())
        ...         run.step()
        ...     print(run.totals().samples, run.totals().tokens)
        12 1536
        """
        if samples < 0 or tokens < 0:
            raise Error(
                "processed() takes what came since the last call, never a negative number",
                "invalid_argument",
            )
        self._intake.say(samples, tokens)

    def totals(self) -> Totals:
        """What this process has counted since start()."""
        totals: Totals = self._inner.totals()
        return totals

    def job(self) -> JobStatus | None:
        """What the keeper knew of the whole job, all ranks, about a second ago: ``steps``,
        ``operations``, ``operations_per_second``, ``samples``, ``tokens`` and
        ``tokens_per_second`` (0 where nobody says them), and of the nearest threshold ``policy``,
        ``rule``, ``verdict``, ``counted`` and ``threshold``. None before it has said anything.

        For watching; evidence is the ledger.
        """
        known: JobStatus | None = self._inner.job()
        return known

    def saved(self, path: str | os.PathLike[str]) -> bool:
        """Tells that a checkpoint (a file or a folder) is whole, so that a later run can go on
        from it with ``start(resume=path)``.

        Seals what led to it, and waits at most 2 s for its sidecar, ``<path>.account.json``, which
        travels with the checkpoint. May be called by one rank or by all. False, and a warning,
        where there is no sidecar yet: training goes on.
        """
        try:
            self._inner.saved(os.fspath(path))
        except Error as missing:
            warnings.warn(f"account: {missing}", stacklevel=2)
            return False
        return True

    def restore(self) -> Any:
        """What ``start(state=...)`` gave for this rank when a signed stop ended the run, to go on
        from once the stop is lifted; None where no stop has let it be saved.

        Sets the random number generators of Python, NumPy and PyTorch as they were then. Raises
        Error where it is saved and cannot be read: still locked, by another number of ranks, or
        changed. The newest stop counts at which every rank saved; whoever has trained on since
        and has a newer checkpoint goes on from that.
        """
        return _state.restore(self._inner)

    def _leave_steps_to_caller(self) -> None:
        if self._hook is not None:
            self._hook.leave_steps_to_caller()

    def _offer_state(self, state: Callable[[], Any] | None) -> None:
        """What a stop saves, unless the job itself has said so; None takes an offer back."""
        if not self._has_state:
            self._inner.set_state(None if state is None else _state.writer_of(state))

    def _offer_intake(self, framework: str, samples: int, tokens: int) -> None:
        """What a framework knows of a batch that was trained on, unless the job itself says it."""
        if samples == 0 and tokens == 0:
            return
        if not self._hears_frameworks:  # a run without one pays nothing at its edges
            self._hears_frameworks = True
            self._close_step = self._intake.taken_before(self._close_step)
            if self._hook is not None:
                self._hook.close_by(self._close_step)
        self._intake.offer(framework, samples, tokens)

    def finish(self) -> None:
        """Ends this process's part; waits at most 2 s for the closing seal. May be called again."""
        global _current
        self._intake.take()
        if self._trackers is not None:
            self._trackers.tell()
        if self._hook is not None:
            self._hook.remove()
        if _current is self:
            _current = None
        self._inner.finish()

    @property
    def id(self) -> str:
        """The run's name; start(run=...) with it resumes the run."""
        return str(self._inner.id)

    @property
    def directory(self) -> str:
        """The run's folder, for ``account verify`` and ``account prove``."""
        return str(self._inner.directory)

    @property
    def counting(self) -> bool:
        """False under ACCOUNT=off."""
        return bool(self._inner.counting)

    @property
    def authority(self) -> str:
        """The directory whose stop orders this run obeys; empty where it obeys nobody."""
        return str(self._inner.authority)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()

    def __repr__(self) -> str:
        return f"<libaccount.Run {self.id} in {self.directory}>"


def current() -> Run | None:
    """The run that this process takes part in."""
    return _current


def guard() -> None:
    """Asks whether this process may go on: for one that serves or generates, at each batch.

    A batch is a step of its run then: at a signed stop this raises ShutdownOrdered (ranks that go
    in step stop behind the same batch, others each behind its own), in a pause it waits until that
    has ended. As cheap as a step's edge. Raises Error where this process takes part in no run,
    since nobody could stop it.

    >>> import tempfile, torch, libaccount as account
    >>> run = account.start(dir=tempfile.mkdtemp(), run="serving")
    >>> for batch in torch.ones(3, 1, 4):
    ...     account.guard()
    ...     _ = batch @ torch.ones(4, 4)
    >>> run.totals().steps
    3
    >>> run.finish()
    """
    run = current()
    if run is None:
        raise Error(
            "this process takes part in no run, and nobody could stop it: start() one first, or "
            "run it under `account run`",
            "unavailable",
        )
    run.step()


def start(
    model: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    run: str | None = None,
    policies: Sequence[str] = (),
    parents: Sequence[str | os.PathLike[str]] = (),
    authority: str | os.PathLike[str] | None = None,
    developer: str | None = None,
    cost: float | None = None,
    price: str | None = None,
    state: Callable[[], Any] | None = None,
    resume: str | os.PathLike[str] | None = None,
    setting: str = "count",
    lease: str | None = None,
) -> Run:
    """Starts counting this process as a part of a run, and returns the run.

    What is not given comes from the environment (``account run`` sets it: ACCOUNT_MODEL,
    ACCOUNT_DIR, ACCOUNT_RUN, ACCOUNT_POLICIES, ACCOUNT_AUTHORITY, ACCOUNT_RESUME, ACCOUNT_PARENTS),
    else from its default: dir is "account", run is made from the launcher's or scheduler's job id,
    else from the date. Where this process already takes part in a run (zero-line start under
    ``account run``), that one is returned.

    Where training goes on from a checkpoint of an earlier run, ``resume`` is that checkpoint (which
    Run.saved() gave a sidecar); where it begins from another model, ``parents`` are that model's
    compute records, or weights that have one. Both go into the ledger, and from there into the
    record of what is trained; a sidecar or record that is missing or does not verify raises Error.

    With an authority (its directory, or ``PATH#<sha256 of the first root>``) the job obeys signed
    stops: ``setting="stop"`` says that there must be one. Then steps may raise ShutdownOrdered,
    saves may raise ExportDenied, and a start that an order stands against raises ShutdownOrdered.
    With ``setting="lock"`` a process that is stopped also locks itself, for good and in all its
    threads: no file is opened for writing any more, no socket and no program. ``developer`` is for
    orders about everything of a developer.

    ``lease="required"`` lets the job start and train only while the authority leases it: it stops,
    as by an order, at the end of a lease that was not renewed (``account lease renew``).

    ``state`` is called without arguments when a signed stop ended training at a step, unless the
    stop forbids it: it returns what training would go on from (``{"model": model.state_dict(),
    "optimizer": optimizer.state_dict(), "step": n}``: what ``torch.load(weights_only=True)``
    reads). That is encrypted for the holders of the authority's recovery keys, never on disk in
    plain, and ``Run.restore()`` gives it back after the lift, once they have opened it.

    ``policies`` are ids or files of thresholds to judge by. ``"ID:pause"`` lets all ranks wait at a
    step edge once the total has reached the threshold, ``"ID:stop@0.95"`` stops them at 95 % of it:
    steps then raise ThresholdReached, until ``account policy acknowledge`` was said of the run.

    Raises Error where nothing could be counted or kept: before training, not during it.

    >>> import tempfile, torch, libaccount as account
    >>> folder = tempfile.mkdtemp()
    >>> with account.start(model="acme/chat-7b", dir=folder, run="docs") as run:
    ...     _ = torch.ones(2, 2) @ torch.ones(2, 2)
    ...     run.step()
    ...     print(run.id, run.totals().executed, run.totals().steps)
    docs 16 1
    """
    global _current
    _refuse_unsupported(cost=cost, price=price)
    if state is not None and not callable(state):
        raise Error(
            "start(state=...) is a function that returns the state when it is asked",
            "invalid_argument",
        )
    if _current is not None:
        _refuse_stricter(setting, _current)
        if lease is not None and not _current._inner.leased:
            raise Error(
                f"run {_current.id} was begun without a lease; ask for it where the run begins "
                "(account run --lease)",
                "invalid_argument",
            )
        if run is not None and run != _current.id:
            raise Error(
                f"this process already takes part in run {_current.id}; finish() it first",
                "invalid_argument",
            )
        obeyed = _current.authority.split(",")  # those of the node's file among them
        if authority is not None and not set(os.fspath(authority).split(",")) <= {*obeyed}:
            raise Error(
                f"run {_current.id} does not obey the authority {os.fspath(authority)}; name it "
                "where the run begins (account run --authority)",
                "invalid_argument",
            )
        _current._inner.began_from(_path_or_empty(resume), _paths(parents))
    else:
        _current = _open(
            model, dir, run, policies, authority, resume, parents, developer, setting, lease
        )
    if state is not None:
        _current._has_state = True
        _current._inner.set_state(_state.writer_of(state))
    return _current


_STRICTNESS = ("count", "stop", "lock")


def _stricter(one: str, other: str) -> str:
    return max(one, other, key=_STRICTNESS.index)


def _refuse_stricter(setting: str, run: Run) -> None:
    """A run that has begun already is not made stricter: nobody would know since when."""
    if setting not in _STRICTNESS:
        raise Error(f"{setting!r} is no setting; say count, stop or lock", "invalid_argument")
    if _stricter(setting, run._setting) != run._setting:
        raise Error(
            f"run {run.id} was begun with setting {run._setting!r}; name {setting!r} where it "
            "begins (account run --authority, --setting)",
            "invalid_argument",
        )


def _refuse_unsupported(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise Error(
                f"start({name}=...) is not supported by this version of libaccount",
                "invalid_argument",
            )


def _path_or_empty(path: str | os.PathLike[str] | None) -> str:
    return os.fspath(path) if path is not None else ""


def _paths(paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> list[str]:
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def _open(
    model: str | None,
    dir: str | os.PathLike[str] | None,
    run: str | None,
    policies: Sequence[str],
    authority: str | os.PathLike[str] | None,
    resume: str | os.PathLike[str] | None,
    parents: Sequence[str | os.PathLike[str]],
    developer: str | None,
    setting: str,
    lease: str | None,
) -> Run:
    core = _load.core()
    options = core.RunOptions()
    options.model = model or ""
    options.dir = os.fspath(dir) if dir is not None else ""
    options.run = run or ""
    options.policies = [policies] if isinstance(policies, str) else list(policies)
    options.authority = os.fspath(authority) if authority is not None else ""
    options.resume = _path_or_empty(resume)
    options.parents = _paths(parents)
    options.developer = developer or ""
    options.setting = setting
    options.lease = lease or ""
    if os.environ.get("ACCOUNT", "").lower() == "off":
        return Run(core.Run(options), None)
    core = _load.watching_core()
    import torch

    options.framework = f"torch {torch.__version__}"
    _load.set_binary_path()
    from . import _gate
    from ._steps import StepHook

    try:
        inner = core.Run(options)
    except ShutdownOrdered:
        _gate.install()  # whoever goes on all the same has weights that must not leave
        raise
    if inner.authority:
        _gate.install()

    # The core has refused what is no setting, and what needs an authority and has none.
    held = _stricter(setting, os.environ.get("ACCOUNT_SETTING") or "count")
    held = _stricter(held, "stop" if inner.authority else "count")
    _watch_this_process()
    opened = Run(inner, None, held)
    opened._hook = StepHook(opened._close_step, core.mark_optimizer)
    if torch.distributed.is_available():
        inner.use_store_exchange("0")  # the default group; looked for until it exists
    return opened


@functools.cache
def _watch_this_process() -> None:
    atexit.register(_finish_at_exit)
    os.register_at_fork(after_in_child=_forget_in_child)


def _finish_at_exit() -> None:
    if _current is not None:
        with suppress(Error):  # the keeper records how this process ended
            _current.finish()


def _forget_in_child() -> None:
    """A forked child is no part of the run by itself: its counting opens an incarnation below."""
    global _current
    _current = None
