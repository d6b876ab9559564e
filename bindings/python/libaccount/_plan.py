"""The plan of a compiled graph: its calls of ops that have a formula, read off its nodes.

Sizes are numbers, or expressions in the graph's symbols. _compile.py carries and counts it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from . import _formulas, _load

GRAPH = "compiled graph"


def of_graph(graph: Any) -> dict[str, Any]:
    """calls: [op, overload, arguments, dtype, phase]; a size is a number or an expression in
    symbols; unknown: [op, reason, elements of its tensors if known]; symbols: where the inputs tell
    them ([name, input, dimension, None for a number or "sum" of what is in it]); audited: what only
    the audit sees ([op, overload, [elements of its tensors, sizes of the first two], calls])."""
    nodes = list(graph.nodes)
    counts = _block_counts(nodes)
    symbols = [*_symbols(nodes), *counts.values()]
    plan: dict[str, Any] = {"calls": [], "unknown": [], "symbols": symbols}
    _add_calls(graph, plan, _phase_of(nodes), counts)
    try:
        plan["audited"] = _audited_calls(nodes)
    except Exception as error:  # what counts is read, and counts
        reason = f"its pointwise work could not be read ({type(error).__name__})"
        plan["unknown"].append([GRAPH, reason])
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


def _add_calls(
    graph: Any, plan: dict[str, Any], phase: Callable[[Any], str], counts: dict[Any, list[Any]]
) -> None:
    from torch._ops import HigherOrderOperator

    for node in graph.nodes:
        if node.op != "call_function":
            continue
        schema = _schema_of(node)
        if schema is not None:
            call = _call_of(node, schema)
            if call is not None:
                plan["calls"].append([*call, phase(node)])
        elif isinstance(node.target, HigherOrderOperator):
            _add_higher_order(node, plan, phase, counts)


def _schema_of(node: Any) -> Any:
    from torch._ops import OpOverload, OpOverloadPacket

    target = node.target
    if isinstance(target, OpOverloadPacket):  # as Inductor's own passes write it
        overloads: list[str] = target.overloads()  # type: ignore[no-untyped-call]
        target = getattr(target, overloads[0])
    return target._schema if isinstance(target, OpOverload) else None


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


def _inputs(nodes: list[Any]) -> list[Any]:
    inputs = [node for node in nodes if node.op == "placeholder"]
    if in_package():  # whose other inputs are constants
        inputs = [node for node in inputs if hasattr(node.meta.get("val"), "shape")]
    return inputs


def _symbols(nodes: list[Any]) -> list[list[Any]]:
    found: dict[str, list[Any]] = {}
    for position, node in enumerate(_inputs(nodes)):
        value = node.meta.get("val")
        sizes = list(enumerate(value.shape)) if hasattr(value, "shape") else [(None, value)]
        for dimension, size in sizes:
            symbolic = getattr(size, "node", None)
            expression = getattr(symbolic, "expr", None)
            if expression is not None and expression.is_symbol:
                found.setdefault(str(expression), [str(expression), position, dimension])
    return list(found.values())


def _add_higher_order(
    node: Any, plan: dict[str, Any], phase: Callable[[Any], str], counts: dict[Any, list[Any]]
) -> None:
    name = node.target.name()
    if name in _WITH_RANDOM_STATE:
        call = _call_with_random_state(node, _WITH_RANDOM_STATE[name])
        word = phase(node)  # only a forward's ops are wrapped
        if call is not None:
            plan["calls"].append([*call, "recompute" if word == "backward" else word])
    elif name in ("flex_attention", "flex_attention_backward"):
        plan["calls"].append([*_flex_call(node, name, counts), phase(node)])
    elif name == "invoke_subgraph":
        _add_calls(_body(node, node.args[0]), plan, phase, {})
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


# Where flex_attention (query, key, value, score_mod, block_mask, ...) and its backward (query, key,
# value, out, logsumexp, two gradients, two functions, block_mask, ...) have their mask.
_FLEX = {"flex_attention": 4, "flex_attention_backward": 9}


def _flex_call(node: Any, name: str, counts: dict[Any, list[Any]]) -> list[Any]:
    tensors = [_value(argument) for argument in node.args[:3]]
    arguments: list[Any] = [[_size(size) for size in tensor.shape] for tensor in tensors]
    arguments.append(_block_mask(node, name, counts))
    return [f"higher_order::{name}", "", arguments, _dtype(tensors[0])]


def _block_mask(node: Any, name: str, known: dict[Any, list[Any]]) -> list[Any] | None:
    """The blocks that a mask leaves (-1: nobody can read them), a block's queries and keys, the
    mask's batch and heads; None where this torch writes a mask in another way.

    BlockMask.as_tuple(): two lengths, the counts of partial blocks, ..., those of full ones or
    None, ..., a block's queries and keys, the mask's function.
    """
    try:
        mask = node.args[_FLEX[name]]
        counts = [count for count in (mask[2], mask[4]) if count is not None]
        block = [_size(_value(size)) for size in mask[-3:-1]]
        over = [1, 1, *(_size(size) for size in _value(mask[2]).shape[:-1])][-2:]
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    blocks: Any = -1
    if all(isinstance(size, int) and size >= _WHOLE for size in block):
        blocks = 1
    elif all(count in known for count in counts):
        blocks = " + ".join(known[count][0] for count in counts)
    return [blocks, *block, *over]


# flex_attention without a mask has one of a single block that is longer than any sequence.
_WHOLE = 1 << 30


def _block_counts(nodes: list[Any]) -> dict[Any, list[Any]]:
    """A symbol for each count of blocks that is an input of the graph."""
    found = {}
    for position, node in enumerate(_inputs(nodes)):
        for user in node.users:
            place = _FLEX.get(getattr(user.target, "__name__", ""))
            mask = user.args[place] if place is not None and len(user.args) > place else ()
            if isinstance(mask, tuple) and any(node is count for count in mask[2:5:2]):
                found[node] = [f"blocks_of_{node.name}", position, "sum"]
    return found


# --- For the audit: what the graph does beside its calls of ops that have a formula ---------------


def _audited_calls(nodes: list[Any]) -> list[list[Any]]:
    calls: dict[str, list[Any]] = {}
    for call in _others(nodes, None):
        calls.setdefault(json.dumps(call), [*call, 0])[-1] += 1
    return list(calls.values())


def _others(nodes: list[Any], elements: Any) -> Iterator[list[Any]]:
    """[op, overload, sizes] of each node; within a function of single elements (flex_attention's),
    each node has as many as that is called for."""
    from torch._ops import HigherOrderOperator

    for node in nodes:
        schema = _schema_of(node)
        if schema is not None:
            yield from _other(schema, (*node.args, *node.kwargs.values()), node, elements)
        elif isinstance(node.target, HigherOrderOperator):
            yield from _others_within(node)


def _other(schema: Any, args: Any, node: Any, elements: Any = None) -> Iterator[list[Any]]:
    # Ops of others are called through the dispatcher, which sees them.
    if schema.name.partition("::")[0] not in ("aten", "prims"):
        return
    if _load.core().moves_data(schema.name):
        return
    tensors = [_value(argument) for argument in args]
    output = node.meta.get("val")
    outputs = output if isinstance(output, tuple) else [output]
    sizes = _numels([*tensors, *outputs]) if elements is None else [elements]
    first = [_shape(tensor) for tensor in tensors[:2]] if "attention" in schema.name else [[], []]
    yield [schema.name, schema.overload_name, [sizes, *first]]


def _numels(values: list[Any]) -> list[Any]:
    """The elements of each tensor, and of each list of tensors together: the largest number, and
    what expressions there are."""
    sizes = []
    for value in values:
        tensors = [t for t in (value if isinstance(value, (list, tuple)) else [value])
                   if hasattr(t, "numel")]  # fmt: skip
        if tensors:
            sizes.append(_size(sum(t.numel() for t in tensors)))
    known = [size for size in sizes if isinstance(size, int)]
    return [*([max(known)] if known else []), *sorted({s for s in sizes if isinstance(s, str)})]


def _shape(tensor: Any) -> list[Any]:
    return [_size(size) for size in getattr(tensor, "shape", ())]


def _others_within(node: Any) -> Iterator[list[Any]]:
    name = node.target.name()
    if name == "invoke_subgraph":
        yield from _others(list(_body(node, node.args[0]).nodes), None)
    if name in _WITH_RANDOM_STATE:
        position = _WITH_RANDOM_STATE[name]
        op, args = node.args[position], node.args[position + 1 :]
        yield from _other(op._schema, (*args, *node.kwargs.values()), node)
    if name in _FLEX:
        query, key = (_value(argument) for argument in node.args[:2])
        yield [f"higher_order::{name}", "", [[1], _shape(query), _shape(key)]]
        scores = _size(query.numel() // query.shape[-1] * key.shape[-2])
        for argument in (*node.args, *node.args[_FLEX[name]]):
            if getattr(argument, "op", None) == "get_attr":  # of each score, or of its gradient
                yield from _others(list(_body(node, argument).nodes), scores)


def _body(node: Any, function: Any) -> Any:
    return getattr(node.graph.owning_module, function.target).graph


def in_package() -> bool:
    from torch._inductor.virtualized import V

    return V.aot_compilation is True
