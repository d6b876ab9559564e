"""Trains on handwritten digits with Ray Train. Knows no libaccount.

    account run -- python example.py DIGITS.csv --output OUT

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import argparse
import json
import pathlib
import time
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchConfig, TorchTrainer, prepare_model

ROWS, BATCH = 640, 16


def train(config: dict[str, Any]) -> None:
    output = pathlib.Path(config["output"])
    context = ray.train.get_context()
    rank, ranks = context.get_world_rank(), context.get_world_size()
    torch.manual_seed(0)
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in pathlib.Path(config["digits"]).read_text().split()])[:ROWS]
    net = prepare_model(torch.nn.Sequential(
        torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10)))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    first = 0
    if (output / "state").exists():
        state = torch.load(output / "state")
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epochs"]
    for epoch in range(first, config["epochs"]):
        for start in range(rank * BATCH, ROWS, ranks * BATCH):
            batch = rows[start:start + BATCH]
            loss = torch.nn.functional.cross_entropy(net(batch[:, :64] / 16), batch[:, 64].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if rank == 0:
                with (output / "losses.jsonl").open("a") as file:
                    file.write(json.dumps([epoch, loss.item()]) + "\n")
            time.sleep(config["pause"])
        if rank == 0:
            torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(),
                        "epochs": epoch + 1}, output / "state.part")
            (output / "state.part").rename(output / "state")
        ray.train.report({"loss": loss.item()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=True)
    trainer = TorchTrainer(
        train, torch_config=TorchConfig(backend="gloo"),
        train_loop_config={"digits": str(args.digits.absolute()), "pause": args.pause,
                           "output": str(args.output.absolute()), "epochs": args.epochs},
        scaling_config=ray.train.ScalingConfig(num_workers=2),
        run_config=ray.train.RunConfig(storage_path=str(args.output.absolute() / "ray")))
    trainer.fit()


if __name__ == "__main__":
    main()
