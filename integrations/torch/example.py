"""Trains on handwritten digits in a plain loop, three ways. Knows no libaccount.

    account run -- torchrun --standalone --nproc-per-node 2 example.py DIGITS.csv --way ddp \
        --output OUT

- ddp: DistributedDataParallel, gradients of two batches a step, a GradScaler that skips a step
- fsdp: fully_shard (FSDP2), saved by torch.distributed.checkpoint
- gan: two networks with an optimizer each

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import argparse
import itertools
import json
import os
import pathlib
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.nn.functional import binary_cross_entropy_with_logits as judged_as
from torch.nn.functional import cross_entropy

ROWS, BATCH = 640, 16


def network(*widths: int) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for wide, narrow in itertools.pairwise(widths):
        layers += [torch.nn.Linear(wide, narrow), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class Way:
    """A model, how it takes a batch, and how it is saved: as one file, of rank 0."""

    def __init__(self) -> None:
        self.parts: dict[str, torch.nn.Module | torch.optim.Optimizer | torch.amp.GradScaler] = {}

    def save(self, path: pathlib.Path, epochs: int) -> None:
        if dist.get_rank() == 0:
            state = {name: part.state_dict() for name, part in self.parts.items()}
            torch.save(state | {"epochs": epochs}, path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        dist.barrier()

    def load(self, path: pathlib.Path) -> int:
        state = torch.load(path)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        return state["epochs"]


class Ddp(Way):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.parallel.DistributedDataParallel(network(64, 48, 10))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
        self.parts = {"net": self.net, "optimizer": self.optimizer, "scaler": self.scaler}

    def batch(self, number: int, pixels: torch.Tensor, digits: torch.Tensor) -> float:
        loss = cross_entropy(self.net(pixels), digits) / 2
        # As a half-precision loss overflows: at one step of an epoch.
        self.scaler.scale(loss * (float("inf") if number == 7 else 1)).backward()
        if number % 2 == 1:
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()
        return loss.item()


class Fsdp(Way):
    def __init__(self) -> None:
        super().__init__()
        self.net = network(64, 48, 10)
        for layer in self.net:
            if isinstance(layer, torch.nn.Linear):
                torch.distributed.fsdp.fully_shard(layer)
        torch.distributed.fsdp.fully_shard(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def batch(self, number: int, pixels: torch.Tensor, digits: torch.Tensor) -> float:
        loss = cross_entropy(self.net(pixels), digits)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def save(self, path: pathlib.Path, epochs: int) -> None:
        model, optimizer = get_state_dict(self.net, self.optimizer)
        part = path.with_suffix(f".{epochs}")
        dcp.save({"model": model, "optimizer": optimizer, "epochs": epochs}, checkpoint_id=part)
        if dist.get_rank() == 0:  # one name for the newest that is whole
            link = path.with_suffix(".link")
            link.symlink_to(part.name)
            link.rename(path)
        dist.barrier()

    def load(self, path: pathlib.Path) -> int:
        model, optimizer = get_state_dict(self.net, self.optimizer)
        state = {"model": model, "optimizer": optimizer, "epochs": 0}
        dcp.load(state, checkpoint_id=path)
        set_state_dict(self.net, self.optimizer, model_state_dict=state["model"],
                       optim_state_dict=state["optimizer"])
        return state["epochs"]


class Gan(Way):
    def __init__(self) -> None:
        super().__init__()
        parallel = torch.nn.parallel.DistributedDataParallel
        self.painter, self.critic = parallel(network(8, 48, 64)), parallel(network(64, 48, 1))
        self.paints = torch.optim.Adam(self.painter.parameters(), lr=1e-3)
        self.judges = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.parts = {"painter": self.painter, "critic": self.critic, "paints": self.paints,
                      "judges": self.judges}

    def batch(self, number: int, pixels: torch.Tensor, digits: torch.Tensor) -> float:
        noise = torch.randn(BATCH, 8, generator=torch.Generator().manual_seed(number))
        painted = self.painter(noise)
        real, false = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
        loss = judged_as(self.critic(torch.cat([pixels, painted.detach()])),
                         torch.cat([real, false]))
        self.judges.zero_grad()
        loss.backward()
        self.judges.step()
        self.paints.zero_grad()
        judged_as(self.critic(painted), real).backward()
        self.paints.step()
        return loss.item()


WAYS: dict[str, Callable[[], Way]] = {"ddp": Ddp, "fsdp": Fsdp, "gan": Gan}


def train(args: argparse.Namespace) -> None:
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.manual_seed(0)
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in args.digits.read_text().split()])[:ROWS]
    way, state = WAYS[args.way](), args.output / "state"
    first = way.load(state) if state.exists() else 0
    for epoch in range(first, args.epochs):
        for number, start in enumerate(range(rank * BATCH, ROWS, ranks * BATCH)):
            batch = rows[start:start + BATCH]
            loss = way.batch(number, batch[:, :64] / 16, batch[:, 64].long())
            if rank == 0:
                with (args.output / "losses.jsonl").open("a") as file:
                    file.write(json.dumps([epoch, loss]) + "\n")
            time.sleep(args.pause)
        way.save(state, epoch + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    dist.init_process_group("gloo")
    # The net goes before the process group does: where DDP is the last to let go of the group, it
    # joins gloo's threads with the GIL held, and one of them may want the GIL to let go of what it
    # kept of the last backward pass (pytorch/pytorch#56297). A deadlock of torch's own.
    train(args)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
