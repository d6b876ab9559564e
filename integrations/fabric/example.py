"""Trains on handwritten digits in a loop of its own with Lightning's Fabric. Knows no libaccount.

    account run -- torchrun --standalone --nproc-per-node 2 example.py DIGITS.csv --output OUT
    account run -- python example.py DIGITS.csv --output OUT --devices 2

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import argparse
import json
import pathlib
import time

import torch
from lightning.fabric import Fabric
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    fabric = Fabric(accelerator="cpu", devices=args.devices, strategy="ddp")
    fabric.launch()
    torch.manual_seed(0)
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in args.digits.read_text().split()])
    data = TensorDataset(rows[:640, :64] / 16, rows[:640, 64].long())
    net = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))
    net, optimizer = fabric.setup(net, torch.optim.Adam(net.parameters(), lr=1e-3))
    batches = fabric.setup_dataloaders(DataLoader(data, 16))
    state = {"net": net, "optimizer": optimizer, "epochs": 0}
    if (args.output / "state.ckpt").exists():
        fabric.load(args.output / "state.ckpt", state)
    while state["epochs"] < args.epochs:
        for i, (batch, digits) in enumerate(batches):
            accumulates = i % 2 == 0
            with fabric.no_backward_sync(net, enabled=accumulates):
                loss = torch.nn.functional.cross_entropy(net(batch), digits)
                fabric.backward(loss / 2)
            if not accumulates:
                optimizer.step()
                optimizer.zero_grad()
            if fabric.is_global_zero:
                with (args.output / "losses.jsonl").open("a") as file:
                    file.write(json.dumps([state["epochs"], loss.item()]) + "\n")
            time.sleep(args.pause)
        state["epochs"] += 1
        fabric.save(args.output / "state.ckpt", state)


if __name__ == "__main__":
    main()
