"""Zero-line start: ``libaccount_autoload`` calls init() at the end of ``import torch``.

Does nothing unless ACCOUNT=on (which ``account run`` sets), and never breaks an import: where
counting cannot begin, one line on stderr says why. Two things end the process instead: an order
that stands against the job (86), and where it must not go on uncounted (1): it is to obey an
authority, counting is required, or the node's account.toml asks for one of them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from ._errors import Error, ShutdownOrdered, ThresholdReached

# Programs that only start the training processes.
_LAUNCHERS = {"torchrun", "accelerate", "deepspeed", "torchx"}
_LAUNCHER_MODULES = {
    "accelerate.commands.accelerate_cli",
    "accelerate.commands.launch",
    "deepspeed.launcher.launch",
    "deepspeed.launcher.runner",
    "torch.distributed.launch",
    "torch.distributed.launcher",
    "torch.distributed.run",
}


def init() -> None:
    """The entry point ``torch.backends``: libaccount."""
    if os.environ.get("ACCOUNT", "").lower() != "on":
        return
    try:
        if is_helper(sys.orig_argv):
            _warn_if_it_trains()
            return
        if is_ray_worker(sys.orig_argv):
            from ._attach import watch_ray_worker

            _warn_if_it_trains()
            watch_ray_worker()
            return
        from ._attach import watch_frameworks
        from ._run import start

        start()
        watch_frameworks()
    except (ShutdownOrdered, ThresholdReached) as refused:
        _end_process(f"no start: {refused}", int(str(refused.code)))
    except Exception as error:  # whatever it is, the user's `import torch` goes on
        if not _may_go_uncounted():
            _end_process(f"no start: {error}", 1)
        _say(f"counting is off: {error}")


def _may_go_uncounted() -> bool:
    from libaccount_autoload import must_count

    from . import _load

    try:
        core = _load.core()
    except Error:
        return not must_count()
    try:
        core.may_go_uncounted()
    except Error:
        return False
    return True


def _say(text: str) -> None:
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"account: {text}", file=sys.stderr)


def _end_process(text: str, code: int) -> None:
    """Nothing has been trained yet. An exception would be swallowed by `try: import torch`, and by
    a thread that imports. Each rank says why: the launcher ends the others when the first ends."""
    with suppress(OSError, ValueError):  # closed, or nobody reads it any more
        print(f"account: {text}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _warn_if_it_trains() -> None:
    """Says so, once, should this process turn out to train: then it is missing from the run."""
    from torch.optim import optimizer as torch_optimizer

    told = False

    def warn(*_: object) -> None:  # stays registered: a hook must not be removed while hooks run
        nonlocal told
        from . import _run

        if not told and _run.current() is None:
            print(
                "account: a process started by multiprocessing or Ray trains and is not counted; "
                "call libaccount.start() at the beginning of its work",
                file=sys.stderr,
            )
        told = True

    torch_optimizer.register_optimizer_step_pre_hook(warn)


def is_helper(argv: list[str]) -> bool:
    """True for processes that train nothing: launchers, data loaders, compile workers.

    >>> is_helper(["python3", "/usr/bin/torchrun", "--nproc-per-node", "2", "train.py"])
    True
    >>> is_helper(["python3", "-u", "-m", "torch.distributed.run", "train.py"])
    True
    >>> is_helper(["python3", "-u", "-m", "deepspeed.launcher.launch", "train.py"])
    True
    >>> is_helper(["python3", "-u", "train.py", "torchrun"])
    False
    """
    if "--multiprocessing-fork" in argv:
        return True
    kind, program = _program(argv)
    if kind == "-m":
        return program in _LAUNCHER_MODULES
    if kind == "-c":
        return program.startswith("from multiprocessing.")
    return os.path.basename(program) in _LAUNCHERS or "/torch/_inductor/" in program


def is_ray_worker(argv: list[str]) -> bool:
    """True for a process that waits for Ray to say what it is.

    >>> is_ray_worker(["python", "-u", "/x/ray/_private/workers/default_worker.py", "--node-ip"])
    True
    """
    kind, program = _program(argv)
    return kind == "" and program.endswith("/ray/_private/workers/default_worker.py")


def _program(argv: list[str]) -> tuple[str, str]:
    """How the interpreter was told what to run: ("-m", module), ("-c", code) or ("", path)."""
    rest = iter(argv[1:])
    for word in rest:
        if word in ("-m", "-c"):
            return word, next(rest, "")
        if word in ("-X", "-W", "--check-hash-based-pycs"):
            next(rest, "")
        elif not word.startswith("-"):
            return "", word
    return "", ""
