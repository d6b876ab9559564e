"""Ray Train under `account run`: example.py, which knows nothing of libaccount.

In a network namespace of its own, which takes root: Ray would talk to itself over the machine's
address. Collected where that can be made (conftest.py).
"""

import pathlib
import sys

import pytest
import trainers
from authority import Authority

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
def make(digits):
    def example(*words: str) -> RayExample:
        return RayExample(HERE / "example.py", digits, *words, PYTHONPATH=str(HERE),
                          RAY_DISABLE_IMPORT_WARNING="1", RAY_USAGE_STATS_ENABLED="0")
    return example


def test_it_counts_what_a_peer_counts_and_goes_on_from_the_step_of_a_stop(account, make, tmp_path):
    report = trainers.check_counting(account, make(), tmp_path)
    bare = trainers.losses(tmp_path / "peer")
    assert len(bare) == report["steps"] == 2 * EPOCH
    assert report["world_size"] == 2

    (tmp_path / "account").rename(tmp_path / "counted-before")
    output = tmp_path / "stopped"
    cut = trainers.stop_lift_and_go_on(account, Authority(account, tmp_path, recovery=("safe",)),
                                       make("--from-the-step"), output, EPOCH + 3)
    assert EPOCH < len(cut) < 2 * EPOCH
    assert trainers.losses(output) == bare
