"""Counting a block of code, and naming what a block is for."""

from __future__ import annotations

import threading
import time
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

from . import _load, _modules

if TYPE_CHECKING:
    from types import TracebackType

    from ._core import AuditedOp, Snapshot, Totals, UncountedCall


class count:
    """Counts what this process computes inside a block, on all threads, backward included.

    Works with and without a run; blocks nest. Inside the block the figures are those so far.
    With ``audit=True`` every op is watched, which slows the block down: ``audited`` then lists
    what has no formula (pointwise work, norms, optimizers) with an estimate and a bound, and
    ``upper`` includes the bounds. With ``by_module=True`` the block also counts by module, by
    global module hooks (in code that torch compiled, they cost a recompilation).

    >>> import torch, libaccount as account
    >>> x = torch.ones(8, 4, requires_grad=True)
    >>> with account.count() as c:
    ...     (x @ torch.ones(4, 2)).sum().backward()
    >>> c.executed, c.by_phase  # forward 2*8*4*2; backward: the gradient of x
    (256, {'backward': 128, 'forward': 128})
    """

    def __init__(self, *, audit: bool = False, by_module: bool = False) -> None:
        self._audit = audit
        self._by_module = by_module
        self._modules: _modules.Watching | None = None
        self._began = self._ended = 0.0
        self._begin: Snapshot | None = None
        self._result: Totals | None = None

    def __enter__(self) -> count:
        core = _load.watching_core()
        core.ensure_page()
        self._result = None
        self._begin = core.Snapshot()
        core.check_watching_and_tell(self._audit)
        if self._audit:
            core.watch_every_op(True)
        if self._by_module:
            self._modules = _modules.Watching()
        self._began, self._ended = time.perf_counter(), 0.0
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = time.perf_counter()
        if self._audit:
            _load.core().watch_every_op(False)
        if self._modules is not None:
            self._modules.close()
        self._result = self.totals()

    def totals(self) -> Totals:
        """All figures at once, as a value that changes no more."""
        if self._result is not None:
            return self._result
        core = _load.core()
        if self._begin is None:
            raise ValueError("nothing was counted yet: use `with libaccount.count() as c:`")
        result: Totals = core.totals_since(self._begin, self._audit)
        return result

    @property
    def executed(self) -> int:
        """Operations of the kernels that ran, recomputation included."""
        return self.totals().executed

    @property
    def model(self) -> int:
        """Executed less recomputation."""
        return self.totals().model

    @property
    def lower(self) -> int:
        """Executed less what causal masks and known sparsity spare."""
        return self.totals().lower

    @property
    def upper(self) -> int:
        """Executed plus the bounds of all gaps."""
        return self.totals().upper

    @property
    def by_op(self) -> dict[str, int]:
        """Executed by qualified op name, such as ``aten::mm``."""
        return self.totals().by_op

    @property
    def by_phase(self) -> dict[str, int]:
        """Executed by forward, backward, recompute and optimizer."""
        return self.totals().by_phase

    @property
    def by_dtype(self) -> dict[str, int]:
        """Executed by the type that the arithmetic ran in, such as ``bfloat16``."""
        return self.totals().by_dtype

    @property
    def by_category(self) -> dict[str, int]:
        """Executed by what it was for; ``unassigned`` until told."""
        return self.totals().by_category

    @property
    def uncounted(self) -> list[UncountedCall]:
        """Calls that were seen and could not be counted: op, calls, reason."""
        return self.totals().uncounted

    @property
    def audited(self) -> list[AuditedOp]:
        """With ``audit=True``: ops without a formula, with calls, estimate and bound."""
        return self.totals().audited

    @property
    def seconds(self) -> float:
        """Wall-clock time of the block, so far; ``account.rates(c, c.seconds)`` is its rate."""
        if self._began == 0.0:
            return 0.0
        return (self._ended or time.perf_counter()) - self._began

    @property
    def by_module(self) -> dict[str, int]:
        """With ``by_module=True``: executed by module, with all that it calls, forward and
        backward; ``Global`` has all. A module is named as in the outermost one: ``Net.layer1.0``.
        """
        return {name: sum(ops.values()) for name, ops in self._ops_by_module().items()}

    def get_total_flops(self) -> int:
        """``executed``, under the name that torch's FlopCounterMode has for it."""
        return self.executed

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """As FlopCounterMode's: by module, then by op (``torch.ops.aten.mm``).

        Without ``by_module=True`` there is ``Global`` alone.
        """
        return {
            name: {_packet(op): n for op, n in ops.items()}
            for name, ops in self._ops_by_module().items()
        }

    def get_table(self, depth: int | None = None) -> str:
        """By module and phase, modules down to `depth`; what ``print(c)`` shows."""
        if self._modules is not None:
            return _modules.table(self._modules.counts(), depth)
        totals = self.totals()
        lines = [f"executed {totals.executed:,}, model {totals.model:,}"]
        for title, by in (("phase", totals.by_phase), ("dtype", totals.by_dtype),
                          ("op", totals.by_op)):  # fmt: skip
            lines += [f"  {title:<6} {word:<40} {n:>26,}" for word, n in by.items()]
        lines += [f"  uncounted {u['op']}: {u['calls']} calls, {u['reason']}"
                  for u in totals.uncounted]  # fmt: skip
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.get_table()

    def _ops_by_module(self) -> dict[str, dict[str, int]]:
        if self._modules is None:
            if self._by_module:
                raise ValueError("nothing was counted yet: use `with libaccount.count() as c:`")
            return {_modules.GLOBAL: self.totals().by_op}
        return {
            name: {op: sum(by.values()) for op, by in ops.items()}
            for name, ops in self._modules.counts().items()
        }


def _packet(op: str) -> Any:
    """torch's own object for an op, where it has one."""
    import torch

    space, _, name = op.partition("::")
    packets = getattr(torch.ops, space, None) if name else None
    return getattr(packets, name, op) if packets is not None else op


class category(ContextDecorator):
    """What a block is for: train, evaluate, generate, rollout or auxiliary.

    Holds for this thread and the backward passes that it starts; also usable as a decorator.

    >>> import torch, libaccount as account
    >>> with account.count() as c, account.category("evaluate"):
    ...     _ = torch.ones(2, 2) @ torch.ones(2, 2)
    >>> c.by_category
    {'evaluate': 16}
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[Any] = []  # a stack: one object may be entered again while it is open

    @staticmethod
    def of_this_thread() -> str | None:
        """The innermost that this thread has opened and not closed; None where there is none."""
        return _open_here.names[-1] if _open_here.names else None

    def __enter__(self) -> category:
        self._open.append(_load.watching_core().CategoryHandle(self._name))
        _open_here.names.append(self._name)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _open_here.names.pop()
        self._open.pop().close()


class _OpenHere(threading.local):
    """The categories that this thread has opened, the innermost last."""

    def __init__(self) -> None:
        self.names: list[str] = []


_open_here = _OpenHere()
