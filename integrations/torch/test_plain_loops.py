"""Plain loops under `account run`: example.py, which knows nothing of libaccount.

DistributedDataParallel with accumulation and a GradScaler that skips, FSDP2, and a GAN.
"""

import pathlib

import pytest
import trainers

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.py"
EPOCH = 20  # batches a rank
# Steps of an epoch: of 10 pairs of batches one is skipped; a GAN's two optimizers are one step.
STEPS = {"ddp": 9, "fsdp": EPOCH, "gan": EPOCH}


@pytest.mark.parametrize("way", STEPS)
def test_it_counts_what_a_peer_counts_and_goes_on_after_a_stop(account, digits, tmp_path, way):
    example = trainers.Example(EXAMPLE, digits, "--way", way)
    report = trainers.check_counting(account, example, tmp_path,
                                     optimizers=2 if way == "gan" else 1)
    bare = trainers.losses(tmp_path / "peer")
    assert len(bare) == 2 * EPOCH
    assert report["steps"] == 2 * STEPS[way]
    assert report["ranks"] == report["world_size"] == 2
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)
