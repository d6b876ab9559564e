"""What the integrations have in common: wrapping a method, lineage, a record for what is saved."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from libaccount import category
from libaccount._attach import quietly
from libaccount._errors import Error, ExportDenied
from libaccount._gate import permit
from libaccount._run import current

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from libaccount import Run


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replaces a function of a class or module by ``around(original, *args, **kwargs)``, once."""
    original = getattr(owner, name)
    if getattr(original, "_account_wraps", None) is around:
        return

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    wrapped._account_wraps = around  # type: ignore[attr-defined]
    setattr(owner, name, wrapped)


def wrap_known(owner: Any, name: str, around: Callable[..., Any], of: str, without: str) -> bool:
    """wrap(), of a function that another version of the framework may lack or have elsewhere.

    False, and a line on stderr that says what is not done ``without`` it: training goes on.
    """
    if hasattr(owner, name):
        wrap(owner, name, around)
        return True
    _tell_missing(of, name, without)
    return False


@functools.cache
def _tell_missing(framework: str, name: str, without: str) -> None:
    if is_first_rank():
        print(
            f"account: this version of {framework} has no {name}() where libaccount looks for it: "
            f"{without}; training goes on",
            file=sys.stderr,
        )


def attach_each(kind: Any, attach: Callable[[Any, Run], None]) -> None:
    """Attaches every object of a class that is made from now on, to the run of that time."""

    def init(original: Any, made: Any, *args: Any, **kwargs: Any) -> None:
        original(made, *args, **kwargs)
        run = current()
        if run is not None:
            quietly(attach, made, run)

    wrap(kind, "__init__", init)


def unless_said(name: str) -> AbstractContextManager[Any]:
    """The category of that name, unless the job itself has opened one."""
    return nullcontext() if category.of_this_thread() else category(name)


def size_of(batch: Any) -> tuple[int, int]:
    """Rows and tokens of a batch; 0 is "not known".

    Tokens are those of ``input_ids``, rows their first extent, or else the first extent that all
    tensors of the batch have in common.
    """
    with suppress(Exception):  # whatever a batch is, training goes on
        return _size_of(batch)
    return 0, 0


def _size_of(batch: Any) -> tuple[int, int]:
    parts = [batch]
    if isinstance(batch, Mapping):
        ids = batch.get("input_ids")
        if ids is not None and ids.dim() == 2:
            return len(ids), ids.numel()
        parts = list(batch.values())
    elif isinstance(batch, (tuple, list)):
        parts = list(batch)
    rows = {len(part) for part in parts if isinstance(part, torch.Tensor) and part.dim() > 0}
    return (rows.pop() if len(rows) == 1 else 0), 0


def offer(run: Run, framework: str, size: tuple[int, int], shares: Callable[[], bool]) -> None:
    """Says what was trained on, unless ranks share batches: nobody knows which speaks for all."""
    with suppress(Exception):
        if not shares():
            run._offer_intake(framework, *size)


def is_refused(way: str, target: object) -> bool:
    """Asks the export gate before anything is written; the ledger keeps what it refused."""
    try:
        permit(way, target)
    except ExportDenied:
        return True
    return False


def is_refused_on_a_rank(way: str, target: object) -> bool:
    """is_refused(), of a save that all ranks make together; called by all, the same for all.

    The gate may not shut everywhere at one moment, and who saves would wait for who does not.
    """
    refused = is_refused(way, target)
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return refused
    answers: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(answers, refused)
    return any(answers)


def was_refused(failed: BaseException) -> bool:
    """Whether a save failed by the gate, here or, of a distributed checkpoint, on another rank."""
    causes = getattr(failed, "failures", {}).values()
    return isinstance(failed, ExportDenied) or any(
        isinstance(cause, ExportDenied) for cause, _ in causes
    )


def leave_no_half(folder: str, was_there: bool) -> None:
    """Of a checkpoint whose save ended on all ranks, refused, after it had begun."""
    if is_first_rank() and not was_there:
        shutil.rmtree(folder, ignore_errors=True)


def remove_orphans(folder: str | os.PathLike[str], prefix: str) -> None:
    """Sidecars of checkpoints that the framework has deleted."""
    for sidecar in Path(folder).glob(f"{prefix}*.account.json"):
        if not os.path.exists(str(sidecar).removesuffix(".account.json")):
            with suppress(OSError):
                sidecar.unlink()


