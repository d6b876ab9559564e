"""Trains on handwritten digits with DeepSpeed. Knows no libaccount.

    DS_ACCELERATOR=cpu account run -- \
        torchrun --standalone --nproc-per-node 2 example.py DIGITS.csv --zero 2 --output OUT

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import argparse
import json
import os
import pathlib
import time

import deepspeed
import torch

ROWS, BATCH = 640, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--zero", type=int, default=2, help="ZeRO's stage, 0 to 3")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    parser.add_argument("--local_rank", help="as DeepSpeed's own launcher says it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    torch.manual_seed(0)
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in args.digits.read_text().split()])[:ROWS]
    net = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    deepspeed.init_distributed("gloo", verbose=False)
    engine, *_ = deepspeed.initialize(model=net, model_parameters=net.parameters(), config={
        "train_micro_batch_size_per_gpu": BATCH, "gradient_accumulation_steps": 2,
        "optimizer": {"type": "Adam", "params": {"lr": 1e-3, "torch_adam": True}},
        "zero_optimization": {"stage": args.zero}})
    if (args.output / "state").exists():
        engine.load_checkpoint(args.output / "state")
    mine = [rows[start:start + BATCH] for start in range(rank * BATCH, ROWS, ranks * BATCH)]
    done = engine.global_steps * engine.gradient_accumulation_steps()
    for number in range(done, args.epochs * len(mine)):
        epoch, place = divmod(number, len(mine))
        batch = mine[place]
        loss = torch.nn.functional.cross_entropy(engine(batch[:, :64] / 16), batch[:, 64].long())
        engine.backward(loss)
        if rank == 0:
            with (args.output / "losses.jsonl").open("a") as file:
                file.write(json.dumps([epoch, loss.item()]) + "\n")
        time.sleep(args.pause)
        engine.step()
        if place + 1 == len(mine):
            engine.save_checkpoint(args.output / "state")
    engine.save_16bit_model(args.output / "final", "model.bin")


if __name__ == "__main__":
    main()
