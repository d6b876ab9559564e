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
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _formulas, _load
from ._after_import import after_import

if TYPE_CHECKING:
    from types import ModuleType

# Before the list of calls, in the name of the counter that carries it.
_MARK = "account-plan:"
# Compiled graphs whose different sizes are kept; beyond that they are counted anew at each call.
_MOST_SIZES = 256
_GRAPH = "compiled graph"

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
                plan = _plan(graph)
            except Exception as error:  # a graph that cannot be read is listed, and compiles
                plan = {"problem": f"its graph could not be read ({type(error).__name__})"}
            _carry_in_package(plan)
            counters["inductor"][f"{_MARK}{next(_number)}:{json.dumps(plan)}"] += 1

        def uuid(self) -> Any:
            return ("libaccount", core.formulas_digest(), get_hash_for_files((__file__,)))

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


def _plan(graph: Any) -> dict[str, Any]:
    """calls: [op, overload, arguments, dtype, phase]; a size is a number or an expression in
    symbols; unknown: [op, reason, elements of its tensors if known]; symbols: where the inputs tell
    them ([name, input, dimension or None])."""
    nodes = list(graph.nodes)
    plan: dict[str, Any] = {"calls": [], "unknown": [], "symbols": _symbols(nodes)}
    _add_calls(graph, plan, _phase_of(nodes))
    return plan


def _phase_of(nodes: list[Any]) -> Callable[[Any], str]:
    """The phase of a graph's nodes, by a word of count/keys.h; empty: that in which it is called.

    In a backward graph, a node of the forward is one that is computed again. The forward graph of
    training, into which the partitioner moves some of the backward's nodes, is recomputed if a
    backward calls it, though autograd is off inside ("training"). A graph of both, from
    torch.autograd.grad within compiled code, says of each node which it is.
    """
    inputs = [node.name for node in nodes if node.op == "placeholder"]
    if any(name.startswith("tangents_") for name in inputs):
        return _within_backward
    autograd = sys.modules.get("torch._dynamo.compiled_autograd")
    if getattr(autograd, "in_compiled_autograd_region", False):
        return lambda node: "backward"
    if any(name.startswith("primals_") for name in inputs):
        return lambda node: "training"
    return _within_both


def _within_backward(node: Any) -> str:
    return "recompute" if node.meta.get("partitioner_tag") == "is_forward" else "backward"


def _within_both(node: Any) -> str:
    if not node.meta.get("autograd_backward"):
        return ""
    return "recompute" if node.name.endswith("_recomputed") else "backward"


def _add_calls(graph: Any, plan: dict[str, Any], phase: Callable[[Any], str]) -> None:
    from torch._ops import HigherOrderOperator, OpOverload, OpOverloadPacket

    for node in graph.nodes:
        if node.op != "call_function":
            continue
        target = node.target
        if isinstance(target, OpOverloadPacket):  # as Inductor's own passes write it
            overloads: list[str] = target.overloads()  # type: ignore[no-untyped-call]
            target = getattr(target, overloads[0])
        if isinstance(target, OpOverload):
            call = _call_of(node, target._schema)
            if call is not None:
                plan["calls"].append([*call, phase(node)])
        elif isinstance(node.target, HigherOrderOperator):
            _add_higher_order(node, plan, phase)


def _call_of(node: Any, schema: Any) -> list[Any] | None:
    """[op, overload, arguments, dtype] of a node that has a formula."""
    return call_of(schema, node.args, node.kwargs, node.meta.get("val"))


def call_of(schema: Any, args: Any, kwargs: Any, output: Any) -> list[Any] | None:
    """The same of a call, whose arguments may be nodes, tensors of any kind, and numbers."""
    formula = _load.core().formula_of(schema.name, schema.overload_name)
    if formula is None:
        return None
    by_name = dict(zip((a.name for a in schema.arguments), args, strict=False))
    by_name.update(kwargs)
    for argument in schema.arguments:
        if argument.name not in by_name and argument.has_default_value():
            by_name[argument.name] = argument.default_value
    by_name["->"] = output[0] if isinstance(output, (list, tuple)) else output
    names = [a.name for a in schema.arguments]
    arguments = [_numbers(word, by_name, names) for word in formula[0].split()]
    kind = formula[1]
    dtype = kind[1:] if kind.startswith("=") else _dtype(_value(by_name.get(kind)))
    return [schema.name, schema.overload_name, arguments, dtype]


