"""The second verifier agrees with the first about a run of the format's first version."""

import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import verify

GOLDEN = pathlib.Path(__file__).parents[1] / "vectors" / "ledger" / "run-1"


def test_finds_the_figures_that_the_format_page_states() -> None:
    assert verify.totals(GOLDEN) == {
        "calls": 26, "executed": 1300, "model": 1170, "lower": 1235, "bound": 7}


@pytest.mark.parametrize("name", ["run.json", "checkpoint", "ledger/000001.jsonl",
                                  "transcripts/1-1.jsonl"])
def test_refuses_a_change_of_any_byte(tmp_path: pathlib.Path, name: str) -> None:
    run = tmp_path / "run-1"
    shutil.copytree(GOLDEN, run)
    path = run / "node-1f00ba5e" / name
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        with pytest.raises((verify.Refused, KeyError, ValueError, TypeError)):
            verify.totals(run)
