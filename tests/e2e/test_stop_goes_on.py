"""A stopped job saves its state locked, and after the lift goes on as if nothing had happened."""

import base64
import json
import pathlib
import sys
from collections.abc import Callable

import harness
import pytest
import torch
from authority import Authority

sys.path.insert(0, str(harness.ROOT / "tests/independent"))

import locked

GOES_ON = str(harness.JOBS / "goes_on.py")
STEPS = 60


@pytest.fixture
def authority(account: harness.Account, tmp_path: pathlib.Path) -> Authority:
    return Authority(account, tmp_path, recovery=("safe", "vault"))


class TwoNodes:
    """Four gloo ranks on two "nodes", each under `account run -- torchrun --max-restarts 3`."""

    def __init__(self, account: harness.Account, authority: Authority, tmp_path: pathlib.Path,
                 name: str, own: pathlib.Path, pause: float = 0.0) -> None:
        port = harness.free_port()
        self.jobs = []
        for node in range(2):
            command = account.run_command(
                "--run", name, "--node", "ab"[node], "--authority", authority.path,
                command=harness.torchrun(
                    "--nnodes", 2, "--node-rank", node, "--nproc-per-node", 2, "--max-restarts", 3,
                    "--master-addr", "127.0.0.1", "--master-port", port,
                    GOES_ON, "--own", own, "--steps", STEPS, "--pause", pause))
            self.jobs.append(harness.Job(command, tmp_path / f"log-{own.name}-{node}"))

    def __enter__(self) -> "TwoNodes":
        return self

    def __exit__(self, *error: object) -> None:
        for job in self.jobs:
            job.__exit__(*error)

    def wait(self, expect: int) -> None:
        for job in self.jobs:
            job.wait(expect)


def losses(own: pathlib.Path) -> dict[int, dict[int, str]]:
    """By rank and step. Fails where a step of a rank was trained twice."""
    found: dict[int, dict[int, str]] = {}
    for path in own.glob("losses-*"):
        steps = found.setdefault(int(path.name.split("-")[1]), {})
        for line in path.read_text().splitlines():
            step, loss = line.split()
            assert int(step) not in steps, f"{path.name} has step {step} twice"
            steps[int(step)] = loss
    return found


def ledger_text(run: pathlib.Path) -> str:
    return "".join(path.read_text() for path in run.glob("node-*/ledger/*.jsonl"))


def train_until_stopped(job: TwoNodes | harness.Job, own: pathlib.Path, ranks: int,
                        stop: Callable[[], str]) -> str:
    with job:
        harness.wait_until(f"{ranks} ranks to train", lambda: len(losses(own)) == ranks and min(
            map(len, losses(own).values())) >= 5)
        order = stop()
        job.wait(86)
    return order


def one_node(account: harness.Account, authority: Authority, log: pathlib.Path, own: pathlib.Path,
             steps: int = 10**6, run: str = "r", **environment: str) -> harness.Job:
    """Two ranks under one torchrun."""
    command = account.run_command(
        "--run", run, "--authority", authority.path,
        command=harness.two_ranks(GOES_ON, "--own", own, "--steps", steps, "--pause", 0.02))
    return harness.Job(command, log, **environment)


def test_it_goes_on_from_the_very_step_with_the_losses_of_an_uninterrupted_run(
        account, authority, tmp_path):
    own = tmp_path / "own"
    order = train_until_stopped(TwoNodes(account, authority, tmp_path, "r", own, pause=0.05), own,
                                4, lambda: authority.stop("job:r"))
    edges = {rank: len(steps) for rank, steps in losses(own).items()}
    assert len(edges) == 4 and len(set(edges.values())) == 1, edges
    (edge,) = set(edges.values())
    assert edge < STEPS
    run = tmp_path / "account/r"
    (folder,) = (run / "locked").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        f"rank-{rank}.locked" for rank in range(4)]
    assert ledger_text(run).count('"state_locked"') == 4
    assert account.verify(run)["ok"] is True

    # Opened, but not lifted: no start.
    account("order", "unlock", folder, "--recovery", authority.key("safe"))
    with TwoNodes(account, authority, tmp_path, "r", own) as job:
        job.wait(86)
    assert {rank: len(steps) for rank, steps in losses(own).items()} == edges

    authority.lift(order, "ann", "cid")
    with TwoNodes(account, authority, tmp_path, "r", own) as job:
        job.wait(0)
    for rank in range(4):
        assert (own / f"begins-{rank}").read_text().split() == ["0", str(edge)]

    whole = tmp_path / "whole"
    with TwoNodes(account, authority, tmp_path, "uninterrupted", whole) as job:
        job.wait(0)
    assert losses(own) == losses(whole)
    assert all(len(steps) == STEPS for steps in losses(own).values())


