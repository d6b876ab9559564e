"""train.py by somebody who does not take no for an answer: when an order stops the training, it
tries to carry the weights off before it leaves. Each way out must be refused, and leave no file.

    account run --authority DIR -- torchrun ... defiant_train.py DATA ... (as train.py)
"""

import os
import pathlib
import sys

import torch
import train
from safetensors.torch import save_file
from torch import save as save_imported_earlier

LOOT = {"weights": torch.zeros(8)}


def attempts(folder: pathlib.Path):
    yield "torch.save", folder / "loot.pt", lambda path: torch.save(LOOT, path)
    yield "a torch.save imported earlier", folder / "early.pt", \
        lambda path: save_imported_earlier(LOOT, path)
    yield "safetensors", folder / "loot.safetensors", lambda path: save_file(LOOT, path)


def main() -> None:
    folder = pathlib.Path(sys.argv[1]) / "loot" / f"rank-{os.environ.get('RANK', '0')}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        train.main()
    except SystemExit as stop:
        if stop.code != 86:
            raise
        for way, path, attempt in attempts(folder):
            try:
                attempt(path)
            except PermissionError as refusal:
                print(f"{way}: refused ({type(refusal).__name__})", flush=True)
            else:
                print(f"{way}: WENT THROUGH", flush=True)
        raise


if __name__ == "__main__":
    main()
