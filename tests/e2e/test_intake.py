"""What ranks say they took in, samples and tokens: exact, over ranks, crashes and restarts."""

import json
import sys
import time

import harness
import pytest
import torch

import libaccount
from libaccount._intake import Intake

sys.path.insert(0, str(harness.ROOT / "tests/independent"))
import verify

JOB = harness.JOBS / "takes_in.py"
ROWS = 4 + 5  # of both ranks in a step
OPERATIONS = 2 * 8**3  # of a rank in a step


def test_ranks_and_restarts_add_up_in_all_that_shows_totals(account, tmp_path):
    command = harness.torchrun("--standalone", "--nproc-per-node", 2, "--max-restarts", 1, JOB, 5,
                               "--dies", tmp_path)
    harness.run_job(account.run_command("--run", "r", "--metrics", tmp_path, command=command),
                    tmp_path / "log")
    run = tmp_path / "account/r"
    samples, tokens = (3 + 5) * ROWS, (3 + 5) * ROWS * 128
    report = account.verify(run)
    assert (report["samples"], report["tokens"]) == (str(samples), str(tokens))
    assert sorted(process["tokens"] for process in report["incarnations"]) == sorted(
        str(steps * rows * 128) for steps in (3, 5) for rows in (4, 5))
    assert verify.taken_in(run) == {"samples": samples, "tokens": tokens}
    assert f"took in {samples} samples, {tokens} tokens" in account("verify", run).stdout
    assert f"{samples} samples, {tokens} tokens" in account("status", run).stdout
    (finished,) = json.loads(account("status", run, "--json").stdout)["finished"]
    assert finished["tokens"] == str(tokens)
    (metrics,) = (path.read_text() for path in tmp_path.glob("*.prom"))
    node = report["nodes"][0]["node"]
    assert f'account_tokens_total{{run="r",node="{node}"}} {tokens}\n' in metrics

    account("report", run, "--out", tmp_path / "report")
    page = json.loads((tmp_path / "report/report.json").read_text())
    assert (page["samples"], page["tokens"]) == (str(samples), str(tokens))
    assert page["operations_per_token"] == str((3 + 5) * 2 * OPERATIONS // tokens)
    assert f"{samples} samples, {tokens} tokens" in (tmp_path / "report/summary.md").read_text()
    assert "training operations a token" in (tmp_path / "report/report.html").read_text()

    (tmp_path / "weights").mkdir()
    torch.save({}, tmp_path / "weights/model.pt")
    account("record", run, "--weights", tmp_path / "weights", "--kind", "pretraining", "--card",
            "--disclose", "steps")
    assert f"{tokens} tokens" in (tmp_path / "weights/README.md").read_text()


def test_a_running_job_says_how_many_tokens_it_takes_a_second(account, tmp_path):
    command = account.run_command("--run", "r", command=[sys.executable, str(JOB), "1000000",
                                                         "--pause", "0.05"])
    with harness.Job(command, tmp_path / "log"):
        (live,) = harness.wait_until("tokens", lambda: [
            live for live in account.live(tmp_path / "account")
            if live.get("tokens_per_second", "0") != "0"])
        assert int(live["samples"]) * 128 == int(live["tokens"]) > 0
        assert " tokens a second\n" in account("status", "r").stdout


def test_the_run_says_it_back(account, tmp_path):
    with libaccount.start(dir=tmp_path, run="r") as run:
        run.processed(tokens=100)
        with libaccount.count() as c:
            run.step(samples=2, tokens=28)
        assert (c.totals().samples, c.totals().tokens) == (2, 28)
        assert (run.totals().samples, run.totals().tokens) == (2, 128)
        began = time.monotonic()
        while run.job() is None or run.job().tokens < 128:
            assert time.monotonic() - began < 60
            time.sleep(0.1)
        assert (run.job().samples, run.job().tokens) == (2, 128)
        for wrong in ({"samples": -1}, {"tokens": -1}):
            with pytest.raises(libaccount.Error, match="never a negative number"):
                run.processed(**wrong)
        with pytest.raises(TypeError):
            run.processed(tokens=1.5)
    assert account.verify(tmp_path / "r")["tokens"] == "128"


def test_a_job_that_says_nothing_has_no_word_of_it_anywhere(account, tmp_path):
    with libaccount.start(dir=tmp_path, run="r") as run:
        torch.ones(2, 2) @ torch.ones(2, 2)
        run.step()
    report = account.verify(tmp_path / "r")
    assert "tokens" not in report and "samples" not in report
    assert "took in" not in account("verify", tmp_path / "r").stdout
    assert "token" not in account("status", tmp_path / "r").stdout


class Edge:
    """What was added until each edge, of an intake that closes steps."""

    def __init__(self) -> None:
        self.added: list[tuple[int, int] | str] = []
        self.intake = Intake(lambda *size: self.added.append(size))
        self.step = self.intake.taken_before(lambda: self.added.append("edge"))


def test_frameworks_are_heard_at_the_edge_and_of_several_the_outermost():
    edge = Edge()
    edge.intake.offer("accelerate", 4, 0)
    edge.intake.offer("transformers", 2, 64)
    edge.intake.offer("transformers", 2, 64)
    assert edge.added == []
    edge.step()
    edge.step()
    edge.intake.offer("accelerate", 3, 0)
    edge.intake.take()  # as at the end of the run
    assert edge.added == [(4, 128), "edge", "edge", (3, 0)]


def test_a_job_that_says_it_itself_is_not_doubled_by_frameworks():
    edge = Edge()
    edge.intake.offer("transformers", 2, 64)
    edge.intake.say(0, 60)
    edge.step()
    edge.intake.offer("transformers", 2, 64)
    edge.step()
    assert edge.added == [(0, 60), "edge", "edge"]
