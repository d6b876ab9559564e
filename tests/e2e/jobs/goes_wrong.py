"""A DDP loop of which rank 1 goes wrong in one way, once FOLDER/now is there.

Under FOLDER: `step-<rank>-<pid>` holds the step that a process last began, and its time.
"""

import ctypes
import os
import pathlib
import signal
import sys
import time

import torch
import torch.distributed as dist

FOLDER, FAULT = pathlib.Path(sys.argv[1]), sys.argv[2]
RANK = int(os.environ["RANK"])


def go_wrong() -> None:
    if FAULT == "loop":
        while True:
            time.sleep(0.001)
    if FAULT == "gil":  # a C call that keeps the interpreter to itself
        ctypes.PyDLL(None).sleep(3600)
    if FAULT == "raise":
        raise ValueError("the drill")
    if FAULT == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if FAULT == "collective":  # of which the others know nothing
        dist.all_reduce(torch.ones(1))
        dist.barrier()
    if FAULT == "write":
        with (FOLDER / "checkpoint").open("wb") as file:
            for _ in range(40):
                file.write(b"w" * 100_000)
                os.fsync(file.fileno())
                time.sleep(0.1)


def main() -> None:
    dist.init_process_group("gloo")
    if FAULT == "init" and RANK == 1:
        time.sleep(3600)
    net = torch.nn.Linear(8, 8, bias=False)
    if FAULT != "unequal":  # whose ranks do not wait for each other
        net = torch.nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    mark = FOLDER / f"step-{RANK}-{os.getpid()}"
    for step in range(1, 10**6):
        mark.write_text(f"{step} {time.time()}")
        optimizer.zero_grad()
        if FAULT == "backward" and step == 1:
            time.sleep(4)
        loss = net(torch.ones(4, 8)).sum()
        if RANK == 1 and (FOLDER / "now").exists():
            go_wrong()
        loss.backward()
        optimizer.step()
        time.sleep(0.05 if FAULT == "unequal" and RANK == 1 else 0.02)


if __name__ == "__main__":
    main()
