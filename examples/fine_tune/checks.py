"""What the demo asserts: each function returns a line for people or raises NotAsItMustBe.

Reads the run only as `account verify --json` gives it.
"""

import argparse
import json
import pathlib
from collections import Counter

import closed_form


class NotAsItMustBe(Exception):
    """An act of the demo did not do what it shows."""


def loss_fell(path: pathlib.Path) -> str:
    held_out = json.loads(path.read_text())["held_out"]
    if held_out[-1] >= held_out[0]:
        raise NotAsItMustBe(f"the held-out loss went from {held_out[0]} to {held_out[-1]}")
    return f"\nThe held-out loss fell from {held_out[0]:.3f} to {held_out[-1]:.3f}."


def differences(counted: dict, formula: dict) -> list[str]:
    """Keys under which the two are not the same integer; a key without operations may be absent."""
    counted = {key: int(n) for key, n in counted.items()}
    return [f"{key}: counted {counted.get(key, 0):,}, formula {formula.get(key, 0):,}"
            for key in sorted(counted.keys() | formula.keys())
            if counted.get(key, 0) != formula.get(key, 0)]


def equals_closed_form(report: str, config: pathlib.Path, args: argparse.Namespace,
                       ranks: int) -> str:
    """The run's total, each way to divide it, and each rank's own count."""
    counted = json.loads(report)
    counted["by_rank"] = Counter()
    for incarnation in counted["incarnations"]:  # a rank has one for each start of its process
        counted["by_rank"][str(incarnation["rank"])] += int(incarnation["operations"])
    plan = argparse.Namespace(**vars(args) | {"ranks": ranks})
    formula = closed_form.fine_tune(closed_form.Llama.read(config), plan)
    faults = differences({"all": counted["operations"]}, {"all": formula["operations"]})
    for way in ("by_op", "by_phase", "by_category", "by_rank"):
        faults += differences(counted[way], formula[way])
    if faults:
        raise NotAsItMustBe("the total is not the closed formula's: " + "; ".join(faults))
    lines = [f"counted           {int(counted['operations']):,}",
             f"closed formula    {formula['operations']:,}",
             f"of each rank      {formula['by_rank']['0']:,}, by both"]
    return "\n".join(lines)


def flip_one_bit(run: pathlib.Path) -> str:
    """The lowest bit of the byte in the middle of the run's first ledger segment."""
    segment = sorted(run.glob("node-*/ledger/*.jsonl"))[0]
    data = bytearray(segment.read_bytes())
    place = len(data) // 2
    data[place] ^= 1
    segment.write_bytes(data)
    return f"byte {place} of {segment}: {chr(data[place] ^ 1)!r} became {chr(data[place])!r}"
