"""What counting costs in Python, beside torch's own counters: one operation, and a training step.

Every variant has a process of its own, as a user would have; all of them are up at once and take
turns, so that a machine that speeds up or slows down meanwhile does so for all. Each figure is the
median over the rounds. The libaccount process takes part in a real run, with its keeper beside it,
and a step ends with run.step().
"""

import argparse
import contextlib
import datetime
import multiprocessing
import os
import pathlib
import platform
import statistics
import tempfile
import time

VARIANTS = ["bare", "libaccount", "FlopCounterMode", "torch.profiler"]
CALLS = {"mm 4x4": 500, "add 4x4 (no formula)": 500, "training step": 2}


def serve(variant, folder, channel):
    """A variant's process: runs what it is asked for and answers with seconds a call."""
    import torch

    torch.set_num_threads(1)
    end_step = _nothing
    if variant == "libaccount":
        import libaccount

        run = libaccount.start(dir=folder, run="overhead")
        end_step = run.step
    workloads = {
        "mm 4x4": _binary(torch.mm, torch.ones(4, 4)),
        "add 4x4 (no formula)": _binary(torch.add, torch.ones(4, 4)),
        "training step": _training_step(end_step),
    }
    channel.send("ready")
    while (name := channel.recv()) is not None:
        with _counter(variant):
            workloads[name]()  # warm
            begin = time.perf_counter()
            for _ in range(CALLS[name]):
                workloads[name]()
            seconds = time.perf_counter() - begin
        channel.send(seconds / CALLS[name])
    if variant == "libaccount":
        run.finish()


def _nothing():
    pass


def _binary(op, a):
    return lambda: op(a, a)


def _training_step(end_step):
    """A two-layer transformer of width 128 on 8 x 64 tokens: some 20 ms on one core."""
    import torch

    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
    net = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    optimizer = torch.optim.AdamW(net.parameters())
    x = torch.randn(8, 64, 128)

    def step():
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        end_step()

    return step


def _counter(variant):
    if variant == "FlopCounterMode":
        from torch.utils.flop_counter import FlopCounterMode

        return FlopCounterMode(display=False)
    if variant == "torch.profiler":
        import torch

        return torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], with_flops=True, acc_events=True
        )
    return contextlib.nullcontext()


def measure(rounds, folder):
    """Medians by workload and variant."""
    context = multiprocessing.get_context("spawn")
    channels, processes = {}, []
    for variant in VARIANTS:
        channels[variant], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(variant, folder, theirs)))
        processes[-1].start()
        assert channels[variant].recv() == "ready"
    seconds = {(name, variant): [] for name in CALLS for variant in VARIANTS}
    for round_ in range(rounds):
        for name in CALLS:
            for variant in VARIANTS if round_ % 2 else reversed(VARIANTS):
                channels[variant].send(name)
                seconds[name, variant].append(channels[variant].recv())
    for channel in channels.values():
        channel.send(None)
    for process in processes:
        process.join()
    return {key: statistics.median(values) for key, values in seconds.items()}


def processor():
    info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {line.split(":", 1)[1].strip() for line in info if line.startswith("model name")}
    return f"{', '.join(sorted(names)) or platform.machine()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    # The processes that are measured write nothing meanwhile.
    os.environ |= {"ACCOUNT_QUIET": "1", "KINETO_LOG_LEVEL": "99", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(rounds, folder)

    import torch

    print(f"{processor()}; torch {torch.__version__}; {datetime.date.today()}")
    print(f"{'median of ' + str(rounds):22}" + "".join(f"{variant:>22}" for variant in VARIANTS))
    for name in CALLS:
        unit, scale = ("ms", 1e3) if name == "training step" else ("us", 1e6)
        bare = medians[name, "bare"]
        cells = (
            f"{medians[name, variant] * scale:.3f} {unit}  x{medians[name, variant] / bare:.2f}"
            for variant in VARIANTS
        )
        print(f"{name:22}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
