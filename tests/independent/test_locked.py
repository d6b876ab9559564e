"""The independent reader and writer of locked files agree with the vector that the C++ tests open.

`python test_locked.py` writes the vector anew.
"""

import base64
import json
import pathlib
import sys

import pytest
from nacl.signing import SigningKey

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import locked  # noqa: E402

VECTOR = HERE.parent / "vectors" / "locked.json"
SEEDS = [bytes([31]) * 32, bytes([32]) * 32]
CONTENT = b"what training goes on from"
HEADER = {"format": "account-locked/1", "id": "a" * 32, "run": "r7", "order": "07" * 32,
          "step": 41, "rank": 3, "world_size": 8, "created": "2026-11-29T00:00:00Z"}


def make_file(content: bytes) -> bytes:
    return locked.write(HEADER, content, [bytes(SigningKey(seed).verify_key) for seed in SEEDS])


def vector_file() -> bytes:
    return base64.b64decode(json.loads(VECTOR.read_text())["file"])


@pytest.mark.parametrize("seed", SEEDS)
def test_either_recovery_key_opens_the_vector(seed: bytes) -> None:
    header, content = locked.read(vector_file(), seed)
    assert content == CONTENT and {name: header[name] for name in HEADER} == HEADER


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_it_reads_what_it_writes(size: int) -> None:
    content = bytes(size)
    assert locked.read(make_file(content), SEEDS[0])[1] == content


def test_another_key_opens_nothing() -> None:
    with pytest.raises(ValueError, match="not sealed"):
        locked.read(vector_file(), bytes([9]) * 32)


if __name__ == "__main__":
    VECTOR.write_text(json.dumps({
        "seeds": [seed.hex() for seed in SEEDS], "content": CONTENT.decode(),
        "file": base64.b64encode(make_file(CONTENT)).decode()}, indent=2) + "\n")
