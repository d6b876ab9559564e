"""Counting compiled code: what a graph of Inductor computes, counted at each of its calls.

Much of a compiled graph runs in kernels that torch's dispatcher never sees (templates, cpp_wrapper,
Triton). So a pass writes down the graph's calls of ops that have a formula, while it is compiled;
the list travels with the compiled graph, also through torch's caches on disk; and each call of the
graph counts it, with the sizes of that call. What the dispatcher sees meanwhile is a cross-check.

Note: [private names] torch has no public place for any of this but the pass. What else is used:
counters["inductor"], whose changes torch keeps with a compiled graph, and
CompiledFxGraph.post_compile, which runs for cached graphs too. Where a torch lacks one of them, or
a graph was compiled without the pass, its calls are listed as uncounted and the dispatcher goes on
counting what it sees.
"""

from __future__ import annotations

import itertools
import json
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _load, _plan
from ._after_import import after_import

if TYPE_CHECKING:
    from types import ModuleType

# Before the list of calls, in the name of the counter that carries it.
_MARK = "account-plan:"
# Compiled graphs whose different sizes are kept; beyond that they are counted anew at each call.
_MOST_SIZES = 256

_installed = False
_number = itertools.count()


def install() -> None:
    """Watches Inductor, as soon as it is imported. Imports nothing itself."""
    global _installed
    if _installed:
        return
    _installed = True
    after_import("torch._inductor.output_code", _watch_inductor)
    after_import("torch._dynamo.output_graph", _watch_backends)
    after_import("torch.export.pt2_archive._package", _watch_packages)


# --- While a graph is compiled: the plan ----------------------------------------------------------


