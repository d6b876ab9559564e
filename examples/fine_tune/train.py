"""Fine-tunes a causal language model on a text: a plain PyTorch loop, with DDP under torchrun.

    torchrun --standalone --nproc-per-node 2 train.py DATA      # DATA as prepare.py leaves it
    account run -- torchrun --standalone --nproc-per-node 2 train.py DATA   # the same, counted

No line in here is needed for counting. Those that say `account` only put the held-out evaluations
under a category of their own, and do nothing where libaccount is not installed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModelForCausalLM

# All sums over ranks. gloo's thread lets go of one a moment after it is there; were it the last to
# hold it while Python ends, it would need Python to let go of the tensor, and abort the process.
SUMS: list[dist.Work] = []

try:
    import libaccount as account
except ImportError:
    account = None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path, help="folder with model/ and tokens.pt")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4, help="sequences a rank and step")
    parser.add_argument("--length", type=int, default=128, help="tokens a sequence")
    parser.add_argument("--held-out", type=int, default=8, help="sequences a rank and evaluation")
    parser.add_argument("--evaluations", type=int, default=3, help="at least 2: start and end")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--compile", action="store_true", help="train with torch.compile")
    parser.add_argument("--losses", type=pathlib.Path, help="JSON file for all losses, exact")
    return parser.parse_args()


def split(tokens: torch.Tensor, args: argparse.Namespace, rank: int, world: int):
    """This rank's training batches and held-out batches; no sequence is in two places."""
    sequences = tokens[: len(tokens) // args.length * args.length].view(-1, args.length).long()
    held_out, training = world * args.held_out, args.steps * world * args.batch
    if held_out + args.batch * world > len(sequences):
        sys.exit(f"train.py: {args.data}/tokens.pt holds {len(sequences)} sequences, "
                 f"too few for {held_out} held out")
    mine = sequences[-held_out:][rank::world].split(args.batch)
    order = torch.randperm(len(sequences) - held_out, generator=torch.Generator().manual_seed(1))
    order = order.repeat(training // len(order) + 1)[:training].view(args.steps, world, args.batch)
    return sequences[order[:, rank]], mine


def category(name: str):
    return account.category(name) if account else contextlib.nullcontext()


@torch.no_grad()
def evaluate(model: torch.nn.Module, batches, sum_over_ranks) -> float:
    """Mean loss over the held-out sequences of all ranks."""
    model.eval()
    total = torch.zeros(2, dtype=torch.float64)
    with category("evaluate"):
        for batch in batches:
            loss = model(input_ids=batch, labels=batch, use_cache=False).loss
            total += torch.tensor([loss.item() * len(batch), len(batch)], dtype=torch.float64)
    model.train()
    sum_over_ranks(total)
    return (total[0] / total[1]).item()


def main() -> None:
    args = arguments()
    distributed = "RANK" in os.environ
    if distributed:
        dist.init_process_group("gloo")
    rank = dist.get_rank() if distributed else 0
    world = dist.get_world_size() if distributed else 1
    def sum_over_ranks(tensor: torch.Tensor) -> None:
        if distributed:
            SUMS.append(dist.all_reduce(tensor, async_op=True))
            SUMS[-1].wait()

    def say(text: str) -> None:
        if rank == 0:
            print(text, flush=True)

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(
        args.data / "model", dtype=getattr(torch, args.dtype), attn_implementation=args.attention)
    model.train()
    training, held_out = split(torch.load(args.data / "tokens.pt"), args, rank, world)
    wrapped = DistributedDataParallel(model) if distributed else model
    if args.compile:
        wrapped = torch.compile(wrapped)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)

    # Evaluations are spread evenly: before the first step, ..., after the last.
    marks = [round(i * args.steps / (args.evaluations - 1)) for i in range(args.evaluations)]
    losses = {"training": [], "held_out": []}
    for step, batch in enumerate(training):
        if step in marks:
            losses["held_out"].append(evaluate(model, held_out, sum_over_ranks))
            say(f"held-out loss {losses['held_out'][-1]:.3f} after {step} steps")
        loss = wrapped(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses["training"].append(loss.item())
        say(f"step {step + 1} of {args.steps}: loss {loss.item():.3f}")
    losses["held_out"].append(evaluate(model, held_out, sum_over_ranks))
    say(f"held-out loss {losses['held_out'][-1]:.3f} after {args.steps} steps")

    if args.losses and rank == 0:
        args.losses.write_text(json.dumps(losses) + "\n")
    if distributed:
        dist.destroy_process_group()
    if losses["held_out"][-1] >= losses["held_out"][0]:
        sys.exit("train.py: the held-out loss did not fall")


if __name__ == "__main__":
    main()
