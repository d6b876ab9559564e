"""Trains on handwritten digits in a loop of its own with Accelerate. Knows no libaccount.

    account run -- torchrun --standalone --nproc-per-node 2 example.py DIGITS.csv --output OUT

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import argparse
import json
import pathlib
import time

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset


class Progress:
    """How many epochs are behind, as a part of the accelerator's checkpoints."""

    epochs = 0

    def state_dict(self) -> dict[str, int]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epochs = state["epochs"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    torch.manual_seed(0)
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in args.digits.read_text().split()])
    data = TensorDataset(rows[:640, :64] / 16, rows[:640, 64].long())
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    net = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))
    net, optimizer, batches = accelerator.prepare(
        net, torch.optim.Adam(net.parameters(), lr=1e-3), DataLoader(data, 16))
    progress = Progress()
    accelerator.register_for_checkpointing(progress)
    if (args.output / "state").exists():
        accelerator.load_state(args.output / "state")
    while progress.epochs < args.epochs:
        for batch, digits in batches:
            with accelerator.accumulate(net):
                loss = torch.nn.functional.cross_entropy(net(batch), digits)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.is_main_process:
                with (args.output / "losses.jsonl").open("a") as file:
                    file.write(json.dumps([progress.epochs, loss.item()]) + "\n")
            time.sleep(args.pause)
        progress.epochs += 1
        accelerator.save_state(args.output / "state")


if __name__ == "__main__":
    main()
