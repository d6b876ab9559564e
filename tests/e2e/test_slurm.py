"""A real Slurm: the example's job is stopped by its Slurm id, ends with 86, and stays stopped.

Collected where Slurm is installed and can be started (conftest.py).
"""

import json
import os
import pathlib
import shutil

import harness
import pytest
import slurm
from authority import Authority
from test_stop_ranks import MANY, PLAIN_DDP, last_steps, wait_for_steps

EXAMPLE = harness.ROOT / "examples/slurm"
REFUSED_REQUEUE = "disabled"  # what Slurm says of a job that may not be requeued


def notes(run: pathlib.Path) -> list[tuple[str, str]]:
    """Kind and detail of what a run's ledger has noted of requeueing."""
    lines = [json.loads(line) for path in sorted(run.glob("node-*/ledger/*.jsonl"))
             for line in path.read_text().splitlines()]
    return [(line["kind"], line["detail"]) for line in lines
            if str(line.get("kind")).startswith("requeue")]


@pytest.fixture(autouse=True)
def commands(monkeypatch) -> None:
    """The example calls `account` and `torchrun` by name."""
    here = pathlib.Path(harness.script("account")).parent
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")


@pytest.fixture
def authority(account, tmp_path) -> Authority:
    return Authority(account, tmp_path)


@pytest.fixture
def cluster(tmp_path):
    with slurm.Cluster(tmp_path / "slurm", EXAMPLE / "task_prolog.sh") as started:
        yield started


def submit(cluster: slurm.Cluster, authority: Authority, own: pathlib.Path, *words: object,
           name: str = "acme-chat", model: str = "acme/chat-7b", **variables: str) -> str:
    return cluster.submit(
        EXAMPLE / "train.sbatch", PLAIN_DDP, "--own", own, *words, name=name,
        log=own.with_suffix(".log"), **variables, ACCOUNT_AUTHORITY=str(authority.path),
        GPUS_A_NODE="2", ACCOUNT_MODEL=model, RENDEZVOUS_PORT=str(harness.free_port()))


def test_a_job_is_stopped_by_its_slurm_id_and_starts_again_only_after_a_lift(
        account, authority, cluster, tmp_path):
    own = tmp_path / "own"
    job = submit(cluster, authority, own, "--steps", MANY)
    wait_for_steps(own, 5)
    assert cluster.facts(job)["Requeue"] == "1"
    order = authority.stop(f"slurm:{job}")
    ended = cluster.wait(job, "FAILED", "COMPLETED", "CANCELLED")
    assert (ended["JobState"], ended["ExitCode"]) == ("FAILED", "86:0")
    assert (ended["Restarts"], ended["Requeue"]) == ("0", "0")
    assert notes(tmp_path / f"account/slurm-{job}") == [("requeue_off", f"Slurm job {job}")]
    with pytest.raises(AssertionError, match=REFUSED_REQUEUE):
        cluster("scontrol", "requeue", job)  # as Lightning asks for it
    steps = last_steps(own)
    assert steps["0"] == steps["1"]
    assert account.verify(tmp_path / f"account/slurm-{job}")["ok"] is True

    # Another job of that name trains the same model: Slurm refuses its tasks, and keeps its node.
    again = submit(cluster, authority, tmp_path / "again", "--steps", 3)
    refused = cluster.wait(again, "FAILED", "COMPLETED")
    assert (refused["JobState"], refused["ExitCode"]) == ("FAILED", "86:0")
    assert not (tmp_path / "again").exists(), "nothing was started"
    assert order[:16] in (tmp_path / "again.log").read_text()
    assert cluster("sinfo", "-h", "-N", "-o", "%t").strip() == "idle"

    # A job that shares nothing with it trains.
    other = submit(cluster, authority, tmp_path / "other", "--steps", 4, name="acme-vision",
                   model="acme/vision")
    assert cluster.wait(other, "FAILED", "COMPLETED")["ExitCode"] == "0:0", (
        (tmp_path / "other.log").read_text())

    authority.lift(order, "ann", "cid")
    resumed = submit(cluster, authority, tmp_path / "resumed", "--steps", 3)
    assert cluster.wait(resumed, "FAILED", "COMPLETED")["ExitCode"] == "0:0", (
        (tmp_path / "resumed.log").read_text())
    assert set(last_steps(tmp_path / "resumed").values()) == {3}


def test_a_scontrol_that_hangs_or_fails_holds_up_no_stop(account, authority, cluster, tmp_path):
    for name, fault, why in (("hangs", "exec sleep 3600", "scontrol has not ended within 10 s"),
                             ("fails", "exit 1", "scontrol has failed")):
        folder = tmp_path / name
        folder.mkdir()
        program = folder / "scontrol"  # train.sbatch asks it for the hosts as well
        program.write_text(
            f'#!/bin/sh\n[ "$1" = update ] && {fault}\nexec {shutil.which("scontrol")} "$@"\n')
        program.chmod(0o755)
        own = folder / "own"
        job = submit(cluster, authority, own, "--steps", MANY, name=name, model=name,
                     PATH=f"{folder}:{os.environ['PATH']}")
        wait_for_steps(own, 3)
        authority.stop(f"slurm:{job}")
        ended = cluster.wait(job, "FAILED", "COMPLETED", "CANCELLED")
        assert (ended["JobState"], ended["ExitCode"]) == ("FAILED", "86:0")
        assert len(set(last_steps(own).values())) == 1
        assert notes(tmp_path / f"account/slurm-{job}") == [
            ("requeue_not_off", f"Slurm job {job}: {why}")]


def test_a_site_that_holds_jobs_by_exit_code_gets_no_further_than_the_start(
        account, authority, tmp_path):
    with slurm.Cluster(tmp_path / "slurm", EXAMPLE / "task_prolog.sh",
                       RequeueExitHold="86") as cluster:
        own = tmp_path / "own"
        job = submit(cluster, authority, own, "--steps", MANY)
        wait_for_steps(own, 3)
        order = authority.stop(f"slurm:{job}")
        harness.wait_until("Slurm to hold the job",
                           lambda: cluster.facts(job)["JobState"] == "SPECIAL_EXIT")
        before = last_steps(own)
        cluster("scontrol", "release", job)
        # Not in two minutes, and not before Slurm has forgotten that it revoked the credential.
        cluster("scontrol", "update", f"JobId={job}", "StartTime=now+5")
        refusal = f"stop {order[:16]} stands"
        harness.wait_until("the start to be refused",
                           lambda: refusal in own.with_suffix(".log").read_text(), timeout=200)
        ended = cluster.wait(job, "SPECIAL_EXIT", "REQUEUE_HOLD", "FAILED")
        assert int(ended["Restarts"]) >= 1
        assert ended["ExitCode"] == "86:0"
        assert last_steps(own) == before, "no step was trained"
