"""What only a GPU can show: each kernel family's count beside a number worked out by hand.

tests/gpu/run.sh builds libaccount on the machine and runs this. A check that raises is a failure of
its own; the others go on. Without a CUDA device it says so and ends with status 3.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import traceback

import torch

import libaccount as account

CHECKS = {}


def check(function):
    CHECKS[function.__name__.replace("_", " ")] = function
    return function


def counted(function, *args):
    with account.count() as c:
        function(*args)
        torch.cuda.synchronize()
    return c


def same(name, got, expected):
    """One line of the report."""
    return {"name": name, "got": got, "expected": expected, "ok": got == expected}


def ones(*sizes, dtype=torch.bfloat16, grad=False):
    return torch.ones(sizes, device="cuda", dtype=dtype, requires_grad=grad)


# --- Products -------------------------------------------------------------------------------------


@check
def matrix_products():
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        a, b = ones(64, 32, dtype=dtype), ones(32, 16, dtype=dtype)
        c = counted(lambda a=a, b=b: torch.addmm(torch.mm(a, b), a, b))
        yield same(f"mm, addmm {dtype}", c.by_dtype, {str(dtype)[6:]: 2 * 2 * 64 * 32 * 16})
        a, b = ones(4, 64, 32, dtype=dtype), ones(4, 32, 16, dtype=dtype)
        c = counted(lambda a=a, b=b: torch.baddbmm(torch.bmm(a, b), a, b))
        yield same(f"bmm, baddbmm {dtype}", c.executed, 2 * 2 * 4 * 64 * 32 * 16)


@check
def integer_and_fp8_products():
    a, b = ones(32, 64, dtype=torch.int8), ones(64, 32, dtype=torch.int8)
    yield same("_int_mm", counted(torch._int_mm, a, b).by_dtype, {"int8": 2 * 32 * 64 * 32})
    a = ones(16, 32).to(torch.float8_e4m3fn)
    b = ones(48, 32).to(torch.float8_e4m3fn).t()
    scale = torch.ones((), device="cuda")
    c = counted(lambda: torch._scaled_mm(a, b, scale, scale, out_dtype=torch.bfloat16))
    yield same("_scaled_mm", c.by_dtype, {"float8_e4m3fn": 2 * 16 * 32 * 48})


@check
def grouped_products():
    a, b = ones(96, 64, grad=True), ones(3, 64, 32, grad=True)
    ends = torch.tensor([32, 64, 96], device="cuda", dtype=torch.int32)
    gradient = ones(96, 32)
    c = counted(lambda: torch._grouped_mm(a, b, ends).backward(gradient))
    product = 2 * 96 * 64 * 32
    yield same("_grouped_mm", c.by_phase, {"forward": product, "backward": 2 * product})


# --- Convolutions, recurrent layers ---------------------------------------------------------------


@check
def convolutions():
    x, weight = ones(2, 8, 16, 16, grad=True), ones(16, 4, 3, 3, grad=True)
    c = counted(lambda: torch.nn.functional.conv2d(x, weight, padding=1, groups=2).sum().backward())
    product = 2 * 2 * 256 * 16 * 4 * 9
    yield same("conv2d in 2 groups", c.by_phase, {"forward": product, "backward": 2 * product})
    x, weight = ones(2, 8, 20), ones(8, 16, 4, grad=True)
    c = counted(lambda: torch.nn.functional.conv_transpose1d(x, weight, stride=2).sum().backward())
    product = 2 * 2 * 20 * 8 * 16 * 4
    yield same("conv_transpose1d, gradient of the weight only", c.by_phase,
               {"forward": product, "backward": product})


@check
def recurrent_layers():
    steps = 10 * 4  # times the batch
    for kind, gates in ((torch.nn.LSTM, 4), (torch.nn.GRU, 3)):
        net = kind(32, 64, num_layers=2).cuda()
        x = torch.ones(10, 4, 32, device="cuda", requires_grad=True)
        c = counted(lambda net=net, x=x: net(x)[0].sum().backward())
        forward = 2 * steps * gates * 64 * (32 + 64 + 64 + 64)
        yield same(f"cuDNN {kind.__name__}", c.by_phase,
                   {"forward": forward, "backward": 2 * forward})


# --- Attention ------------------------------------------------------------------------------------


@check
def attention_by_backend():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    unit = 2 * 2 * 4 * 64 * 64 * 32  # 2 batches of 4 heads, 64 x 64 pairs, width 32
    for backend, backward in ((SDPBackend.FLASH_ATTENTION, 5), (SDPBackend.EFFICIENT_ATTENTION, 5),
                              (SDPBackend.CUDNN_ATTENTION, 5), (SDPBackend.MATH, 4)):
        q, k, v = (ones(2, 4, 64, 32, grad=True) for _ in range(3))
        with sdpa_kernel(backend):
            c = counted(lambda q=q, k=k, v=v: torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=True).sum().backward())
        yield same(f"{backend.name}", c.by_phase,
                   {"forward": 2 * unit, "backward": backward * unit})
        if backend is not SDPBackend.MATH:
            yield same(f"{backend.name}: model", c.model, 6 * unit)
            yield same(f"{backend.name}: lower", c.lower, 7 * unit * (64 * 65 // 2) // (64 * 64))


@check
def attention_with_shared_heads():
    q, k = ones(2, 8, 64, 32), ones(2, 2, 64, 32)
    c = counted(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, k, enable_gqa=True))
    yield same("8 heads on 2", c.executed, 2 * 2 * 8 * 64 * 64 * 64)


@check
def attention_over_uneven_sequences():
    parts = [torch.ones(length, 4, 16, device="cuda", dtype=torch.bfloat16) for length in (16, 32)]
    q = torch.nested.nested_tensor(parts, layout=torch.jagged).transpose(1, 2)
    c = counted(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    # Each query against the longest keys; at least what even lengths would cost.
    yield same("jagged", c.executed, 2 * 4 * 48 * 32 * 32)
    yield same("jagged: lower", c.lower, 2 * 4 * (48 * 48 // 2) * 32)


@check
def encoder_layer_fast_path():
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).cuda().eval()
    with torch.inference_mode():
        c = counted(layer, torch.ones(2, 16, 64, device="cuda"))
    products = 2 * 2 * 16 * (64 * 3 * 64 + 64 * 64 + 2 * 64 * 128)
    yield same("inference", c.executed, products + 2 * 2 * 4 * 16 * 16 * 32)


# --- Whole steps ----------------------------------------------------------------------------------


class Block(torch.nn.Module):
    def __init__(self, width=128, heads=4):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        a = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(torch.nn.functional.gelu(self.up(x)))


@check
def a_transformer_under_autocast_with_checkpoints():
    from torch.utils.checkpoint import checkpoint

    net = torch.nn.ModuleList([Block(), Block()]).cuda()
    x = torch.randn(2, 64, 128, device="cuda", requires_grad=True)

    def step():
        h = x
        with torch.autocast("cuda", torch.bfloat16):
            for block in net:
                h = checkpoint(block, h, use_reentrant=True)
        h.sum().backward()

    linear = 2 * 2 * (2 * 64) * 128 * 12 * 128  # two blocks, 12 width^2 weights each
    attention = 2 * 2 * 2 * 4 * 64 * 64 * 32
    c = counted(step)
    forward = linear + 2 * attention
    yield same("phases", c.by_phase, {"forward": forward, "recompute": forward,
                                      "backward": 2 * linear + 5 * attention})
    yield same("type", set(c.by_dtype), {"bfloat16"})


def perceptron():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(),
                               torch.nn.Linear(128, 64)).to("cuda", torch.bfloat16)


def step_of(function, batch=32):
    def step():
        # Gradients in the memory of a CUDA graph do not outlive its next run.
        function.zero_grad(set_to_none=True)
        function(ones(batch, 64)).sum().backward()

    return step


def perceptron_counts(batch=32):
    """Forward: two layers. Backward: two gradients of weights, and the input of the second."""
    product = 2 * batch * 64 * 128
    return {"forward": 2 * product, "backward": 3 * product}


@check
def compiled_code():
    compiled = torch.compile(perceptron(), dynamic=True)
    for batch in (32, 48, 80):
        yield same(f"dynamic, batch {batch}", counted(step_of(compiled, batch)).by_phase,
                   perceptron_counts(batch))
    for mode in ("default", "reduce-overhead", "max-autotune"):
        torch.compiler.reset()
        step = step_of(torch.compile(perceptron(), mode=mode))
        for call in range(5 if mode == "reduce-overhead" else 2):
            if mode != "default":
                torch.compiler.cudagraph_mark_step_begin()
            c = counted(step)
            if (mode, call) == ("max-autotune", 0):  # which also tries out kernels, and they run
                yield same("max-autotune, call 0: at least", c.executed >= 5 * 2 * 32 * 64 * 128,
                           True)
            else:
                yield same(f"{mode}, call {call}", c.by_phase, perceptron_counts())


@check
def compiled_code_with_checkpoints():
    from torch.utils.checkpoint import checkpoint

    net = perceptron()
    compiled = torch.compile(lambda x: checkpoint(net, x, use_reentrant=False))
    x = ones(32, 64, grad=True)
    c = counted(lambda: compiled(x).sum().backward())
    product = 2 * 32 * 64 * 128
    # Backward: both gradients of both layers. The second product is not computed again: its
    # result is no input of any gradient.
    yield same("checkpoint inside", c.by_phase,
               {"forward": 2 * product, "recompute": product, "backward": 4 * product})


@check
def compiled_code_without_python():
    from torch._inductor.utils import fresh_inductor_cache

    product = 2 * 32 * 64 * 128
    torch.compiler.reset()
    with fresh_inductor_cache():
        wrapped = torch.compile(perceptron(), options={"cpp_wrapper": True})
        yield same("cpp_wrapper", counted(step_of(wrapped)).by_phase, perceptron_counts())
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        exported = torch.export.export(perceptron(), (ones(32, 64),))
        path = torch._inductor.aoti_compile_and_package(
            exported, package_path=os.path.join(folder, "net.pt2"))
        package = torch._inductor.aoti_load_package(path)
        yield same("AOTInductor package", counted(package, ones(32, 64)).by_phase,
                   {"forward": 2 * product})


@check
def compiled_code_from_a_warm_cache():
    step = "check.step_of(torch.compile(check.perceptron()))"
    code = ("import sys; sys.path.insert(0, 'tests/gpu'); import check, torch; "
            f"step = {step}; c = check.counted(step); "
            "from torch._dynamo.utils import counters; "
            "print(c.by_phase, counters['aot_autograd']['autograd_cache_hit'])")
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        for name, hits in (("cold", 0), ("warm", 1)):
            done = subprocess.run([sys.executable, "-c", code], env=environment, text=True,
                                  capture_output=True, check=False)
            expected = f"{dict(sorted(perceptron_counts().items()))} {hits}"
            yield same(f"{name} cache", done.stdout.strip() or done.stderr[-300:], expected)


@check
def flex_attention():
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q = ones(1, 2, 256, 64, grad=True)
    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, 256, 256)
    compiled = torch.compile(flex_attention)
    c = counted(lambda: compiled(q, q, q, block_mask=mask).sum().backward())
    unit = 2 * 2 * 256 * 256 * 64
    yield same("compiled, causal", c.by_phase, {"forward": 2 * unit, "backward": 5 * unit})
    yield same("blocks that are left", c.lower, 7 * unit * 3 // 4)


# --- CUDA graphs ----------------------------------------------------------------------------------


@check
def graphs_captured_by_hand():
    a = ones(64, 64)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.mm(a, a)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()

    def capture():
        with torch.cuda.graph(graph):
            torch.mm(torch.mm(a, a), a)

    yield same("capture", counted(capture).executed, 0)
    c = counted(lambda: [graph.replay() for _ in range(3)])
    yield same("three replays", c.by_op, {"aten::mm": 3 * 2 * 2 * 64**3})


@check
def graphed_callables():
    net, x = perceptron(), ones(32, 64)
    graphed = torch.cuda.make_graphed_callables(net, (x,))
    yield same("make_graphed_callables", counted(lambda: graphed(x).sum().backward()).by_phase,
               perceptron_counts())


# --- Over ranks, other kernels --------------------------------------------------------------------


@check
def fsdp2_of_one_rank():
    from torch.distributed.fsdp import fully_shard

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    torch.distributed.init_process_group("nccl", rank=0, world_size=1)
    try:
        net = perceptron()
        fully_shard(net[0])
        fully_shard(net)
        yield same("step", counted(step_of(net)).by_phase, perceptron_counts())
    finally:
        torch.distributed.destroy_process_group()


@check
def triton_kernels():
    import triton
    import triton.language as tl

    @account.kernel(lambda n: 3 * n)
    @triton.jit
    def thrice(x, out, n, BLOCK: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(out + at, tl.load(x + at, mask=at < n) * 3, mask=at < n)

    def launch(x):
        out = torch.empty_like(x)
        thrice[(4,)](x, out, 1000, BLOCK=256)
        return out

    yield same("launched", counted(launch, ones(1000)).by_op, {"triton::thrice": 3000})
    compiled = torch.compile(launch)
    compiled(ones(1000))
    yield same("compiled", counted(compiled, ones(1000)).by_op, {"triton::thrice": 3000})


@check
def opaque_ops_in_compiled_graphs():
    @torch.library.custom_op("account_check::known", mutates_args=())
    def known(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    known.register_fake(torch.empty_like)
    account.register_formula("account_check::known", lambda x: 2 * x.numel())
    compiled = torch.compile(lambda x: torch.mm(known(torch.mm(x, x)), x), mode="reduce-overhead")
    x = ones(64, 64)
    for call in range(5):
        torch.compiler.cudagraph_mark_step_begin()
        with torch.no_grad():
            c = counted(compiled, x)
        yield same(f"reduce-overhead, call {call}", c.by_op,
                   {"account_check::known": 2 * 64 * 64, "aten::mm": 2 * 2 * 64**3})


# --- Inert ----------------------------------------------------------------------------------------


@check
def nothing_waits_for_the_device():
    net, x = perceptron(), ones(32, 64)
    step_of(net)()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with account.count() as c:
            net(x).sum().backward()
        yield same("no synchronisation", c.by_phase, perceptron_counts())
    finally:
        torch.cuda.set_sync_debug_mode("default")


LOSSES = """
import os, sys, torch
torch.manual_seed(0)
torch.use_deterministic_algorithms(True)
if sys.argv[1] == "on":
    import libaccount
    libaccount.count().__enter__()
