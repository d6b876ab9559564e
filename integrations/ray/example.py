"""Trains on handwritten digits with Ray Train. Knows no libaccount, unless --from-the-step is said.

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
    done = 0  # steps

    def state() -> dict[str, Any]:
        return {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "done": done}

    found = [torch.load(output / "state")] if (output / "state").exists() else []
    if config["from_the_step"]:
        import libaccount
        found += [libaccount.start(state=state).restore() or {"done": -1}]
    newest = max(found, key=lambda one: one["done"], default={"done": -1})
    if newest["done"] >= 0:
        net.load_state_dict(newest["net"])
        optimizer.load_state_dict(newest["optimizer"])
        done = newest["done"]
    mine = [rows[start:start + BATCH] for start in range(rank * BATCH, ROWS, ranks * BATCH)]
    while done < config["epochs"] * len(mine):
        epoch, place = divmod(done, len(mine))
        batch = mine[place]
        loss = torch.nn.functional.cross_entropy(net(batch[:, :64] / 16), batch[:, 64].long())
        optimizer.zero_grad()
        loss.backward()
        if rank == 0:
            with (output / "losses.jsonl").open("a") as file:
                file.write(json.dumps([epoch, loss.item()]) + "\n")
        time.sleep(config["pause"])
        done += 1
        optimizer.step()  # a stop is raised out of here, once the step is done
        if place + 1 == len(mine):
            if rank == 0:
                torch.save(state(), output / "state.part")
                (output / "state.part").rename(output / "state")
            ray.train.report({"loss": loss.item()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    parser.add_argument("--from-the-step", action="store_true",
                        help="go on from the step at which a stop ended it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=True)
    trainer = TorchTrainer(
        train, torch_config=TorchConfig(backend="gloo"),
        train_loop_config={"digits": str(args.digits.absolute()), "pause": args.pause,
                           "output": str(args.output.absolute()), "epochs": args.epochs,
                           "from_the_step": args.from_the_step},
        scaling_config=ray.train.ScalingConfig(num_workers=2),
        run_config=ray.train.RunConfig(storage_path=str(args.output.absolute() / "ray")))
    trainer.fit()


if __name__ == "__main__":
    main()
