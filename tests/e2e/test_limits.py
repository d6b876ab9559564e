"""A limit of the job's own: DDP ranks under torchrun stop or wait at one step by themselves."""

import json
import pathlib
import sys

import harness
import pytest
from test_stop_ranks import MANY, PLAIN_DDP, last_steps, ledger_lines


@pytest.fixture
def limit(tmp_path: pathlib.Path) -> str:
    """A step of a rank of plain_ddp is 2 * 512 operations at least: some tens of steps."""
    path = tmp_path / "own.json"
    path.write_text(json.dumps({
        "format": "account-policy-1", "id": "own", "title": "Own limit", "jurisdiction": "here",
        "status": "in_force", "effective_from": "2020-01-01", "citation": "the tests",
        "grade": "primary", "deadlines": [], "notes": [],
        "rules": [{"name": "all", "applies_to": "every run", "operator": ">=",
                   "operations": "100000", "cumulative": False,
                   "counts": {"categories": ["train"], "phases": ["forward", "backward"]}}]}))
    return str(path)


def job(account: harness.Account, limit: str, own: pathlib.Path, *words: object) -> list[str]:
    return account.run_command("--run", "r", "--policy", limit,
                               command=harness.two_ranks(PLAIN_DDP, "--own", own, *words))


def test_it_stops_by_itself_saves_and_starts_again_once_acknowledged(account, limit, tmp_path):
    own, run = tmp_path / "own", tmp_path / "account/r"
    log = harness.run_job(job(account, limit + ":stop@0.9", own, "--steps", MANY, "--catch"),
                          tmp_path / "log", expect=3)
    assert "own, rule 'all'" in log
    steps = last_steps(own)
    assert steps["0"] == steps["1"], "both at the same step"
    for rank in ("0", "1"):
        outcomes = json.loads((own / f"exports-{rank}").read_text())["outcomes"]
        assert "ExportDenied" not in outcomes.values(), "a limit shuts no exports"
    crossed, = (line for line in ledger_lines(run) if line["type"] == "limit")
    assert crossed["limit"] == "own:stop@0.9"
    assert int(crossed["counted"]) >= 90_000

    words = ("--run", "r", "--policy", limit + ":stop@0.9")
    assert "own:stop@0.9" in account("may-start", *words, expect=3).stderr
    refused = harness.run_job(job(account, limit + ":stop@0.9", tmp_path / "no"),
                              tmp_path / "refused", expect=3)
    assert "account policy acknowledge" in refused
    assert not (tmp_path / "no").exists(), "the command was not started"

    account("policy", "acknowledge", run, "--by", "A. Officer", "--reason", "reviewed")
    account("may-start", *words)
    again = tmp_path / "again"
    harness.run_job(job(account, limit + ":stop@0.9", again, "--steps", 3), tmp_path / "resumed")
    assert set(last_steps(again).values()) == {3}
    said, = (line for line in ledger_lines(run) if line["type"] == "acknowledged")
    assert (said["by"], said["reason"]) == ("A. Officer", "reviewed")
    assert account.verify(run)["ok"] is True


def test_it_waits_and_goes_on(account, limit, tmp_path):
    own, run = tmp_path / "own", tmp_path / "account/r"
    command = job(account, limit + ":pause@0.9", own, "--steps", 400)
    with harness.Job(command, tmp_path / "log") as training:
        harness.wait_until("the job to wait", lambda: any(
            live["waits"] for live in account.live(tmp_path / "account")))
        harness.wait_until("both at an edge", lambda: any(
            line["type"] == "quiet" for line in ledger_lines(run)))
        held = last_steps(own)
        assert held["0"] == held["1"] < 400
        account("policy", "acknowledge", run, "--by", "A. Officer", "--reason", "reviewed")
        training.wait()
    assert set(last_steps(own).values()) == {400}
    assert account.verify(run)["steps"] == 400


def test_an_uncaught_limit_is_exit_code_3(account, limit, tmp_path):
    program = ("import libaccount as account\n"
               "assert issubclass(account.ThresholdReached, SystemExit)\n"
               "import torch, time\n"
               f"run = account.start(run='one', dir={str(tmp_path / 'account')!r},"
               f" policies={limit + ':stop'!r})\n"
               "a = torch.ones(100, 100)\n"
               "while True:\n"
               "    try: a @ a; run.step(); time.sleep(0.01)\n"
               "    except Exception: print('eaten')\n")
    log = harness.run_job([sys.executable, "-c", program], tmp_path / "log", expect=3)
    assert "eaten" not in log