def _watch_inductor(output_code: ModuleType) -> None:
    from torch._inductor import config
    from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

    core = _load.core()

    class CountingPass(CustomGraphPass):
        """Writes the graph's plan into the counters that torch keeps with it; changes nothing."""

        def __call__(self, graph: Any) -> None:
            from torch._dynamo.utils import counters

            try:
                plan = _plan.of_graph(graph)
            except Exception as error:  # a graph that cannot be read is listed, and compiles
                plan = {"problem": f"its graph could not be read ({type(error).__name__})"}
            _carry_in_package(plan)
            counters["inductor"][f"{_MARK}{next(_number)}:{json.dumps(plan)}"] += 1

        def uuid(self) -> Any:
            return (
                "libaccount",
                core.formulas_digest(),
                get_hash_for_files((__file__, _plan.__file__)),
            )

    ours, others = CountingPass(), config.post_grad_custom_post_pass
    if others is None:
        config.post_grad_custom_post_pass = ours
    else:
        listed = tuple(others) if isinstance(others, (list, tuple)) else (others,)
        config.post_grad_custom_post_pass = (*listed, ours)

    compiled = output_code.CompiledFxGraph
    post_compile = compiled.post_compile

    def counting_post_compile(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = post_compile(self, *args, **kwargs)
        function = self.current_callable
        if function is not None and not isinstance(function, _Counted):
            self.current_callable = _Counted(function, _plan_within(self.counter_deltas))
        return result

    compiled.post_compile = counting_post_compile


def _plan_within(counters: Any) -> dict[str, Any]:
    """That of the whole graph: passes of its parts ran before its own."""
    marked = [key[len(_MARK) :] for key in counters if str(key).startswith(_MARK)]
    if not marked:
        return {"problem": "it was compiled without libaccount"}
    numbered = max((int(number), plan) for number, _, plan in (m.partition(":") for m in marked))
    loaded: dict[str, Any] = json.loads(numbered[1])
    return loaded


# --- When a graph is called -----------------------------------------------------------------------


class _Counted:
    """A compiled function that counts. Takes its inputs in one list, which it may empty."""

    def __init__(self, function: Callable[[Any], Any], plan: dict[str, Any]) -> None:
        self._function = function
        self._problem: str | None = plan.get("problem")
        self._symbols: list[list[Any]] = plan.get("symbols", [])
        self._graphs: dict[tuple[int, ...], Any] = {}
        names = [symbol[0] for symbol in self._symbols]
        counted = [*plan.get("calls", []), *_listed(plan.get("unknown", []))]
        audited = _audited(plan.get("audited", []))
        self._counted, self._audited = _in_numbers(counted, names), _in_numbers(audited, names)
        self._run: Callable[..., Any] | None = None
        if self._problem is None and not any(map(_symbolic, (counted, audited))):
            self._run = _load.core().Graph([tuple(call) for call in counted + audited]).run

    def __call__(self, inputs: Any) -> Any:
        if self._run is not None:  # one call, its sizes known for ever
            return self._run(self._function, inputs)
        core = _load.core()
        if self._problem is not None:
            result = self._function(inputs)
            core.note_uncounted(_plan.GRAPH, self._problem)
            return result
        return self._graph_for(inputs).run(self._function, inputs)

    def _graph_for(self, inputs: Any) -> Any:
        key = tuple(_symbol_in(inputs, *symbol[1:]) for symbol in self._symbols)
        graph = self._graphs.get(key)
        if graph is None:
            core = _load.core()
            kept = len(self._graphs) < _MOST_SIZES
            calls = self._counted(key)
            if kept or core.watching_every_op():  # else nobody asks for the rest
                calls = calls + self._audited(key)
            graph = core.Graph([tuple(call) for call in calls])
            if kept:
                self._graphs[key] = graph
        return graph


def _listed(unknown: list[list[Any]]) -> list[list[Any]]:
    """As calls that cannot be counted, with the elements of their tensors (region.h)."""
    return [
        [op, "?", [[size] for size in (elements[0] if elements else [])][:12], "other", reason]
        for op, reason, *elements in unknown
    ]


def _audited(others: list[list[Any]]) -> list[list[Any]]:
    """As calls that only the audit sees (region.h)."""
    return [[op, overload, [*sizes, [calls]], "other", "audited"]
            for op, overload, sizes, calls in others]  # fmt: skip


def _symbol_in(inputs: Any, position: int, dimension: int | str | None) -> int:
    value = inputs.tensor(position) if isinstance(inputs, _PackageInputs) else inputs[position]
    if dimension == "sum":
        return _sums.of(value)
    return int(value) if dimension is None else int(value.shape[dimension])


class _Sums:
    """What is in the tensors of block masks. One on a device is read when it is met a second time,
    once, so that a mask of every step never makes the host wait; until then its sum is unknown."""

    _UNKNOWN = -(1 << 40)
    _MOST = 256

    def __init__(self) -> None:
        self._met: dict[Any, tuple[weakref.ref[Any], int | None]] = {}

    def of(self, tensor: Any) -> int:
        version = 0 if tensor.is_inference() else tensor._version
        key = (tensor.data_ptr(), version, tuple(tensor.shape))
        met, known = self._met.get(key, (None, None))
        alive = met is not None and met() is not None  # else another one lies there
        if alive and known is not None:
            return known
        if self._may_read(tensor, alive):
            known = _sum_of(tensor.tolist())
        if len(self._met) >= self._MOST:
            self._met = {k: entry for k, entry in self._met.items() if entry[0]() is not None}
        if len(self._met) < self._MOST:
            self._met[key] = (met if alive and met is not None else weakref.ref(tensor), known)
        return self._UNKNOWN if known is None else known

    def _may_read(self, tensor: Any, again: bool) -> bool:
        if tensor.device.type == "cpu":
            return True
        import torch

        capturing = tensor.is_cuda and torch.cuda.is_current_stream_capturing()
        return again and not capturing


_sums = _Sums()


def _sum_of(numbers: Any) -> int:
    return sum(map(_sum_of, numbers)) if isinstance(numbers, list) else int(numbers)


def _symbolic(calls: list[list[Any]]) -> set[str]:
    return {size for size in _all_sizes(calls) if isinstance(size, str)}


def _in_numbers(
    calls: list[list[Any]], symbols: list[str]
) -> Callable[[tuple[int, ...]], list[list[Any]]]:
    """From the symbols' values to the calls in numbers."""
    import math

    texts = _symbolic(calls)

    code = {text: compile(text, "<size>", "eval") for text in texts}

    def evaluate(values: tuple[int, ...]) -> list[list[Any]]:
        names = dict(zip(symbols, values, strict=True), math=math, max=max, min=min)
        sizes = {}
        for text in texts:
            try:
                sizes[text] = int(eval(code[text], {"__builtins__": {}}, names))
            except NameError:  # a size that only the data decides
                sizes[text] = -1  # which no formula takes
        return [
            [op, overload, [_filled(argument, sizes) for argument in arguments], dtype, phase]
            for op, overload, arguments, dtype, phase in calls
        ]

    return evaluate


def _all_sizes(calls: list[list[Any]]) -> Iterator[Any]:
    for call in calls:
        for argument in call[2]:
            yield from argument or ()


def _filled(argument: list[Any] | None, sizes: dict[str, int]) -> list[int] | None:
    if argument is None:
        return None
    return [sizes[size] if isinstance(size, str) else size for size in argument]


# --- Other backends, and packages -----------------------------------------------------------------

# Inductor counts by graph; the others run torch's own operations one by one.
_KNOWN_BACKENDS = {
    "inductor", "eager", "eager_noexcept", "eager_debug", "aot_eager", "cudagraphs",
    "aot_eager_decomp_partition", "aot_eager_default_partitioner",
    "aot_eager_decomp_partition_crossref", "pre_dispatch_eager", "invoke_subgraph",
}  # fmt: skip


def _watch_backends(output_graph: ModuleType) -> None:
    graph_class = output_graph.OutputGraph
    compile_graph = graph_class.call_user_compiler

    def watching_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiled = compile_graph(self, *args, **kwargs)
        name = _backend_name(self.compiler_fn)
        return compiled if name in _KNOWN_BACKENDS else _Foreign(compiled, name)

    graph_class.call_user_compiler = watching_call


def _backend_name(compiler: Any) -> str:
    for word in ("compiler_name", "_torchdynamo_orig_backend", "_torchdynamo_orig_callable"):
        inner = getattr(compiler, word, None)
        if isinstance(inner, str):
            return inner
        if inner is not None:
            return _backend_name(inner)
    return str(getattr(compiler, "__name__", type(compiler).__name__))


class _Foreign:
    """What some backend made: listed where nothing in it could be counted."""

    def __init__(self, function: Callable[..., Any], backend: str) -> None:
        self._function = function
        self._reason = f"compiled by backend {backend}, in which nothing is seen"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        core = _load.core()
        before = core.calls_counted()
        result = self._function(*args, **kwargs)
        if core.calls_counted() == before:
            core.note_uncounted("compiled region", self._reason)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


def _carry_in_package(plan: dict[str, Any]) -> None:
    """An AOTInductor package has its plan among its metadata."""
    if _plan.in_package():
        config: Any = sys.modules["torch._inductor.config"]
        config.aot_inductor.metadata[_MARK] = json.dumps(plan)


def _watch_packages(package: ModuleType) -> None:
    model = package.AOTICompiledModel
    call = model.__call__

    def counting_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        counted = self.__dict__.get("_account")
        if counted is None:
            plan = self.get_metadata().get(_MARK)
            counted = _Counted(
                lambda inputs: call(self, *inputs[1], **inputs[2]),
                {"problem": "a package made without libaccount"}
                if plan is None
                else json.loads(plan),
            )
            self.__dict__["_account"] = counted
        return counted(_PackageInputs((args, kwargs), args, kwargs))

    model.__call__ = counting_call


class _PackageInputs(tuple):  # type: ignore[type-arg]
    """Arguments of a package's call; by number, its tensors in the order of its graph's inputs."""

    def __new__(cls, *parts: Any) -> _PackageInputs:
        return super().__new__(cls, parts)

    def tensor(self, position: int) -> Any:
        import torch
        from torch.utils import _pytree

        flat = _pytree.tree_flatten(self[0])[0]
        return [value for value in flat if isinstance(value, torch.Tensor)][position]
