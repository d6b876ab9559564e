"""One training step on each of two gloo ranks, in the way that is named; writes this rank's count.

    torchrun --nproc-per-node 2 parallel_step.py MODE FOLDER

The net: Linear(16,32), ReLU, Linear(32,8), Linear(8,8), without biases, on [8,16].
"""

import json
import os
import pathlib
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import libaccount as account


def model() -> torch.nn.Sequential:
    torch.manual_seed(0)
    sizes = [(16, 32), (32, 8), (8, 8)]
    first, *rest = [torch.nn.Linear(a, b, bias=False) for a, b in sizes]
    return torch.nn.Sequential(first, torch.nn.ReLU(), *rest)


def fsdp(net: torch.nn.Sequential) -> torch.nn.Module:
    for layer in net:
        if isinstance(layer, torch.nn.Linear):
            fully_shard(layer)
    fully_shard(net)
    return net


def tensor_parallel(net: torch.nn.Sequential) -> torch.nn.Module:
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    return parallelize_module(net, init_device_mesh("cpu", (2,)), plan)


def step(mode: str) -> account.count:
    net = model()
    if mode == "ddp":
        net = DistributedDataParallel(net)
    elif mode.startswith("fsdp"):
        net = fsdp(net)
    elif mode == "tensor parallel":
        net = tensor_parallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.ones(8, 16)
    with account.count() as c:
        if "checkpoint" in mode:
            y = checkpoint(net, x.requires_grad_(), use_reentrant="reentrant" in mode)
        else:
            y = net(x)
        y.sum().backward()
        optimizer.step()
    return c


def main() -> None:
    mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    dist.init_process_group("gloo")
    # The net is gone before the process group is. If DDP is the last to let go of the group, it
    # joins gloo's threads with the GIL held, and one of them may be waiting for the GIL
    # (pytorch/pytorch#56297): a deadlock of torch, with or without libaccount.
    c = step(mode)
    count = {"by_phase": c.by_phase, "by_op": c.by_op, "uncounted": c.uncounted}
    (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(count))
    dist.destroy_process_group()


main()
