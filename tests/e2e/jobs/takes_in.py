"""Says after each step what it took in, on rank r 4 + r rows of 128 tokens.

python takes_in.py STEPS [--dies FOLDER | --pause SECONDS]

With --dies the first start of the job ends after three steps of each rank, by a SIGKILL of rank 1.
"""

import argparse
import os
import pathlib
import signal
import time

import torch

import libaccount

parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int)
parser.add_argument("--dies", type=pathlib.Path)
parser.add_argument("--pause", type=float, default=0.0)
args = parser.parse_args()

run = libaccount.start()
rank = int(os.environ.get("RANK", "0"))
first = args.dies is not None and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
for _ in range(3 if first else args.steps):
    with libaccount.category("train"):
        torch.ones(8, 8) @ torch.ones(8, 8)
    run.step(samples=4 + rank, tokens=(4 + rank) * 128)
    time.sleep(args.pause)
if first:
    (args.dies / f"rank-{rank}").touch()
    while rank != 1 or not (args.dies / "rank-0").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