def _numbers(word: str, by_name: dict[str, Any], names: list[str]) -> list[Any] | None:
    """What the formula reads of one argument (count/formula.h), as numbers and expressions."""
    name, _, fact = word.partition("#")
    value = _value(by_name.get(name))
    if fact == "products":
        right = _value(by_name[names[names.index(name) + 1]])
        pairs = zip(value, right, strict=True)
        return [_size(sum(a.shape[0] * a.shape[1] * b.shape[1] for a, b in pairs))]
    if value is None or fact in ("nnz", "end"):  # what no compiler knows
        return None
    if fact:
        return [_size(_FACTS[fact](value))]
    sizes = getattr(value, "shape", value)
    return [_size(size) for size in (sizes if isinstance(sizes, (list, tuple)) else [sizes])]


_FACTS: dict[str, Callable[[Any], Any]] = {
    "numel": lambda tensor: tensor.numel(),
    "last": lambda tensor: tensor.shape[-1],
    "matrices": lambda tensors: sum(t.numel() for t in tensors if t.dim() >= 2),
}


def _value(argument: Any) -> Any:
    """The fake tensor, number or list that a node's argument stands for."""
    import torch

    if isinstance(argument, torch.fx.Node):
        return argument.meta.get("val")
    if isinstance(argument, (list, tuple)):
        return [_value(item) for item in argument]
    return argument


def _size(size: Any) -> Any:
    if isinstance(size, bool):
        return int(size)
    node = getattr(size, "node", None)
    if node is None and not hasattr(size, "free_symbols"):
        return int(size)
    expression = size if node is None else node.expr
    if expression.is_number:
        return int(expression)
    from torch.utils._sympy.printers import PythonPrinter

    return str(PythonPrinter().doprint(expression))


