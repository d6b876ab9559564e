"""Ray Train under `account run`: example.py, which knows nothing of libaccount.

In a network namespace of its own, which takes root: Ray would talk to itself over the machine's
address. Collected where that can be made (conftest.py).
"""

import pathlib
import sys

import pytest
import trainers

HERE = pathlib.Path(__file__).resolve().parent
EPOCH = 20  # steps of each worker
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']


class RayExample(trainers.Example):
    def command(self, output, *before, pause=0.0):
        script, *words = self._words
        if before:  # the peer of torchrun's examples, which sees only this process
            script, words = HERE / "peer.py", [before[-1], *words]
        paused = ["--pause", str(pause)] if pause else []
        return [*ALONE, sys.executable, str(script),
                *map(str, words), "--output", str(output), *paused]


@pytest.fixture
def example(digits):
    return RayExample(HERE / "example.py", digits, PYTHONPATH=str(HERE),
                      RAY_DISABLE_IMPORT_WARNING="1", RAY_USAGE_STATS_ENABLED="0")


def test_it_counts_what_a_peer_counts_and_goes_on_after_a_stop(account, example, tmp_path):
    report = trainers.check_counting(account, example, tmp_path)
    bare = trainers.losses(tmp_path / "peer")
    assert len(bare) == report["steps"] == 2 * EPOCH
    assert report["world_size"] == 2
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)
