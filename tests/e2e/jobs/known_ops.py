"""A job whose every call is known: matrix products of one size, optimizer steps, an all-reduce.

Not one line of libaccount in it. Leaves its own count under --own, and `done-<rank>` at the end.
"""

import argparse
import os
import pathlib
import time

import torch
import torch.distributed as dist
from own_count import OwnCount


def init_process_group() -> None:
    """Gloo over the launcher's store, under other keys after each restart: torchrun keeps one store
    for all of them, and a rank that reads the address of a peer that is gone waits 30 minutes."""
    store, rank, world_size = next(dist.rendezvous("env://"))
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group("gloo", store=dist.PrefixStore(f"start-{start}", store), rank=rank,
                            world_size=world_size)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--own", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--calls", type=int, default=20, help="matrix products a step")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds at each step")
    args = parser.parse_args()
    args.own.mkdir(parents=True, exist_ok=True)

    distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if distributed:
        init_process_group()
    left = torch.ones(args.size, args.size)
    product = torch.empty_like(left)
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    optimizer = torch.optim.SGD([weight], lr=0.1)

    own = OwnCount(args.own)
    operations = 2 * args.size**3  # of one product: a multiply and an add for each of size^3 terms
    for _ in range(args.steps):
        for _ in range(args.calls):
            own.begin(operations)
            torch.mm(left, left, out=product)
            own.complete(operations)
        optimizer.step()
        if distributed:
            dist.all_reduce(weight.grad)
        time.sleep(args.pause)
    if distributed:
        dist.destroy_process_group()
    (args.own / f"done-{os.environ.get('RANK', '0')}").touch()


if __name__ == "__main__":
    main()
