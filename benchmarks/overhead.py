"""What counting costs in Python, beside torch's own counters: one operation, and a training step.

Every variant runs in this one process, in interleaved rounds; each figure is the median over the
rounds. `bare` excludes the dispatch key on which libaccount's kernels are registered, which is the
path that a process without libaccount takes. The training step ends with run.step() in the
libaccount variant, so that it includes the edge.
"""

import argparse
import contextlib
import datetime
import os
import platform
import statistics
import tempfile
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

import libaccount as account


def bare():
    return torch._C._ExcludeDispatchKeyGuard(
        torch._C.DispatchKeySet(torch._C.DispatchKey.BackendSelect)
    )


def profiler():
    return torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], with_flops=True, acc_events=True
    )


VARIANTS = {
    "bare": bare,
    "libaccount": contextlib.nullcontext,
    "FlopCounterMode": lambda: FlopCounterMode(display=False),
    "torch.profiler": profiler,
}


def training_step(run):
    """A two-layer transformer of width 128 on 8 x 64 tokens: some 20 ms on one core."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
    net = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    optimizer = torch.optim.AdamW(net.parameters())
    x = torch.randn(8, 64, 128)

    def step(variant):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        if variant == "libaccount":
            run.step()

    return step


def measure(call, calls, rounds):
    """Median seconds a call by variant, in interleaved rounds, the order reversed every other."""
    seconds = {variant: [] for variant in VARIANTS}
    for round_ in range(rounds):
        order = list(VARIANTS) if round_ % 2 else list(reversed(VARIANTS))
        for variant in order:
            with VARIANTS[variant]():
                call(variant)  # warm
                begin = time.perf_counter()
                for _ in range(calls):
                    call(variant)
                seconds[variant].append((time.perf_counter() - begin) / calls)
    return {variant: statistics.median(s) for variant, s in seconds.items()}


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        names = {line.split(":", 1)[1].strip() for line in info if line.startswith("model name")}
    return f"{', '.join(sorted(names)) or platform.machine()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()

    torch.set_num_threads(1)
    a, b = torch.ones(4, 4), torch.ones(4, 4)
    with (
        tempfile.TemporaryDirectory() as folder,
        account.start(dir=folder, run="overhead") as run,
    ):
        run.step()  # by hand from now on
        rows = [
            ("mm 4x4", "us", 1e6, measure(lambda _: torch.mm(a, b), 500, args.rounds)),
            ("add 4x4 (no formula)", "us", 1e6, measure(lambda _: a + b, 500, args.rounds)),
            ("training step", "ms", 1e3, measure(training_step(run), 2, args.rounds)),
        ]

    print(f"{processor()}; torch {torch.__version__}; {datetime.date.today()}")
    print(f"{'median of ' + str(args.rounds):22}" + "".join(f"{v:>24}" for v in VARIANTS))
    for name, unit, scale, medians in rows:
        cells = (
            f"{value * scale:9.3f} {unit} x{value / medians['bare']:6.3f}".rjust(24)
            for value in medians.values()
        )
        print(f"{name:22}" + "".join(cells))


if __name__ == "__main__":
    main()
