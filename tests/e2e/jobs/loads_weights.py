"""A plain loop that begins from weights, and keeps a checkpoint with its sidecar."""

import argparse
import os
import pathlib
import time

import torch

import libaccount as account


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    run = account.start()
    net = torch.nn.Linear(8, 8, bias=False)
    if args.load:
        net.load_state_dict(torch.load(args.load))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for step in range(1, args.steps + 1):
        net(torch.ones(4, 8)).sum().backward()
        optimizer.step()
        time.sleep(0.02)
        if step == 3 and args.keep:
            torch.save(net.state_dict(), args.keep)
            assert run.saved(args.keep)
            os.replace(args.keep, args.keep.with_name("moved.pt"))
            sidecar = pathlib.Path(f"{args.keep}.account.json")
            os.replace(sidecar, args.keep.with_name("moved.pt.account.json"))


if __name__ == "__main__":
    main()
