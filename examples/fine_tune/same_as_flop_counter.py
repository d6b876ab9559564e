"""Compares libaccount with PyTorch's FlopCounterMode on one forward and backward of the same model.

With attn_implementation="eager", since FlopCounterMode counts 0 for the fused attention kernel of
a CPU. Prints both numbers and exits 1 if they differ.

    python same_as_flop_counter.py DATA/model
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

import libaccount as account


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--length", type=int, default=128)
    args = parser.parse_args()

    model = AutoModelForCausalLM.from_pretrained(args.model, attn_implementation="eager")
    ids = torch.arange(args.sequences * args.length).view(args.sequences, args.length)
    ids %= model.config.vocab_size

    def forward_and_backward() -> None:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()

    with FlopCounterMode(display=False) as peer:
        forward_and_backward()
    with account.count() as ours:
        forward_and_backward()
    theirs = {str(op).replace(".", "::"): n for op, n in peer.get_flop_counts()["Global"].items()}

    print(f"FlopCounterMode   {peer.get_total_flops():,}")
    print(f"account.count()   {ours.executed:,}")
    if ours.executed != peer.get_total_flops() or ours.by_op != theirs:
        print(f"they differ: {theirs} against {ours.by_op}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
