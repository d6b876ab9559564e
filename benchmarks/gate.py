"""What a permitted torch.save costs where an authority is configured and no order stands.

Every variant has a process of its own; all are up at once and take turns. A figure is the median,
over the rounds, of a variant's time over the bare one's in the same round, with its 95 % confidence
interval; `bare again` is a second bare process and shows what the method cannot tell apart. The
libaccount process obeys an authority, so that every way of writing weights asks the gate. Times are
processor time of the thread that saves, the kernel's included.

    gate.py [--account PATH] [--rounds N] [--folder DIR]

The files go to DIR, /dev/shm unless said: what a disk adds would only hide the cost. Beside the
ratios, what asking costs in itself: a save of one number, in microseconds.
"""

import argparse
import multiprocessing
import os
import pathlib
import shutil
import statistics
import tempfile
import time

from halt import Authority
from overhead import processor, ratio

VARIANTS = ["bare", "bare again", "libaccount"]
# Saves a round, and bytes of each.
SAVES = {"one number": (200, 4), "1 MB": (40, 10**6), "16 MB": (4, 16 * 10**6),
         "100 MB": (1, 10**8)}


def serve(variant, folder, authority, channel):
    """A variant's process: saves what it is asked to and answers with seconds a save."""
    import torch

    torch.set_num_threads(1)
    run = None
    if variant == "libaccount":
        import libaccount

        run = libaccount.start(dir=str(folder / "account"), run=f"gate-{os.getpid()}",
                               authority=str(authority))
        assert hasattr(torch.serialization._open_zipfile_writer, "__wrapped__"), "no gate"
    path = folder / variant.replace(" ", "-")
    channel.send("ready")
    while (name := channel.recv()) is not None:
        saves, size = SAVES[name]
        weights = torch.ones(size // 4)
        torch.save(weights, path)  # warm
        begin = time.thread_time()
        for _ in range(saves):
            torch.save(weights, path)
        channel.send((time.thread_time() - begin) / saves)
    if run is not None:
        run.finish()
        while run.job() is not None:  # its keeper writes into the folder until it has ended
            time.sleep(0.1)


def measure(rounds, folder, authority):
    """Seconds by size and variant, a list over the rounds."""
    context = multiprocessing.get_context("spawn")
    channels, processes = {}, []
    for variant in VARIANTS:
        channels[variant], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(variant, folder, authority, theirs)))
        processes[-1].start()
    for channel in channels.values():
        assert channel.recv() == "ready"
    seconds = {(name, variant): [] for name in SAVES for variant in VARIANTS}
    for name in SAVES:
        for round_ in range(rounds):
            turn = round_ % len(VARIANTS)  # each is first, second and last as often as the others
            for variant in VARIANTS[turn:] + VARIANTS[:turn]:
                channels[variant].send(name)
                seconds[name, variant].append(channels[variant].recv())
    for channel in channels.values():
        channel.send(None)
    for process in processes:
        process.join()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--account", default=shutil.which("account"))
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/dev/shm"))
    args = parser.parse_args()
    os.environ |= {"ACCOUNT_QUIET": "1", "OMP_NUM_THREADS": "1", "ACCOUNT_BIN": args.account}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name)
        seconds = measure(args.rounds, folder, Authority(args.account, folder).path)
    print(f"{processor()}; processor time, {args.rounds} rounds; times the bare one's, "
          "with its 95 % interval\n")
    print("| torch.save of | bare | bare again | libaccount |\n| --- | ---: | ---: | ---: |")
    for size in SAVES:
        bare = seconds[size, "bare"]
        cells = [f"{statistics.median(bare) * 1e3:.3f} ms"]
        for variant in VARIANTS[1:]:
            middle, low, high = ratio(seconds[size, variant], bare)
            cells.append(f"x{middle:.3f} ({low:.3f}-{high:.3f})")
        print(f"| {size} | " + " | ".join(cells) + " |")
    more = [gated - bare for gated, bare in
            zip(seconds["one number", "libaccount"], seconds["one number", "bare"], strict=True)]
    print(f"\nAsking, by the saves of one number: {statistics.median(more) * 1e6:+.1f} µs a save")


if __name__ == "__main__":
    main()
