"""What counting costs, beside torch's own counters: one operation, training steps, compiled code.

Every variant has a process of its own, as a user would have; all of them are up at once and take
turns, so that a machine that speeds up or slows down meanwhile does so for all. A figure is the
median, over the rounds, of a variant's time over the bare one's in the same round, with its 95 %
confidence interval; `bare again` is a second bare process and shows what the method cannot tell
apart. Times are processor time of the measured process, so that what else the machine does counts
less. The libaccount process takes part in a real run, with its keeper, another process, beside it,
and a step ends with run.step().

    overhead.py [--rounds N] [--bench-op PROGRAM] [--readme README.md]
"""

import argparse
import contextlib
import datetime
import multiprocessing
import os
import pathlib
import platform
import re
import statistics
import subprocess
import tempfile
import time

VARIANTS = ["bare", "bare again", "libaccount", "FlopCounterMode", "torch.profiler"]
# Calls a round; of a training step: layers, width, length of 8 sequences.
CALLS = {
    "mm 4x4": 2000,
    "add 4x4, no formula": 2000,
    "training step, small": 4,
    "training step, middle": 2,
    "training step, large": 1,
    "compiled step": 4,
    "compiled step, afterwards": 4,
}
SIZES = {"small": (2, 64, 32), "middle": (2, 128, 64), "large": (4, 256, 64)}
UNITS = {"mm 4x4": ("µs", 1e6), "add 4x4, no formula": ("µs", 1e6)}
PROCESSES = 9  # of bench_op
BEGIN, END = "<!-- make bench -->", "<!-- /make bench -->"


def serve(variant, folder, channel):
    """A variant's process: runs what it is asked for and answers with seconds a call."""
    import torch

    torch.set_num_threads(1)
    run, end_step = None, _nothing
    if variant == "libaccount":
        import libaccount

        run = libaccount.start(dir=folder, run="overhead")
        end_step = run.step
    workloads = {
        "mm 4x4": _binary(torch.mm, torch.ones(4, 4)),
        "add 4x4, no formula": _binary(torch.add, torch.ones(4, 4)),
        **{f"training step, {size}": _training_step(SIZES[size], end_step) for size in SIZES},
        "compiled step": _training_step(SIZES["small"], end_step, compiled=True),
    }
    with _counter(variant):  # compiles as it will run
        workloads["compiled step"]()
    channel.send("ready")
    while (name := channel.recv()) is not None:
        if name.endswith("afterwards"):  # the same function, and nobody counts any more
            if run is not None:
                run.finish()
            counter, workload = contextlib.nullcontext(), workloads["compiled step"]
        else:
            counter, workload = _counter(variant), workloads[name]
        with counter:
            for _ in range(1 + CALLS[name] // 4):
                workload()  # the others had the caches meanwhile
            begin = time.process_time()
            for _ in range(CALLS[name]):
                workload()
            seconds = time.process_time() - begin
        channel.send(seconds / CALLS[name])
    if run is not None:
        begin = time.process_time()
        for _ in range(1000):
            end_step()
        channel.send((time.process_time() - begin) / 1000)
        run.finish()


def _nothing():
    pass


def _binary(op, a):
    return lambda: op(a, a)


def _training_step(size, end_step, compiled=False):
    import torch

    layers, width, length = size
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
    net = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    optimizer = torch.optim.AdamW(net.parameters())
    x = torch.randn(8, length, width)
    function = torch.compile(net) if compiled else net

    def step():
        optimizer.zero_grad()
        function(x).square().mean().backward()
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


def measure_edge(rounds, folder):
    """Seconds of run.step() alone, as a job's rank 0 calls it, and of what is compiled of it."""
    import libaccount

    run = libaccount.start(dir=folder, run="edge")
    least = dict.fromkeys(("run.step()", "compiled part"), float("inf"))
    for _ in range(rounds):
        for name, end_step in (("run.step()", run.step), ("compiled part", run._inner.step)):
            begin = time.process_time()
            for _ in range(10_000):
                end_step()
            least[name] = min(least[name], (time.process_time() - begin) / 10_000)
    run.finish()
    while run.job() is not None:  # its keeper writes into the folder until it has ended
        time.sleep(0.1)
    return least


def measure(rounds, folder):
    """Seconds by workload and variant, a list over the rounds; and those of run.step() alone."""
    context = multiprocessing.get_context("spawn")
    channels, processes = {}, []
    for variant in VARIANTS:
        channels[variant], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(variant, folder, theirs)))
        processes[-1].start()
    for channel in channels.values():
        assert channel.recv() == "ready"
    seconds = {(name, variant): [] for name in CALLS for variant in VARIANTS}
    for name in CALLS:
        for round_ in range(rounds):
            for variant in VARIANTS if round_ % 2 else reversed(VARIANTS):
                channels[variant].send(name)
                seconds[name, variant].append(channels[variant].recv())
    for channel in channels.values():
        channel.send(None)
    edge = channels["libaccount"].recv()
    for process in processes:
        process.join()
    return seconds, edge


