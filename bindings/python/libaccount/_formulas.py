"""Work that libaccount has no formula for: the user's own, for ops, kernels and plain numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from . import _load

if TYPE_CHECKING:
    from types import ModuleType

# Short names that people use, beside torch's own.
_SHORT = {
    "fp64": "float64", "double": "float64", "fp32": "float32", "tf32": "float32",
    "float": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16",
    "fp8": "float8_e4m3fn", "int": "int32",
}  # fmt: skip


def register_formula(op: str, formula: Callable[..., int]) -> None:
    """Counts the op ``"namespace::name"`` (or ``"namespace::name.overload"``) by `formula`.

    `formula` gets the call's arguments as the op does (keyword-only ones by keyword): of a tensor
    its ``shape`` and ``dtype`` (``ndim``, ``size()`` and ``numel()`` too), other values as numbers,
    and, where it has a parameter ``out``, what the op returned. It returns the operations of the
    call: an addition or multiplication is 1, a fused multiply-add 2. What the op runs inside is
    not counted beside it. A formula that raises, or returns anything but a number of operations,
    leaves the call in ``uncounted``, with the reason; training goes on.

    Raises Error where there is no such op, or where it has a formula already. Thread-safe; called
    at each call of the op, on its thread.

    >>> import torch, libaccount as account
    >>> @torch.library.custom_op("mylib::scale", mutates_args=())
    ... def scale(x: torch.Tensor, by: float) -> torch.Tensor:
    ...     return x * by
    >>> account.register_formula("mylib::scale", lambda x, by: x.numel())
    >>> with account.count() as c:
    ...     _ = scale(torch.ones(3, 4), 2.0)
    >>> c.by_op
    {'mylib::scale': 12}
    """
    core = _load.watching_core()
    keywords = _keyword_names(op)
    wants_out = "out" in _parameters(formula)

    def evaluate(inputs: list[Any], outputs: list[Any]) -> Any:
        values = {name: _value(value) for name, value in inputs}
        positional = [value for name, value in values.items() if name not in keywords]
        named = {name: value for name, value in values.items() if name in keywords}
        if wants_out:
            results = [_value(value) for _, value in outputs]
            named["out"] = results[0] if len(results) == 1 else results
        return formula(*positional, **named)

    core.register_formula(op, evaluate)


def add(
    operations: int,
    *,
    op: str,
    dtype: Any = "other",
    model: int | None = None,
    lower: int | None = None,
) -> None:
    """Counts `operations` that torch's dispatcher did not see, such as a kernel called by hand.

    Call it when the kernel was launched, on the same thread: they count in the phase and category
    that hold there. `dtype` is a torch dtype or its name (``"bf16"`` will do). `model` and `lower`
    are as in ``Totals``, and `operations` unless given. Raises Error for a number that is none.

    >>> import libaccount as account
    >>> with account.count() as c:
    ...     account.add(2 * 128 * 64, op="my_kernel", dtype="bf16")
    >>> c.by_op, c.by_dtype
    ({'my_kernel': 16384}, {'bfloat16': 16384})
    """
    model = operations if model is None else model
    lower = operations if lower is None else lower
    _load.watching_core().add(operations, model, lower, op, dtype_name(dtype))


def kernel(
    formula: Callable[..., int], *, op: str | None = None, dtype: Any = None
) -> Callable[[Any], Any]:
    """Decorates a Triton kernel: each launch counts by `formula`, eager and compiled.

    `formula` names those of the kernel's parameters that it reads (and ``grid``, if it wants that).
    Put it above ``triton.jit`` and ``triton.autotune``. The kernel itself stays what it is. It
    counts as `op` (``"triton::"`` and the kernel's name) in `dtype` (that of its first tensor).

    >>> import libaccount as account
    >>> def decorated():  # where Triton is
    ...     @account.kernel(lambda n_elements: n_elements)
    ...     @triton.jit
    ...     def add_kernel(x_ptr, y_ptr, out_ptr, n_elements, BLOCK: tl.constexpr): ...
    """

    def decorate(launched: Any) -> Any:
        counted = Kernel(launched, formula, op, dtype)
        run = launched.run

        def counting_run(*args: Any, **kwargs: Any) -> Any:
            result = run(*args, **kwargs)
            if not kwargs.get("warmup"):  # which only compiles
                counted.launch(args, kwargs)
            return result

        launched.run = counting_run
        _kernels[id(launched)] = counted
        inner = launched
        while inner is not None:
            _decorated.add(id(inner))
            inner = getattr(inner, "fn", None)
        return launched

    return decorate


class Kernel:
    """A kernel with a formula of the user's."""

    def __init__(
        self, launched: Any, formula: Callable[..., int], op: str | None, dtype: Any
    ) -> None:
        self.launched = launched  # keeps the id in _kernels its own
        self.op = op or f"triton::{kernel_name(launched)}"
        self._formula = formula
        self._dtype = dtype
        self._wanted = _parameters(formula)

    def launch(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Counts one launch. What cannot be counted is listed, and nothing is raised."""
        core = _load.core()
        try:
            values = dict(zip(self.launched.arg_names, args, strict=False)) | dict(kwargs)
            grid = values.get("grid")
            if "grid" in self._wanted and callable(grid):
                values["grid"] = grid(values)
            add(self.operations(values), op=self.op, dtype=self.dtype(values))
        except Exception as error:
            core.note_uncounted(self.op, f"its formula raised {type(error).__name__}")

    def operations(self, values: Mapping[str, Any]) -> Any:
        """By the formula; in symbols where the sizes are."""
        return self._formula(**{name: values[name] for name in self._wanted if name in values})

    def dtype(self, values: Mapping[str, Any]) -> str:
        if self._dtype is not None:
            return dtype_name(self._dtype)
        tensors = [value for value in values.values() if hasattr(value, "shape")]
        return dtype_name(tensors[0].dtype) if tensors else "other"


NO_FORMULA = "a Triton kernel without a formula"
_kernels: dict[int, Kernel] = {}


def watch_kernels(jit: ModuleType) -> None:
    """Lists launches of Triton kernels that were given no formula, with a bound."""
    run = jit.JITFunction.run

    def listing_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = run(self, *args, **kwargs)
        if not kwargs.get("warmup") and id(self) not in _decorated:
            tensors = [v for v in (*args, *kwargs.values()) if hasattr(v, "numel")]
            core = _load.core()
            bound = core.bound_of_elements([t.numel() for t in tensors])
            core.note_uncounted(f"triton::{kernel_name(self)}", NO_FORMULA, bound)
        return result

    jit.JITFunction.run = listing_run


# Kernels with a formula, and what they wrap: launched by those, not by themselves.
_decorated: set[int] = set()


def of_kernel(launched: Any) -> Kernel | None:
    """What was given to kernel() for this one, or for what it wraps."""
    while launched is not None:
        if id(launched) in _kernels:
            return _kernels[id(launched)]
        launched = getattr(launched, "fn", None)
    return None


def kernel_name(launched: Any) -> str:
    name = getattr(launched, "__name__", None)
    return name if isinstance(name, str) else kernel_name(getattr(launched, "fn", "kernel"))


def dtype_name(dtype: Any) -> str:
    """``bfloat16`` for ``torch.bfloat16``, ``"bfloat16"`` and ``"bf16"``."""
    name = str(dtype).removeprefix("torch.")
    return _SHORT.get(name, name)


class TensorShape:
    """What a formula sees of a tensor."""

    def __init__(self, shape: tuple[Any, ...], dtype: Any) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> Any:
        return prod(self.shape)


def watch_definitions(library: ModuleType) -> None:
    """Ops defined in Python are seen before their first call."""
    from torch import _ops

    for owner, name in ((library.Library, "define"), (_ops._Ops, "load_library")):
        _then_watch(owner, name)


def _then_watch(owner: Any, name: str) -> None:
    function = getattr(owner, name)

    def watching(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        _load.core().watch_new_ops()
        return result

    watching.__doc__ = function.__doc__
    watching.__wrapped__ = function  # type: ignore[attr-defined]
    setattr(owner, name, watching)


def _value(value: Any) -> Any:
    """From what the core hands over: None, a number, a list, or ("tensor", sizes, dtype)."""
    import torch

    if isinstance(value, tuple):
        return TensorShape(tuple(value[1]), getattr(torch, value[2], None))
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value


def _parameters(formula: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(formula).parameters)
    except (TypeError, ValueError):  # some built-in function
        return []


def _keyword_names(op: str) -> set[str]:
    import torch

    names: set[str] = set()
    for schema in torch._C._jit_get_all_schemas():
        if schema.name == op.partition(".")[0]:
            names |= {a.name for a in schema.arguments if a.kwarg_only}
    return names
