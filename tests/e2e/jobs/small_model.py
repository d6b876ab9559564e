"""Trains a small model and writes it as safetensors; says how many operations it counted itself.

    small_model.py OUT STEPS [--resume CHECKPOINT] [--parent RECORD]... [--lora]
"""

import argparse
import pathlib

import torch
from safetensors.torch import load_file, save_file

import libaccount as account

WIDTH, ROWS, RANK = 16, 8, 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--resume")
    parser.add_argument("--parent", action="append", default=[])
    parser.add_argument("--lora", action="store_true")
    args = parser.parse_args()
    run = account.start(resume=args.resume, parents=args.parent)
    torch.manual_seed(args.steps)
    model = torch.nn.Linear(WIDTH, WIDTH, bias=False)
    if args.resume:
        model.load_state_dict(load_file(pathlib.Path(args.resume) / "model.safetensors"))
    trained = torch.nn.Sequential(torch.nn.Linear(WIDTH, RANK, bias=False),
                                  torch.nn.Linear(RANK, WIDTH, bias=False)) if args.lora else model
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.01)
    for _ in range(args.steps):
        optimizer.zero_grad()
        x = torch.randn(ROWS, WIDTH)
        y = trained(x) + (model(x).detach() if args.lora else 0)
        y.square().sum().backward()
        optimizer.step()
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(trained.state_dict(), args.out / "model.safetensors")
    if not run.saved(args.out):
        raise SystemExit("no sidecar was written")
    run.finish()


if __name__ == "__main__":
    main()