def ratio(values, bare):
    """The median of the rounds' ratios, and its 95 % confidence interval by order statistics."""
    ordered = sorted(value / base for value, base in zip(values, bare, strict=True))
    n = len(ordered)
    reach = 0.98 * n**0.5
    low, high = max(0, int(n / 2 - reach)), min(n - 1, int(n / 2 + reach))
    return statistics.median(ordered), ordered[low], ordered[high]


def processor():
    info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {line.split(":", 1)[1].strip() for line in info if line.startswith("model name")}
    return f"{', '.join(sorted(names)) or platform.machine()}, {os.cpu_count()} cores"


def op_costs(program):
    """From bench_op, in several processes, since each lies at other addresses: nanoseconds over the
    bare call (median, least and largest), and of the bare call, in C++."""
    found = {}
    for _ in range(PROCESSES):
        done = subprocess.run([program], capture_output=True, text=True, check=True)
        for name, more, bare in re.findall(
                r"^(\S.*?) +counting costs +([+-][0-9.]+) ns .* over (\d+) ", done.stdout, re.M):
            found.setdefault(name, []).append((float(more), float(bare)))
    costs = {}
    for name, pairs in found.items():
        more, bare = zip(*pairs, strict=True)
        costs[name] = (statistics.median(more), min(more), max(more), statistics.median(bare))
    return costs


def report(rounds, seconds, edge, costs):
    """Lines of Markdown."""
    import torch

    yield (f"{processor()}; torch {torch.__version__}; {datetime.date.today():%-d %B %Y}; "
           f"one thread, processor time, {rounds} rounds; times the bare one's, with its 95 % "
           "interval.")
    yield ""
    yield "| | bare | " + " | ".join(VARIANTS[1:]) + " |"
    yield "| --- |" + " ---: |" * len(VARIANTS)
    for name in CALLS:
        unit, scale = UNITS.get(name, ("ms", 1e3))
        bare = seconds[name, "bare"]
        cells = [f"{statistics.median(bare) * scale:.2f} {unit}"]
        for variant in VARIANTS[1:]:
            middle, low, high = ratio(seconds[name, variant], bare)
            cells.append(f"x{middle:.2f} ({low:.2f}-{high:.2f})")
        yield f"| {name} | " + " | ".join(cells) + " |"
    if not costs:
        return
    typed = costs["mm"][0]
    ops = 1000  # a step of 100 ms has some hundred counted calls; GPT-2's 250
    share = (ops * typed * 1e-9 + edge) / 0.1
    yield ""
    yield (f"In C++ (`bench_op`), over the bare call, median of {PROCESSES} processes (least to "
           "largest; the call's own time): " +
           ", ".join(f"{name} {more:+.0f} ns ({least:+.0f} to {largest:+.0f}; {bare:.0f})"
                     for name, (more, least, largest, bare) in costs.items()) +
           f". `run.step()` alone, from Python: {edge * 1e6:.2f} µs. So a step of 100 ms with "
           f"{ops} counted calls costs {100 * share:.3f} % more.")


def write_between(path, lines):
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--edge", action="store_true", help="run.step() alone, and nothing else")
    parser.add_argument("--bench-op", help="the C++ benchmark, for the costs of single calls")
    parser.add_argument("--readme", type=pathlib.Path, help="where the table goes, between marks")
    args = parser.parse_args()
    # The processes that are measured write nothing meanwhile.
    os.environ |= {"ACCOUNT_QUIET": "1", "KINETO_LOG_LEVEL": "99", "OMP_NUM_THREADS": "1"}
    if args.edge:
        with tempfile.TemporaryDirectory() as folder:
            for name, taken in measure_edge(args.rounds, folder).items():
                print(f"{name}: {taken * 1e9:.0f} ns")
        return
    costs = op_costs(args.bench_op) if args.bench_op else {}
    with tempfile.TemporaryDirectory() as folder:
        seconds, edge = measure(args.rounds, folder)
    lines = list(report(args.rounds, seconds, edge, costs))
    print("\n".join(lines))
    if args.readme:
        write_between(args.readme, lines)


if __name__ == "__main__":
    main()
