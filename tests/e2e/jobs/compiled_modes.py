"""Counts one training step in each of the compiled modes that are named, and prints them as JSON.

    compiled_modes.py MODE...

The step: Linear(8,16), ReLU, Linear(16,4) on [4,8] whose gradient is asked for. Each mode is called
once before it is counted, so that what is counted compiles nothing. With the mode `cold` first, the
first call, which compiles, is counted instead.
"""

import functools
import json
import sys
import tempfile
import warnings
from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

import libaccount as account

warnings.filterwarnings("ignore")
Step = Callable[[], object]


def model() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))


def train(function: Callable[[torch.Tensor], torch.Tensor], batch: int = 4) -> Step:
    x = torch.ones(batch, 8, requires_grad=True)
    return lambda: function(x).sum().backward()


def infer(function: Callable[[torch.Tensor], torch.Tensor], batch: int = 4) -> Step:
    def step() -> None:
        with torch.no_grad():
            function(torch.ones(batch, 8))

    return step


def graph_break(net: torch.nn.Sequential) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        x = net[0](x)
        torch._dynamo.graph_break()
        return net[2](net[1](x))

    return forward


def compiled_autograd(function: Callable[[torch.Tensor], torch.Tensor]) -> Step:
    from torch._dynamo import compiled_autograd

    backward = torch.compile(backend="inductor")
    step = train(function)

    def under_it() -> None:
        with compiled_autograd._enable(backward):
            step()

    return under_it


def package(net: torch.nn.Sequential, batch: int) -> Step:
    dim = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(net, (torch.ones(4, 8),), dynamic_shapes=({0: dim},))
    with tempfile.NamedTemporaryFile(suffix=".pt2") as file:
        torch._inductor.aoti_compile_and_package(program, package_path=file.name)
        loaded = torch._inductor.aoti_load_package(file.name)
    return lambda: loaded(torch.ones(batch, 8))


def freeze(net: torch.nn.Sequential) -> Step:
    def step() -> None:
        with torch.no_grad(), torch._inductor.config.patch(freezing=True):
            compiled(torch.ones(4, 8))

    compiled = torch.compile(net, mode="max-autotune")
    return step


def opaque_backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Step:
    return lambda *_: (torch.ones(4, 16),)


def attention(function: Callable[..., torch.Tensor]) -> Step:
    q = torch.ones(2, 3, 16, 8, requires_grad=True)
    return lambda: function(q, q, q, is_causal=True).sum().backward()


@torch.library.custom_op("account_test::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x @ torch.ones(8, 8)


@twice.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Residual(torch.nn.Module):
    """Whose backward has nodes that the compiler moves into the forward."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = torch.nn.Linear(8, 16), torch.nn.Linear(16, 8)
        self.before, self.after = torch.nn.LayerNorm(8), torch.nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x + 1)
        return self.after(x + self.narrow(self.wide(x).relu()))


def grad_inside() -> Step:
    x = torch.ones(4, 8, requires_grad=True)
    return torch.compile(lambda: torch.autograd.grad(NET(x).sum(), [x, *NET.parameters()]))


def flex(tokens: int, masked: bool = False, heads: int | None = None) -> Step:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q, compiled = torch.ones(1, 2, tokens, 16), torch.compile(flex_attention)
    mask = None
    if masked:
        mask = create_block_mask(lambda b, h, i, j: i >= j + 128 * h, 1, heads, tokens, tokens,
                                 device="cpu")

    def step() -> None:
        with torch.no_grad():
            compiled(q, q, q, block_mask=mask)

    return step


NET = model()
sdpa = torch.nn.functional.scaled_dot_product_attention
MODES: dict[str, Callable[[], list[Step]]] = {
    "eager": lambda: [train(NET)],
    "default": lambda: [train(torch.compile(NET))],
    "dynamic": lambda: [train(f, batch) for f in [torch.compile(NET, dynamic=True)]
                        for batch in (4, 6, 10)],
    "reduce-overhead": lambda: [train(torch.compile(NET, mode="reduce-overhead"))],
    "max-autotune": lambda: [train(torch.compile(NET, mode="max-autotune"))],
    "cpp_wrapper": lambda: [train(torch.compile(NET, options={"cpp_wrapper": True}))],
    "aot_eager": lambda: [train(torch.compile(NET, backend="aot_eager"))],
    "moved nodes": lambda: [train(torch.compile(Residual()))],
    "grad inside": lambda: [grad_inside()],
    "graph break": lambda: [train(torch.compile(graph_break(NET)))],
    "checkpoint eager": lambda: [train(lambda x: checkpoint(NET, x, use_reentrant=False))],
    "checkpoint inside": lambda: [
        train(torch.compile(lambda x: checkpoint(NET, x, use_reentrant=False)))],
    "checkpoint outside": lambda: [train(functools.partial(checkpoint, torch.compile(NET),
                                                           use_reentrant=False))],
    "compiled autograd": lambda: [compiled_autograd(torch.compile(NET))],
    "inference": lambda: [infer(torch.compile(NET))],
    "frozen": lambda: [freeze(NET)],
    "package": lambda: [package(NET, 4), package(NET, 6)],
    "opaque backend": lambda: [infer(torch.compile(lambda x: x @ torch.ones(8, 16),
                                                   backend=opaque_backend))],
    "attention": lambda: [attention(torch.compile(sdpa))],
    "attention again": lambda: [attention(torch.compile(functools.partial(
        checkpoint, sdpa, use_reentrant=False)))],
    "attention eager": lambda: [attention(sdpa)],
    "custom op": lambda: [infer(torch.compile(lambda x: twice(x) @ torch.ones(8, 2)))],
    "flex": lambda: [flex(128)],
    "flex masked": lambda: [flex(256, masked=True), flex(200, masked=True),
                            flex(256, masked=True, heads=2)],
}


def count(step: Step, warm: bool) -> dict[str, object]:
    if warm:
        step()
    with account.count() as c:
        step()
    with account.count(audit=True) as again:
        step()
    audited = {a["op"]: a["estimate"] for a in again.audited if a["estimate"]}
    return {"executed": c.executed, "model": c.model, "lower": c.lower, "by_phase": c.by_phase,
            "by_op": c.by_op, "by_dtype": c.by_dtype, "uncounted": c.uncounted, "audited": audited}


def main() -> None:
    words = sys.argv[1:]
    warm = words[0] != "cold"
    with account.count():
        pass
    results = {}
    for mode in words if warm else words[1:]:
        torch._dynamo.reset()
        results[mode] = [count(step, warm) for step in MODES[mode]()]
    misses = torch._dynamo.utils.counters["inductor"]["fxgraph_cache_miss"]
    print(json.dumps({"modes": results, "compiled": misses}))


if __name__ == "__main__":
    main()
