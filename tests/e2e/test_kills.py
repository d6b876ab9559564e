"""SIGKILL to ranks, keeper and everything: what was counted stays counted, training goes on.

Each rank writes down, outside libaccount, the operations of calls it began and of calls that
returned. A product is counted before its call returns, so the evidence must lie between the two:
short of the executed work by at most the one call in flight for each kill and thread.
"""

import pathlib

import harness
import pytest

KNOWN_OPS = str(harness.JOBS / "known_ops.py")
MANY = 10**9  # longer than any test: such a job ends by being killed


@pytest.fixture
def own(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "own"


def counted_between_begun_and_completed(account: harness.Account, run: pathlib.Path,
                                        own: pathlib.Path) -> dict:
    report = account.verify(run)
    counts = harness.own_counts(own)
    completed, begun = sum(c.completed for c in counts), sum(c.begun for c in counts)
    assert completed <= int(report["operations"]) <= begun, report
    return report


def started(pid: int) -> int:
    """When a process that lives began, in clock ticks."""
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])


def ranks_at_work(own: pathlib.Path, ranks: int, products: int = 50, size: int = 64):
    """The own counts of the latest process of each rank, once each has done some products."""
    def condition():
        live = [c for c in harness.own_counts(own)
                if harness.alive(c.pid) and c.completed > products * 2 * size**3]
        return live if {c.rank for c in live} == set(range(ranks)) else None
    return harness.wait_until(f"{ranks} ranks at work", condition)


def test_a_killed_rank_that_torchrun_restarts_is_counted_whole(account, own, tmp_path):
    command = account.run_command("--run", "r", command=harness.torchrun(
        "--standalone", "--nproc-per-node", 2, "--max-restarts", 1, KNOWN_OPS,
        "--own", own, "--steps", 60, "--pause", 0.05))
    with harness.Job(command, tmp_path / "log") as job:
        harness.kill(ranks_at_work(own, 2)[1].pid)
        job.wait()
    assert len(harness.own_counts(own)) == 4  # two ranks, started twice
    report = counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    assert report["ranks"] == 2


def test_five_kills_of_a_torchrun_job_cost_at_most_the_calls_in_flight(account, own, tmp_path):
    command = account.run_command("--run", "r", command=harness.torchrun(
        "--standalone", "--nproc-per-node", 2, "--max-restarts", 5, KNOWN_OPS,
        "--own", own, "--steps", 100, "--pause", 0.05))
    with harness.Job(command, tmp_path / "log") as job:
        for start in range(1, 6):
            # torchrun ends the other rank as well and starts both anew.
            harness.wait_until(f"both ranks of start {start}",
                               lambda due=2 * start: len(harness.own_counts(own)) == due)
            newest = max(ranks_at_work(own, 2), key=lambda rank: started(rank.pid))
            harness.kill(newest.pid)
        job.wait()
    assert len(harness.own_counts(own)) == 12  # two ranks, started six times
    report = counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    assert (report["ranks"], len(report["problems"])) == (2, 0)


def test_all_ranks_killed_and_started_again_are_counted_whole(account, own, tmp_path):
    def command(steps: int) -> list[str]:
        return account.run_command("--run", "r", command=harness.two_ranks(
            KNOWN_OPS, "--own", own, "--steps", steps, "--pause", 0.02))

    with harness.Job(command(MANY), tmp_path / "log") as job:
        for rank in ranks_at_work(own, 2):
            harness.kill(rank.pid)
        assert job.wait(expect=None) != 0
    counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    harness.run_job(command(20), tmp_path / "log")
    report = counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    assert report["ranks"] == 2


def test_a_killed_account_run_does_not_disturb_training(account, own, tmp_path):
    command = account.run_command("--run", "r", command=harness.two_ranks(
        KNOWN_OPS, "--own", own, "--steps", 150, "--pause", 0.08))
    with harness.Job(command, tmp_path / "log") as job:
        pids = {rank.pid for rank in ranks_at_work(own, 2)}
        harness.kill(job.process.pid)
        try:
            harness.wait_until("both ranks to finish",
                               lambda: len(list(own.glob("done-*"))) == 2)
        finally:
            for pid in pids:
                harness.kill(pid)
    assert {c.pid for c in harness.own_counts(own)} == pids, "no rank was restarted"
    # The keeper that took over ends after its last rank, with a closing seal.
    harness.wait_until("the run to be closed", lambda: not account.live(tmp_path / "account"))
    report = counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    assert int(report["operations"]) == sum(c.completed for c in harness.own_counts(own))


def test_everything_killed_at_once_is_taken_up_by_the_next_start(account, own, tmp_path):
    def command(steps: int) -> list[str]:
        return account.run_command("--run", "r", command=harness.two_ranks(
            KNOWN_OPS, "--own", own, "--steps", steps, "--pause", 0.02))

    with harness.Job(command(MANY), tmp_path / "log") as job:
        ranks_at_work(own, 2)
        harness.kill_tree(job.process.pid)
        job.wait(expect=-9)
    harness.run_job(command(20), tmp_path / "log")
    report = counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    assert report["ranks"] == 2


def test_a_killed_keeper_of_a_job_without_account_run_is_replaced(account, own, tmp_path):
    command = [harness.sys.executable, KNOWN_OPS, "--own", str(own), "--steps", "150",
               "--pause", "0.08"]
    with harness.Job(command, tmp_path / "log", ACCOUNT="on", ACCOUNT_RUN="r") as job:
        (rank,) = ranks_at_work(own, 1)
        (live,) = harness.wait_until("a live run",
                                     lambda: account.live(tmp_path / "account"))
        assert live["keeper_pid"] not in (rank.pid, job.process.pid)
        harness.kill(live["keeper_pid"])
        job.wait()
    harness.wait_until("the run to be closed", lambda: not account.live(tmp_path / "account"))
    report = counted_between_begun_and_completed(account, tmp_path / "account/r", own)
    (count,) = harness.own_counts(own)
    assert int(report["operations"]) == count.completed
    assert report["steps"] == 150