def rank_here() -> str:
    """This process's rank; Lightning's own launcher numbers those of a node only."""
    return os.environ.get("RANK") or os.environ.get("LOCAL_RANK", "0")


def is_first_rank() -> bool:
    return rank_here() == "0"


def watch_launcher(package: str) -> None:
    """Of Lightning: rank 0 itself starts the others of its node, and says how many they are."""
    launchers = import_module(f"{package}.strategies.launchers.subprocess_script")
    wrap(launchers._SubprocessScriptLauncher, "_call_children_scripts", _start_others)


def _start_others(start: Any, launcher: Any) -> None:
    run = current()
    if run is not None:
        os.environ.setdefault("ACCOUNT_RUN", run.id)  # they are the same run's
    start(launcher)
    if run is not None:
        run._inner.has_started_others(int(os.environ["WORLD_SIZE"]))


def goes_on_from(run: Run, checkpoint: str | os.PathLike[str]) -> bool:
    """Training goes on from a checkpoint, of the run that its sidecar names; False without one."""
    path = os.fspath(checkpoint).rstrip("/")
    return os.path.exists(path + ".account.json") and _tell(run, path, [])


# Runs whose state of a stop this process has asked for: a second train() is to begin as it says.
_asked: weakref.WeakSet[Any] = weakref.WeakSet()


def state_of_a_stop(run: Run, framework: str) -> Any:
    """What this rank saved at a stop that is lifted, under that name; None where there is none.

    Only once in a process. Raises Error where it is saved and cannot be read.
    """
    if run in _asked or run._has_state:  # the job saves and restores by itself
        return None
    _asked.add(run)
    state = run.restore()
    return state.get(framework) if isinstance(state, dict) else None


def begins_from(run: Run, weights: Iterable[str]) -> None:
    """Training begins from models that lie in these folders, as far as they have a record."""
    for folder in weights:
        if record_in(folder) is not None:
            _tell(run, "", [folder])


def _tell(run: Run, resume: str, parents: list[str]) -> bool:
    try:
        run._inner.began_from(resume, parents)
    except Error as unverified:
        warnings.warn(f"account: lineage is not linked: {unverified}", stacklevel=2)
        return False
    return True


def put_back(parts: dict[str, list[Any]], state: dict[str, Any], how: str) -> None:
    """Gives the parts of a loop what a stop saved of them; ``how`` is the framework's word for
    having them ("prepared"). Raises Error where others were saved, and changes nothing then."""
    for kind, here in parts.items():
        saved = state.get(kind, [])
        if len(here) != len(saved):
            raise Error(
                f"{len(saved)} {kind} were saved, and {len(here)} are {how} here; have the "
                "same before load()",
                "invalid_argument",
            )
    for kind, here in parts.items():
        for part, its in zip(here, state.get(kind, []), strict=True):
            part.load_state_dict(its)


def record_in(folder: str) -> str | None:
    """The compute record that lies in a folder of weights."""
    for path in sorted(Path(folder).glob("*.compute.json")) if os.path.isdir(folder) else ():
        return str(path)
    return None


def make_record(
    run: Run, weights: str, kind: str = "fine-tune", parents: Iterable[str] = ("unknown",)
) -> bool:
    """Signs what these weights (a file or a folder) took, up to now, beside them.

    A folder's model card says the same. What they were made from is never left out: where it is not
    known, a parent is "unknown".

    Reads the weights once, for their digest. False, and a warning, where that fails.
    """
    command = os.environ.get("ACCOUNT_BIN")
    if command is None:
        warnings.warn("account: no record: the `account` command is not found", stacklevel=2)
        return False
    if not run.saved(weights):
        return False
    words = ["--kind", kind, "--runs", os.path.dirname(run.directory)]
    if os.path.isdir(weights):
        words.append("--card")
    for parent in parents:
        words += ["--parent", parent]
    made = subprocess.run(
        [command, "record", run.directory, "--weights", weights, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        warnings.warn(f"no compute record for {weights}: {made.stderr.strip()}", stacklevel=2)
    return made.returncode == 0
