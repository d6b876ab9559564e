"""libaccount: counts a PyTorch job's operations and keeps them as signed evidence.

>>> import torch
>>> import libaccount as account
>>> with account.count() as c:
...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
>>> c.executed  # 2 * 2 * 3 * 4
48
>>> c.by_op
{'aten::mm': 48}

A whole job: ``run = account.start(model="acme/chat-7b")``, or no line at all under
``account run -- torchrun train.py``.

Importing this package imports neither torch nor any compiled code; both come with the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._attach import attach
from ._count import category, count
from ._errors import (
    Error,
    ExportDenied,
    LedgerCorrupt,
    ShutdownOrdered,
    ThresholdReached,
    Unverified,
)
from ._estimate import Estimate, estimate
from ._footprint import footprint
from ._formulas import add, kernel, register_formula
from ._rates import Rates, rates
from ._run import Run, guard, start

if TYPE_CHECKING:
    from ._core import Totals

    __version__: str
    cmake_prefix_path: str

__all__ = [
    "Error",
    "Estimate",
    "ExportDenied",
    "LedgerCorrupt",
    "Rates",
    "Run",
    "ShutdownOrdered",
    "ThresholdReached",
    "Totals",
    "Unverified",
    "__version__",
    "add",
    "attach",
    "category",
    "cmake_prefix_path",
    "count",
    "estimate",
    "footprint",
    "guard",
    "kernel",
    "rates",
    "register_formula",
    "start",
]


def __getattr__(name: str) -> Any:
    """What lives in compiled code is looked up when it is first asked for."""
    from . import _load

    if name == "__version__":
        return _load.core().__version__
    if name == "cmake_prefix_path":  # for find_package(account): -DCMAKE_PREFIX_PATH=...
        return str(_load.folder())
    if name == "Totals":
        return _load.core().Totals
    raise AttributeError(f"module 'libaccount' has no attribute {name!r}")
