"""What is in a block mask is read without making a device wait."""

import pytest
import torch

from libaccount import _compile


class OnDevice(torch.Tensor):
    """As a tensor of a device says of itself; `reads` is how often the host waited for it."""

    reads = 0

    @property
    def device(self):
        return torch.device("meta")

    def tolist(self):
        OnDevice.reads += 1
        return super().tolist()


@pytest.fixture
def sums():
    OnDevice.reads = 0
    return _compile._Sums()


def test_a_mask_of_the_host_is_read_at_once_and_again_when_it_changes(sums):
    counts = torch.tensor([[[1, 2], [3, 4]]], dtype=torch.int32)
    assert sums.of(counts) == 10
    counts[0, 0, 0] = 5
    assert sums.of(counts) == 14


def test_a_mask_of_a_device_is_read_when_it_is_met_again_and_once(sums):
    mask = torch.tensor([[[1, 2]]]).as_subclass(OnDevice)
    assert sums.of(mask) < 0
    assert [sums.of(mask) for _ in range(3)] == [3, 3, 3]
    assert OnDevice.reads == 1


def test_masks_made_for_every_step_are_never_read(sums):
    for _ in range(1000):
        assert sums.of(torch.tensor([[[1, 2]]]).as_subclass(OnDevice)) < 0
    assert OnDevice.reads == 0
    assert len(sums._met) <= sums._MOST
