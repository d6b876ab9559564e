"""Runs a script as it stands and counts it by PyTorch's FlopCounterMode; knows no libaccount.

    peer_count.py FOLDER SCRIPT ARGUMENTS...

Leaves FOLDER/rank-N.json: all operations, and how often optimizers stepped, all together.
"""

import atexit
import json
import os
import pathlib
import runpy
import sys

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.flop_counter import FlopCounterMode, flop_registry

# FlopCounterMode misses the in-place one, which sums up gradients of an adapter.
flop_registry[torch.ops.aten.addmm_] = flop_registry[torch.ops.aten.addmm]

folder, script, *arguments = sys.argv[1:]
steps: list[None] = []
register_optimizer_step_post_hook(lambda *_: steps.append(None))
peer = FlopCounterMode(display=False)


def leave() -> None:
    path = pathlib.Path(folder, f"rank-{os.environ.get('RANK', '0')}.json")
    path.write_text(json.dumps({"operations": peer.get_total_flops(), "steps": len(steps)}))


atexit.register(leave)
sys.argv = [script, *arguments]
sys.path.insert(0, os.path.dirname(script))
with peer:
    runpy.run_path(script, run_name="__main__")
