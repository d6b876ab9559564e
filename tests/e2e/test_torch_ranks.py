"""Two ranks count what one process would, and replicated work as often as it is executed."""

import json

import harness
import pytest

# On [8,16]: Linear(16,32), Linear(32,8), Linear(8,8).
A, B, C = 2 * 8 * 16 * 32, 2 * 8 * 32 * 8, 2 * 8 * 8 * 8
FORWARD = A + B + C
BACKWARD = 2 * FORWARD - A  # the input has no gradient

MODES = {
    # Each rank has its own half of the batch: as one process with all of it.
    "ddp": {"forward": 2 * FORWARD, "backward": 2 * BACKWARD},
    "fsdp": {"forward": 2 * FORWARD, "backward": 2 * BACKWARD},
    "fsdp, reentrant checkpoint": {"forward": 2 * FORWARD, "recompute": 2 * FORWARD,
                                   "backward": 2 * 2 * FORWARD},
    # It stops before the last product: nothing needs its output again.
    "fsdp, checkpoint": {"forward": 2 * FORWARD, "recompute": 2 * (A + B),
                         "backward": 2 * 2 * FORWARD},
    # Both ranks have the whole batch. The first two layers are split: together as one process. The
    # third is on both, and executed twice.
    "tensor parallel": {"forward": A + B + 2 * C, "backward": A + 2 * B + 2 * 2 * C},
}


@pytest.mark.parametrize("mode", MODES)
def test_the_sum_over_ranks_is_what_was_executed(account, tmp_path, mode):
    command = harness.two_ranks(harness.JOBS / "parallel_step.py", mode, tmp_path)
    harness.run_job(account.run_command("--dir", tmp_path, "--run", "r", command=command),
                    tmp_path / "log")
    counts = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    assert [c["uncounted"] for c in counts] == [[], []]
    summed = {phase: sum(c["by_phase"].get(phase, 0) for c in counts) for phase in MODES[mode]}
    assert summed == MODES[mode]
    assert counts[0] == counts[1]  # the work is even
    report = account.verify(tmp_path / "r")
    assert {phase: int(n) for phase, n in report["by_phase"].items()} == MODES[mode]
    assert (report["ranks"], report["steps"], report["gaps"]) == (2, 1, [])
