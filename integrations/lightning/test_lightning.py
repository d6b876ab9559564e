"""Lightning's Trainer under `account run`: example.py, which knows nothing of libaccount."""

import json
import pathlib

import pytest
import trainers
from authority import Authority

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.py"
BATCHES = 40  # a rank, in two epochs; gradients of two make a step


@pytest.fixture(scope="module")
def example(digits) -> trainers.Example:
    return trainers.Example(EXAMPLE, digits)


@pytest.fixture(scope="module")
def bare(example, tmp_path_factory) -> list[str]:
    losses = example.bare(tmp_path_factory.mktemp("bare"))
    assert len(losses) == len(set(losses)) == BATCHES
    return losses


def test_it_counts_what_a_peer_counts(account, example, tmp_path, bare):
    report = trainers.check_counting(account, example, tmp_path, bare)
    assert report["steps"] == BATCHES / 2
    assert set(report["by_category"]) == {"train", "evaluate"}
    kept = {path.name for path in (tmp_path / "counted").glob("epoch*")}
    assert len(kept) == 2 and all(name.startswith("epoch=1-step=20.ckpt") for name in kept)
    assert account("prove", tmp_path / "counted/final.ckpt", "--below", "3e25").returncode == 0


def test_two_optimizers_make_one_step(account, digits, tmp_path):
    gan = trainers.Example(EXAMPLE, digits, "--gan")
    report = trainers.check_counting(account, gan, tmp_path, gan.bare(tmp_path))
    assert report["steps"] == BATCHES


def test_a_stop_ends_it_in_its_own_way_and_after_the_lift_it_goes_on(
        account, example, tmp_path, bare):
    authority = Authority(account, tmp_path, recovery=("safe",))
    output = tmp_path / "stopped"
    at_the_stop = trainers.stop_lift_and_go_on(account, authority, example, output, after=7)
    assert at_the_stop == bare[:len(at_the_stop)]
    assert 7 <= len(at_the_stop) < BATCHES

    # Lightning begins the epoch's data again, as from a checkpoint of its own; the steps go on.
    after = [json.loads(line) for line in trainers.losses(output)[len(at_the_stop):]]
    whole = [json.loads(line) for line in bare]
    assert [step for step, _ in after] == [step for step, _ in whole[len(at_the_stop):]]
    assert after[0][1] < whole[0][1]  # the first batch again, by weights that have learned
