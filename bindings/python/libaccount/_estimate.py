"""Counting a step without hardware: on meta or fake tensors, by the formulas of real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import _load, _plan
from ._errors import Error

ATTENTION = ("flash", "efficient", "cudnn", "math")


@dataclass
class Estimate:
    """What a step would compute. Operations are exact integers, as in ``Totals``."""

    executed: int = 0
    model: int = 0
    lower: int = 0
    by_op: dict[str, int] = field(default_factory=dict)
    by_phase: dict[str, int] = field(default_factory=dict)
    by_dtype: dict[str, int] = field(default_factory=dict)
    uncounted: list[dict[str, Any]] = field(default_factory=list)


def estimate(
    fn: Callable[..., Any], *args: Any, attention: str = "flash", **kwargs: Any
) -> Estimate:
    """Calls ``fn(*args, **kwargs)`` on meta or fake tensors, and counts what it would compute.

    Nothing is computed, so a model of any size takes seconds. `attention` says as which op the
    target device runs ``scaled_dot_product_attention``: ``"flash"``, ``"efficient"``,
    ``"cudnn"`` or ``"math"`` (with a mask, flash attention becomes efficient attention, as in
    torch). Each op that has a formula counts by it; what happens inside other libraries' ops is
    not seen.

    Raises Error where a real tensor comes along, or for an unknown `attention`; what `fn` raises,
    such as an attempt to read a number out of a tensor that has none, comes out as it is.

    >>> import torch, libaccount as account
    >>> with torch.device("meta"):
    ...     net, x = torch.nn.Linear(4096, 4096, bias=False), torch.ones(8192, 4096)
    >>> account.estimate(lambda: net(x).sum().backward()).by_phase
    {'forward': 274877906944, 'backward': 274877906944}
    """
    if attention not in ATTENTION:
        raise Error(
            f"'{attention}' is no kind of attention; use one of {', '.join(ATTENTION)}",
            "invalid_argument",
        )
    _load.watching_core()
    result = Estimate()
    with _attention_as(attention), _counting_into(result):
        fn(*args, **kwargs)
    return result


def _counting_into(result: Estimate) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            output = func(*args, **(kwargs or {}))
            call = _plan.call_of(func._schema, args, kwargs or {}, output)
            if call is not None:
                _refuse_real(call[0], args)
                _add(result, call)
            return output

    return Counting()  # type: ignore[no-untyped-call]


def _add(result: Estimate, call: list[Any]) -> None:
    op, overload, arguments, dtype = call
    phase = _phase()
    counted = _load.core().figures_of(op, overload, arguments, dtype, phase)
    if isinstance(counted, str):  # the reason why not
        known = next((u for u in result.uncounted if (u["op"], u["reason"]) == (op, counted)), None)
        if known is None:
            known = {"op": op, "calls": 0, "reason": counted}
            result.uncounted.append(known)
        known["calls"] += 1
        return
    executed, model, lower = counted
    result.executed += executed
    result.model += model
    result.lower += lower
    words = ((result.by_op, op), (result.by_phase, phase), (result.by_dtype, dtype))
    for by, word in words:
        by[word] = by.get(word, 0) + executed


def _phase() -> str:
    """Of the thread, as torch/phase.h tells it, but that gradients of gradients are not told."""
    import torch

    if torch._C._current_graph_task_id() < 0:
        return "forward"
    return "recompute" if torch.is_grad_enabled() else "backward"


def _refuse_real(op: str, args: Any) -> None:
    import torch
    from torch._subclasses import FakeTensor

    for value in args:
        if isinstance(value, torch.Tensor) and not (
            isinstance(value, FakeTensor) or value.device.type == "meta"
        ):
            raise Error(
                f"estimate() works on meta or fake tensors, and {op} was called on a real one on "
                f"{value.device}; make model and inputs under torch.device('meta')",
                "invalid_argument",
            )


def _attention_as(kind: str) -> Any:
    """torch takes products for attention on tensors without a device's kernels."""
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    class Attention(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if func is functional.scaled_dot_product_attention and kind != "math":
                return _fused(kind, *args, **kwargs)
            return func(*args, **kwargs)

    return Attention()


def _fused(
    kind: str,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    import torch

    if enable_gqa and query.size(-3) != key.size(-3):
        times = query.size(-3) // key.size(-3)
        key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
    ops: Any = torch.ops.aten
    if kind == "flash" and attn_mask is None:
        flash = ops._scaled_dot_product_flash_attention
        return flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
    name = "cudnn" if kind == "cudnn" else "efficient"
    fused = getattr(ops, f"_scaled_dot_product_{name}_attention")
    if attn_mask is not None:
        shape = (*query.shape[:-1], key.size(-2))
        attn_mask = attn_mask.expand(shape)
    return fused(query, key, value, attn_mask, True, dropout_p, is_causal, scale=scale)[0]
