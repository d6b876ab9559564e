"""Runs example.py with PyTorch's FlopCounterMode around its training function; knows no libaccount.

    peer.py FOLDER ARGUMENTS...

Leaves FOLDER/rank-N.json: operations of that worker, and how often its optimizer stepped.
"""

import json
import pathlib
import sys
from typing import Any

import example
import ray.train
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.flop_counter import FlopCounterMode

folder = sys.argv.pop(1)
train = example.train


def counted(config: dict[str, Any]) -> None:
    steps: list[None] = []
    register_optimizer_step_post_hook(lambda *_: steps.append(None))
    with FlopCounterMode(display=False) as peer:
        train(config)
    path = pathlib.Path(folder, f"rank-{ray.train.get_context().get_world_rank()}.json")
    path.write_text(json.dumps({"operations": peer.get_total_flops(), "steps": len(steps)}))


example.train = counted
example.main()
