"""What counting costs on a GPU: a training step, bare and under each counter.

As in overhead.py: every variant is a process of its own, all are up at once and take turns on the
one GPU, so that a clock that changes does so for all. Figures are medians over the rounds, with
their 95 % confidence interval; the noise floor is a second bare process against the first.
"""

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time

VARIANTS = ["bare", "bare again", "libaccount", "FlopCounterMode", "torch.profiler"]
# FlopCounterMode and the profiler do not see into compiled code, or stop it: left out there.
COMPILED = ["bare", "bare again", "libaccount"]
WORKLOADS = {"small, eager": (2, 128, 64), "middle, eager": (6, 1024, 512),
             "small, compiled": (2, 128, 64), "middle, compiled": (6, 1024, 512),
             "small, reduce-overhead": (2, 128, 64)}


def variants_of(workload):
    return VARIANTS if "eager" in workload else COMPILED


def serve(variant, folder, device, channel):
    end_step = None
    if variant == "libaccount":
        import libaccount

        run = libaccount.start(dir=folder, run="gpu-overhead")
        end_step = run.step
    steps = {}
    channel.send("ready")
    while (request := channel.recv()) is not None:
        name, calls = request
        if name not in steps:
            steps[name] = _step(name, end_step, device)
            for _ in range(3):
                steps[name]()
        with _counter(variant):
            wait(device)
            begin = time.perf_counter()
            for _ in range(calls):
                steps[name]()
            wait(device)
            seconds = time.perf_counter() - begin
        channel.send(seconds / calls)
    if variant == "libaccount":
        run.finish()


def wait(device):
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _step(name, end_step, device):
    """A transformer in bfloat16: layers, width and length by name, 8 sequences."""
    import torch

    layers, width, length = WORKLOADS[name]
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(width, width // 64, 4 * width, dropout=0.0,
                                             batch_first=True)
    net = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    net = net.to(device, torch.bfloat16)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    x = torch.randn(8, length, width, device=device, dtype=torch.bfloat16)
    function = net
    if "eager" not in name:
        mode = "reduce-overhead" if "reduce" in name else "default"
        function = torch.compile(net, mode=mode)

    def step():
        optimizer.zero_grad()
        function(x).square().mean().backward()
        optimizer.step()
        if end_step is not None:
            end_step()

    return step


def _counter(variant):
    if variant == "FlopCounterMode":
        from torch.utils.flop_counter import FlopCounterMode

        return FlopCounterMode(display=False)
    if variant == "torch.profiler":
        import torch

        return torch.profiler.profile(with_flops=True, acc_events=True)
    return contextlib.nullcontext()


def measure(rounds, folder, device, workloads):
    context = multiprocessing.get_context("spawn")
    channels, processes = {}, []
    for variant in VARIANTS:
        channels[variant], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(variant, folder, device, theirs)))
        processes[-1].start()
    for channel in channels.values():
        assert channel.recv() == "ready"
    for name in workloads:
        yield name, _measure_one(name, rounds, channels)
    for channel in channels.values():
        channel.send(None)
    for process in processes:
        process.join()


def _measure_one(name, rounds, channels):
    """Seconds a step by variant, and round."""
    for variant in variants_of(name):  # warm, compilation included, all at once
        channels[variant].send((name, 1))
    for variant in variants_of(name):
        channels[variant].recv()
    seconds = {variant: {} for variant in variants_of(name)}
    for round_ in range(rounds):
        # A profiler takes a second to start and stop: every third round will do.
        order = [v for v in variants_of(name) if v != "torch.profiler" or round_ % 3 == 0]
        for variant in order if round_ % 2 else reversed(order):
            channels[variant].send((name, 5))
            seconds[variant][round_] = channels[variant].recv()
    return seconds


def interval(values):
    """The median's 95 % confidence interval by order statistics."""
    ordered, n = sorted(values), len(values)
    reach = 0.98 * n**0.5
    return (ordered[max(0, int(n / 2 - reach))], ordered[min(n - 1, int(n / 2 + reach))])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", default="", help="the workloads whose name contains this")
    parser.add_argument("--device", default="cuda", help="cpu: to try this script out")
    parser.add_argument("--out", help="where the results go, as JSON")
    args = parser.parse_args()
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here; nothing was measured")
        return 3
    os.environ |= {"ACCOUNT_QUIET": "1", "KINETO_LOG_LEVEL": "99"}
    device = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    title = f"{device}; torch {torch.__version__}; {datetime.date.today()}"
    print(f"{title}; medians of {args.rounds} rounds of 5 steps", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        workloads = [name for name in WORKLOADS if args.only in name]
        for name, seconds in measure(args.rounds, folder, args.device, workloads):
            rows += [_row(name, variant, seconds) for variant in seconds]
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump({"machine": title, "rows": rows}, file)
    return 0


def _row(name, variant, seconds):
    """Against the bare process in the same rounds; printed, too."""
    ratios = [value / seconds["bare"][round_] for round_, value in seconds[variant].items()]
    low, high = interval(ratios)
    row = {"step": name, "variant": variant,
           "ms": statistics.median(seconds[variant].values()) * 1e3,
           "ratio": statistics.median(ratios), "low": low, "high": high}
    print(f"{name:24} {variant:16} {row['ms']:9.3f} ms  x{row['ratio']:.3f} "
          f"({low:.3f} to {high:.3f})", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