net = torch.nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True).cuda()
optimizer = torch.optim.AdamW(net.parameters())
x = torch.randn(8, 32, 64, device="cuda")
for _ in range(50):
    with torch.autocast("cuda", torch.bfloat16):
        loss = net(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
"""


@check
def losses_are_the_same_with_and_without():
    environment = os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    lines = [subprocess.run([sys.executable, "-c", LOSSES, switch], text=True, capture_output=True,
                            env=environment, check=False) for switch in ("off", "on")]
    yield same("50 losses", lines[1].stdout or lines[1].stderr[-300:], lines[0].stdout)
    yield same("there are 50", lines[0].stdout.count("0x"), 50)


JOB = """
import sys, torch
sys.path.insert(0, "tests/gpu")
import check
net = check.perceptron()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(10):
    check.step_of(net)()
    optimizer.step()
"""


@check
def a_job_under_account_run():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["account", "run", "--dir", folder, "--run", "job", "--",
                        sys.executable, "-c", JOB], check=True, capture_output=True)
        done = subprocess.run(["account", "verify", os.path.join(folder, "job"), "--json"],
                              check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    yield same("operations", int(report["operations"]), 10 * sum(perceptron_counts().values()))
    yield same("steps", int(report["steps"]), 10)
    yield same("evidence", (report["ok"], report["gaps"]), (True, []))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the results go, as JSON")
    parser.add_argument("--only", help="run the checks whose name contains this")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device here; nothing was checked")
        return 3
    device = torch.cuda.get_device_name()
    print(f"{device}; torch {torch.__version__}; {datetime.date.today()}")
    results = []
    for title, function in CHECKS.items():
        if args.only and args.only not in title:
            continue
        try:
            lines = list(function())
        except Exception:
            lines = [{"name": "raised", "got": traceback.format_exc(limit=-3), "expected": None,
                      "ok": False}]
        for line in lines:
            print(f"{'ok    ' if line['ok'] else 'WRONG '} {title}: {line['name']}", flush=True)
            if not line["ok"]:
                print(f"       got {line['got']}\n       not {line['expected']}", flush=True)
        results += [line | {"check": title} for line in lines]
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump({"device": device, "torch": torch.__version__,
                       "date": str(datetime.date.today()), "results": results}, file, default=str)
    wrong = sum(not line["ok"] for line in results)
    print(f"All {len(results)} agree with the hand." if wrong == 0
          else f"{wrong} of {len(results)} do not agree.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
