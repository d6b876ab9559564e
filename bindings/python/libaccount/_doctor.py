"""The part of ``account doctor`` that only the job's own Python can answer.

``python -m libaccount._doctor VERSION BINARY`` prints one line of JSON: what it found.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from importlib.metadata import entry_points
from typing import Any

_INSTALL = f"{sys.executable} -m pip install libaccount"
# docs/torch_versions.md: what has been tried.
_TRIED = ((2, 11), (2, 15))


class _Findings:
    def __init__(self) -> None:
        self.all: list[dict[str, str]] = []

    def ok(self, about: str, says: str) -> None:
        self._add(about, "ok", says, "")

    def remark(self, about: str, says: str, fix: str) -> None:
        self._add(about, "remark", says, fix)

    def fault(self, about: str, says: str, fix: str) -> None:
        self._add(about, "fault", says, fix)

    def _add(self, about: str, condition: str, says: str, fix: str) -> None:
        self.all.append({"about": about, "condition": condition, "says": says, "fix": fix})


def examine(version: str, binary: str) -> list[dict[str, str]]:
    """What would keep a job of this Python from being counted."""
    findings = _Findings()
    _examine_entry_point(findings)
    os.environ["ACCOUNT"] = "off"  # the import of torch must start no run
    core = _examine_package(version, binary, findings)
    torch = _examine_torch(findings)
    if core is not None and torch is not None and _examine_adapter(findings):
        _examine_counting(findings)
        _examine_compiled(torch, findings)
        _examine_ranks(torch, findings)
    return findings.all


def _examine_entry_point(findings: _Findings) -> None:
    known = [point for point in entry_points(group="torch.backends") if point.name == "libaccount"]
    if not known:
        findings.fault(
            "zero lines",
            "torch finds no entry point of libaccount here, so that `account run` counts nothing",
            f"{_INSTALL}; a folder on PYTHONPATH alone does not tell torch",
        )
    elif os.environ.get("TORCH_DEVICE_BACKEND_AUTOLOAD", "1") == "0":
        findings.fault(
            "zero lines",
            "TORCH_DEVICE_BACKEND_AUTOLOAD=0 keeps torch from starting libaccount",
            "unset it, or call libaccount.start() in the script",
        )
    else:
        findings.ok("zero lines", "torch starts libaccount under `account run`")


def _examine_package(version: str, binary: str, findings: _Findings) -> Any:
    from . import _load
    from ._errors import Error

    try:
        core = _load.core()
    except Error as broken:
        findings.fault("python", str(broken), f"{_INSTALL} --force-reinstall")
        return None
    if core.__version__ != version:
        findings.fault(
            "python",
            f"{sys.executable} has libaccount {core.__version__}, and {binary} is {version}",
            "call the `account` that was installed with it, or install both anew",
        )
    else:
        findings.ok("python", f"{sys.executable}, Python {platform.python_version()}, {version}")
    return core


def _examine_torch(findings: _Findings) -> Any:
    try:
        import torch
    except Exception as broken:  # a plugin of torch may raise anything
        findings.fault(
            "torch",
            f"{sys.executable} cannot import torch: {broken}",
            "install it, or name the job's Python with --python",
        )
        return None
    release = tuple(int(part) for part in str(torch.__version__).split(".")[:2])
    if not _TRIED[0] <= release <= _TRIED[1]:
        findings.remark(
            "torch",
            f"{torch.__version__} has not been tried; from 2.11 to 2.15 have",
            "compare a step of yours with libaccount.count(), docs/torch_versions.md",
        )
    else:
        findings.ok("torch", str(torch.__version__))
    return torch


def _examine_adapter(findings: _Findings) -> bool:
    from . import _adapters, _load
    from ._errors import Error

    try:
        core = _load.watching_core()
    except Error as broken:
        says, _, fix = str(broken).partition("; ")
        findings.fault("adapter", says, fix or f"{_INSTALL} --force-reinstall")
        return False
    import torch

    fits = _adapters.find(_load.folder(), core, str(torch.__version__))
    others = [path for path in _adapters.known(_load.folder(), core).values() if path != fits]
    also = "".join(f"; {path.parent.name} is there too" for path in others)
    findings.ok("adapter", f"{fits} fits this torch{also}")
    return True


def _examine_counting(findings: _Findings) -> None:
    """One product, as a job would do it."""
    import torch

    from ._count import count

    with count() as counted:
        torch.ones(8, 16) @ torch.ones(16, 32)
    if counted.executed == 2 * 8 * 16 * 32:
        findings.ok("counting", f"a product of 8x16 and 16x32 counts as {counted.executed}")
    else:
        findings.fault(
            "counting",
            f"a product of 8x16 and 16x32 counts as {counted.executed}, not as 8192",
            "do not trust a total of this torch; report it with its version",
        )


def _examine_compiled(torch: Any, findings: _Findings) -> None:
    """Where compiled graphs are counted: the pass, and what carries its plan to each call."""
    try:
        from torch._inductor import config
        from torch._inductor.output_code import CompiledFxGraph
    except ImportError as missing:
        findings.remark(
            "compiled code",
            f"this torch has no Inductor as it is known ({missing}): compiled graphs are listed "
            "as uncounted",
            "train without torch.compile, or with a torch of docs/torch_versions.md",
        )
        return
    passes = config.post_grad_custom_post_pass
    listed = passes if isinstance(passes, (list, tuple)) else [passes]
    ours = any(type(one).__module__.startswith("libaccount") for one in listed)
    if not ours or not hasattr(CompiledFxGraph, "post_compile"):
        findings.remark(
            "compiled code",
            "the hook for compiled graphs is not where it was: they are listed as uncounted",
            "train without torch.compile, or with a torch of docs/torch_versions.md",
        )
    else:
        findings.ok("compiled code", "graphs of torch.compile are counted")
    if importlib.util.find_spec("vllm") is not None:
        findings.remark(
            "compiled code",
            "vLLM is installed, and sets Inductor's pass anew when it compiles: graphs that it "
            "compiles are listed as uncounted",
            "count its generation in eager mode (enforce_eager=True)",
        )


def _examine_ranks(torch: Any, findings: _Findings) -> None:
    if not torch.distributed.is_available():
        findings.remark(
            "ranks",
            "this torch has no distributed package: nodes hear of each other by --exchange only",
            "give --exchange DIR where a job has more than one node",
        )


def main(words: list[str]) -> None:
    print(json.dumps({"findings": examine(words[0], words[1])}))


if __name__ == "__main__":
    main(sys.argv[1:])