def _dtype(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else None
    return str(getattr(value, "dtype", "other")).removeprefix("torch.")


def _symbols(nodes: list[Any]) -> list[list[Any]]:
    found: dict[str, list[Any]] = {}
    inputs = [node for node in nodes if node.op == "placeholder"]
    if _in_package():  # whose other inputs are constants
        inputs = [node for node in inputs if hasattr(node.meta.get("val"), "shape")]
    for position, node in enumerate(inputs):
        value = node.meta.get("val")
        sizes = list(enumerate(value.shape)) if hasattr(value, "shape") else [(None, value)]
        for dimension, size in sizes:
            symbolic = getattr(size, "node", None)
            expression = getattr(symbolic, "expr", None)
            if expression is not None and expression.is_symbol:
                found.setdefault(str(expression), [str(expression), position, dimension])
    return list(found.values())


def _add_higher_order(node: Any, plan: dict[str, Any], phase: Callable[[Any], str]) -> None:
    name = node.target.name()
    if name in _WITH_RANDOM_STATE:
        call = _call_with_random_state(node, _WITH_RANDOM_STATE[name])
        word = phase(node)  # only a forward's ops are wrapped
        if call is not None:
            plan["calls"].append([*call, "recompute" if word == "backward" else word])
    elif name in ("flex_attention", "flex_attention_backward"):
        plan["calls"].append([*_flex_call(node, name), phase(node)])
    elif name == "invoke_subgraph":
        body = getattr(node.graph.owning_module, node.args[0].target)
        _add_calls(body.graph, plan, phase)
    elif name in ("cond", "while_loop", "scan", "map_impl"):
        plan["unknown"].append([name, "control flow in a compiled graph"])
    elif name.startswith("triton_kernel_wrapper"):
        _add_kernel(node, plan, phase)


# How a checkpoint wraps an op that uses random numbers, so that it can be run again alike: where
# among its arguments the op is.
_WITH_RANDOM_STATE = {
    "run_and_save_rng_state": 0,
    "run_with_rng_state": 1,
    "graphsafe_run_with_rng_state": 0,
}


def _call_with_random_state(node: Any, position: int) -> list[Any] | None:
    op, args = node.args[position], node.args[position + 1 :]
    output = node.meta.get("val")
    if node.target.name() == "run_and_save_rng_state" and output is not None:
        output = output[1]  # behind the state
    return call_of(op._schema, args, node.kwargs, output)


def _add_kernel(node: Any, plan: dict[str, Any], phase: Callable[[Any], str]) -> None:
    """A Triton kernel: its operations by the user's formula, as one number or expression."""
    from torch._higher_order_ops.triton_kernel_wrap import kernel_side_table

    launched = kernel_side_table.get_kernel(node.kwargs["kernel_idx"])
    kernel = _formulas.of_kernel(launched)
    if kernel is None:
        name = _formulas.kernel_name(launched)
        tensors = [_value(v) for v in node.kwargs["kwargs"].values()]
        elements = [_size(t.numel()) for t in tensors if hasattr(t, "numel")]
        plan["unknown"].append([f"triton::{name}", _formulas.NO_FORMULA, elements])
        return
    constants = kernel_side_table.get_constant_args(node.kwargs["constant_args_idx"])
    values = {name: _in_symbols(_value(v)) for name, v in node.kwargs["kwargs"].items()}
    values |= constants | {"grid": [_in_symbols(_value(g)) for g in node.kwargs["grid"][0]]}
    try:
        operations = _size(kernel.operations(values))
    except Exception as error:
        plan["unknown"].append([kernel.op, f"its formula raised {type(error).__name__}"])
        return
    plan["calls"].append([kernel.op, "=", [[operations]], kernel.dtype(values), phase(node)])


def _in_symbols(value: Any) -> Any:
    """A size as an expression: a formula that asks for more than that must not specialise it."""
    if hasattr(value, "shape"):
        return _formulas.TensorShape(tuple(map(_in_symbols, value.shape)), value.dtype)
    expression = getattr(getattr(value, "node", None), "expr", None)
    if expression is None:
        return value
    return int(expression) if expression.is_number else expression


def _flex_call(node: Any, name: str) -> list[Any]:
    """flex_attention(query, key, value, score_mod, block_mask, ...), its backward (query, key,
    value, out, logsumexp, ...): all pairs; how many a block mask leaves is data."""
    tensors = [_value(argument) for argument in node.args[:3]]
    arguments: list[Any] = [[_size(size) for size in tensor.shape] for tensor in tensors]
    return [f"higher_order::{name}", "", arguments, _dtype(tensors[0])]


# --- When a graph is called -----------------------------------------------------------------------


class _Counted:
    """A compiled function that counts. Takes its inputs in one list, which it may empty."""

    def __init__(self, function: Callable[[Any], Any], plan: dict[str, Any]) -> None:
        self._function = function
        self._problem: str | None = plan.get("problem")
        self._calls: list[list[Any]] = [*plan.get("calls", []), *_listed(plan.get("unknown", []))]
        self._symbols: list[list[Any]] = plan.get("symbols", [])
        self._graphs: dict[tuple[int, ...], Any] = {}
        self._sizes = _evaluator(self._calls, [symbol[0] for symbol in self._symbols])
        self._run: Callable[..., Any] | None = None
        if self._problem is None and self._sizes is None:
            self._run = _load.core().Graph([tuple(call) for call in self._calls]).run

    def __call__(self, inputs: Any) -> Any:
        if self._run is not None:  # one call, its sizes known for ever
            return self._run(self._function, inputs)
        core = _load.core()
        if self._problem is not None:
            result = self._function(inputs)
            core.note_uncounted(_GRAPH, self._problem)
            return result
        return self._graph_for(inputs).run(self._function, inputs)

    def _graph_for(self, inputs: Any) -> Any:
        key = tuple(_symbol_in(inputs, *symbol[1:]) for symbol in self._symbols)
        graph = self._graphs.get(key)
        if graph is None:
            calls = self._calls if self._sizes is None else self._sizes(key)
            graph = _load.core().Graph([tuple(call) for call in calls])
            if len(self._graphs) < _MOST_SIZES:
                self._graphs[key] = graph
        return graph


def _listed(unknown: list[list[Any]]) -> list[list[Any]]:
    """As calls that cannot be counted, with the elements of their tensors (region.h)."""
    return [
        [op, "?", [[size] for size in (elements[0] if elements else [])][:12], "other", reason]
        for op, reason, *elements in unknown
    ]


def _symbol_in(inputs: Any, position: int, dimension: int | None) -> int:
    value = inputs.tensor(position) if isinstance(inputs, _PackageInputs) else inputs[position]
    return int(value) if dimension is None else int(value.shape[dimension])


def _evaluator(
    calls: list[list[Any]], symbols: list[str]
) -> Callable[[tuple[int, ...]], list[list[Any]]] | None:
    """From the symbols' values to the calls in numbers; None if they are numbers already."""
    texts = {size for size in _all_sizes(calls) if isinstance(size, str)}
    if not texts:
        return None
    import math

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
    if _in_package():
        config: Any = sys.modules["torch._inductor.config"]
        config.aot_inductor.metadata[_MARK] = json.dumps(plan)


def _in_package() -> bool:
    from torch._inductor.virtualized import V

    return V.aot_compilation is True


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
