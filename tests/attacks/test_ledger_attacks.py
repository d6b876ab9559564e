"""Each ledger in tests/attacks/ledger is refused with exit code 2 and words of its own."""

import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import script  # noqa: E402

LEDGERS = HERE / "ledger"
EXPECTED = json.loads((LEDGERS / "expected.json").read_text())


def test_each_folder_has_its_words() -> None:
    folders = {path.name for path in LEDGERS.iterdir() if path.is_dir()}
    assert folders == set(EXPECTED)
    assert len(folders) >= 19


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_is_refused_in_its_own_words(name: str) -> None:
    done = subprocess.run([script("account"), "verify", str(LEDGERS / name / "run-1"), "--json"],
                          text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    problems = json.loads(done.stdout)["problems"]
    assert any(EXPECTED[name] in problem["fault"] for problem in problems), problems
    assert all(problem["place"] for problem in problems)
