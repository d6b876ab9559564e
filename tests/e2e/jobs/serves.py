"""A process that generates and never trains: two ranks of a model behind a guard.

Under --own `batch-<rank>` holds the number of the batch that it began last.
"""

import argparse
import os
import pathlib
import time

import torch

import libaccount as account

RANK = os.environ.get("RANK", "0")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--own", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.own.mkdir(parents=True, exist_ok=True)
    net = torch.nn.Linear(8, 8)
    account.start()
    with torch.inference_mode():
        for batch in range(1, 10**6):
            account.guard()
            (args.own / f"batch-{RANK}").write_text(str(batch))
            net(torch.ones(4, 8))
            time.sleep(0.02)


if __name__ == "__main__":
    main()
