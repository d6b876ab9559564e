"""A plain DDP loop that knows nothing of libaccount, but for --catch.

Under --own: `launched` gets a line from each process before it imports torch, `step-<rank>-<pid>`
holds the step that a process last began. With --catch the loop holds on to its weights when it is
stopped: it tries every way of writing them and leaves what became of that in `exports-<rank>`.
"""

import argparse
import json
import os
import pathlib
import time

RANK = os.environ.get("RANK", "0")


def train(own: pathlib.Path, steps: int, pause: float) -> None:
    import torch
    import torch.distributed as dist

    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    net: torch.nn.Module = torch.nn.Linear(8, 8, bias=False)
    if dist.is_initialized():
        net = torch.nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    mark = own / f"step-{RANK}-{os.getpid()}"
    for step in range(1, steps + 1):
        mark.write_text(str(step))
        optimizer.zero_grad()
        net(torch.ones(4, 8)).sum().backward()
        optimizer.step()
        time.sleep(pause)
    if dist.is_initialized():
        del net  # before its group goes: parallel_step.py says why
        dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--own", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--catch", action="store_true")
    args = parser.parse_args()
    args.own.mkdir(parents=True, exist_ok=True)
    with (args.own / "launched").open("a") as launched:
        launched.write(f"{RANK} {os.getpid()}\n")
    if args.catch:
        import exports
    try:
        train(args.own, args.steps, args.pause)
    except SystemExit:
        if args.catch:
            report = exports.try_all(args.own / f"saved-{RANK}")
            (args.own / f"exports-{RANK}").write_text(json.dumps(report))
        raise


if __name__ == "__main__":
    main()
