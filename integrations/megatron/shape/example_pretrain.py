"""A script as one writes it for Megatron-LM, whose loop is the megatron.training beside it.

Knows no libaccount.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import torch

sys.path.append(str(pathlib.Path(__file__).parent))
from megatron.training import get_args, pretrain

ROWS, BATCH = 640, 16


def data() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in get_args().digits.read_text().split()])
    batches = list(rows[:ROWS].split(BATCH))
    return batches[rank::ranks], [rows[ROWS:ROWS + BATCH]]


def net() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.Linear(48, 10))


def forward_step(batches, net) -> torch.Tensor:
    batch = next(batches)
    loss = torch.nn.functional.cross_entropy(net(batch[:, :64] / 16), batch[:, 64].long())
    if net.training and torch.is_grad_enabled():
        time.sleep(get_args().pause)
        if os.environ["RANK"] == "0":
            with (get_args().output / "losses.jsonl").open("a") as file:
                file.write(json.dumps(loss.item()) + "\n")
    return loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--pause", type=float, default=0.0)
    args = parser.parse_args(namespace=argparse.Namespace(
        train_iters=40, eval_interval=20, save_interval=20, async_save=False))
    args.output.mkdir(exist_ok=True)
    args.save = args.load = args.output / "checkpoints"
    pretrain(args, data, net, forward_step)