def test_nothing_of_it_is_readable_before_it_is_opened(account, authority, tmp_path):
    own = tmp_path / "own"
    order = train_until_stopped(one_node(account, authority, tmp_path / "log", own), own, 2,
                                lambda: authority.stop("job:r"))
    (folder,) = (tmp_path / "account/r/locked").iterdir()
    for path in folder.iterdir():
        for plain in (b"account-state", b"net", b"optimizer", b"archive", b"PK\x03\x04"):
            assert plain not in path.read_bytes().split(b'"sealed"')[1], path
    file = folder / "rank-0.locked"
    refused = account("order", "unlock", file, "--recovery", authority.key("ann"), expect=None)
    assert refused.returncode == 2 and "not sealed to key" in refused.stderr

    # A lift that was to open it and cannot is not delivered.
    delivered = sorted((authority.path / "orders").iterdir())
    account("lift", order, "--because", "the drill is over", "--authority", authority.path,
            "--key", authority.key("ann"), "--key", authority.key("cid"),
            "--open", folder, "--recovery", authority.key("ann"), expect=2)
    assert sorted((authority.path / "orders").iterdir()) == delivered

    # Lifted, but locked: the job says what is missing, and does not begin anew.
    authority.lift(order, "ann", "cid")
    with one_node(account, authority, tmp_path / "log-2", own) as job:
        job.wait(1)
        assert "account order unlock" in job.output()
    assert (own / "begins-0").read_text().split() == ["0"]

    plain = tmp_path / "rank-0.pt"
    account("order", "unlock", file, "--recovery", authority.key("vault"), "--out", plain)
    seed = base64.b64decode(json.loads(authority.key("vault").read_text())["seed"])
    assert plain.read_bytes() == locked.read(file.read_bytes(), seed)[1]
    saved = torch.load(plain, weights_only=True)["state"]
    assert saved["done"] == len(losses(own)[0]) and "0.weight" in saved["net"]

    # Changed anywhere, cut anywhere: it opens nothing and leaves nothing.
    whole = file.read_bytes()
    bent = tmp_path / "bent.locked"
    for spoiled in (whole[:-1], whole[:len(whole) // 2], whole + b"x", whole[:40],
                    whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]):
        bent.write_bytes(spoiled)
        done = account("order", "unlock", bent, "--recovery", authority.key("safe"), "--out",
                       tmp_path / "out", expect=None)
        assert done.returncode == 2 and str(bent) in done.stderr, done.stderr
        assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()


def test_a_stop_with_grace_none_and_an_authority_without_recovery_keys_save_nothing(
        account, authority, tmp_path):
    bare = Authority(account, tmp_path / "bare")
    for name, who, words in (("forbidden", authority, ("--grace", "none")), ("bare", bare, ())):
        own = tmp_path / f"own-{name}"
        job = one_node(account, who, tmp_path / f"log-{name}", own, run=name)
        order = train_until_stopped(
            job, own, 2, lambda: who.stop(f"job:{name}", *words))  # noqa: B023
        shown = account("order", "show", order, "--authority", who.path).stdout
        assert ("nothing may be saved" in shown) == (who is authority)
        run = tmp_path / "account" / name
        assert not (run / "locked").exists()
        assert ledger_text(run).count('"state_not_saved"') == 2


def test_what_cannot_be_saved_does_not_hinder_the_stop(account, authority, tmp_path):
    """The state of one rank raises: the other saves, both end with 86, and the ledger has it."""
    own = tmp_path / "own"
    job = one_node(account, authority, tmp_path / "log", own, GOES_ON_FAILS_AT_RANK="1")
    train_until_stopped(job, own, 2, lambda: authority.stop("job:r"))
    text = ledger_text(tmp_path / "account/r")
    assert text.count('"state_not_saved"') == 1 and "no room for this state" in text
    assert text.count('"state_locked"') == 1
    (folder,) = (tmp_path / "account/r/locked").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "rank-0.locked", "rank-1.locked.given-up"]


def test_a_root_that_the_loss_of_one_key_would_cripple_is_refused_by_lint(
        account, authority, tmp_path):
    frail = account("root", "lint", authority.path, expect=1)
    assert "one stop key" in frail.stdout and "every root key is needed" in frail.stdout
    keys = tmp_path / "more"
    keys.mkdir()
    for name in ("night", "root2"):
        account("key", "new", name, "--dir", keys)
    account("root", "next", authority.path,
            "--stop", authority.key("officer", "pub"), "--stop", keys / "night.pub",
            "--root", authority.key("root", "pub"), "--root", keys / "root2.pub",
            "--root-threshold", 1, "--sign", authority.key("root"))
    sound = json.loads(account("root", "lint", authority.path, "--json").stdout)
    assert sound["may_still_be_lost"] == {"root": 1, "stop": 1, "lift": 1, "recovery": 1}
    account("root", "next", authority.path, "--recovery", authority.key("safe", "pub"),
            "--sign", authority.key("root"))
    assert "one recovery key" in account("root", "lint", authority.path, expect=1).stdout
