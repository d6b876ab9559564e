"""An Accelerate loop under `account run`: example.py, which knows nothing of libaccount."""

import pathlib

import pytest
import trainers
from authority import Authority

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.py"
EPOCH = 20  # batches a rank; gradients of two make a step


@pytest.fixture(scope="module")
def example(digits) -> trainers.Example:
    return trainers.Example(EXAMPLE, digits)


@pytest.fixture(scope="module")
def bare(example, tmp_path_factory) -> list[str]:
    losses = example.bare(tmp_path_factory.mktemp("bare"))
    assert len(losses) == len(set(losses)) == 2 * EPOCH
    return losses


def test_it_counts_what_a_peer_counts(account, example, tmp_path, bare):
    report = trainers.check_counting(account, example, tmp_path, bare)
    assert report["steps"] == EPOCH
    assert (tmp_path / "counted" / "state.account.json").exists()


def test_after_a_stop_it_goes_on_from_the_checkpoint_that_was_whole(
        account, example, tmp_path, bare):
    authority = Authority(account, tmp_path)
    output = tmp_path / "stopped"
    order = example.stopped(account, authority, output, after=EPOCH + 2)
    cut = trainers.losses(output)
    assert cut == bare[:len(cut)] and EPOCH < len(cut) < 2 * EPOCH
    authority.lift(order, "ann", "ben")
    example.counted(account, output, "r", 0, "--authority", authority.path)
    assert trainers.losses(output) == cut + bare[EPOCH:]
    assert account.verify(tmp_path / "account" / "r")["ok"] is True
