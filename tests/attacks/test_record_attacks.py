"""Each record and policy in tests/attacks/ is refused with exit code 2, in one line of its own."""

import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import script  # noqa: E402

EXPECTED = json.loads((HERE / "record" / "expected.json").read_text())


def test_each_has_its_words() -> None:
    present = {f"record/{path.name}" for path in (HERE / "record").iterdir() if path.is_dir()}
    present |= {f"policy/{path.name}" for path in (HERE / "policy").iterdir()}
    assert present == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_is_refused_in_its_own_words(name: str) -> None:
    verb = ("verify",) if name.startswith("record/") else ("policy", "lint")
    done = subprocess.run([script("account"), *verb, str(HERE / name)], text=True,
                          capture_output=True, check=False, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert EXPECTED[name] in done.stderr
