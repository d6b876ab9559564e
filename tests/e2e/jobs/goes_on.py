"""A DDP loop with dropout, Adam and random data that goes on from what a stop let it save.

Under --own each rank appends a line `<step> <loss as hex>` for every step to `losses-<rank>`, and
`begins-<rank>` gets a line with the step that each start of it begins after.
"""

import argparse
import os
import pathlib
import time

import torch
import torch.distributed as dist

import libaccount as account

RANK = int(os.environ["RANK"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--own", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0.0)
    args = parser.parse_args()
    args.own.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(1 + RANK)
    dist.init_process_group("gloo")
    net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Dropout(0.3),
                              torch.nn.Linear(64, 1))
    # Else DDP puts its buckets in another order after the first step of each start, and gloo then
    # adds up in another order.
    ddp = torch.nn.parallel.DistributedDataParallel(net, find_unused_parameters=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    done = 0

    def state() -> dict[str, object]:
        if os.environ.get("GOES_ON_FAILS_AT_RANK") == str(RANK):
            raise RuntimeError("no room for this state")
        return {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "done": done}

    run = account.start(state=state)
    saved = run.restore()
    if saved is not None:
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]
    with (args.own / f"begins-{RANK}").open("a") as begins:
        begins.write(f"{done}\n")
    losses = (args.own / f"losses-{RANK}").open("a", buffering=1)
    while done < args.steps:
        optimizer.zero_grad()
        loss = ddp(torch.randn(16, 32)).square().mean()
        loss.backward()
        losses.write(f"{done + 1} {loss.item().hex()}\n")
        done += 1
        optimizer.step()  # the stop is raised out of here, once the step is done
        time.sleep(args.pause)
    del ddp  # before its group goes: parallel_step.py says why
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
