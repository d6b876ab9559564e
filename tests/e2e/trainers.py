"""A framework's example on two ranks: as it stands, counted by a peer and by us, and stopped."""

import json
import pathlib
import sys

import harness
from authority import Authority

PEER = harness.JOBS / "peer_count.py"


class Example:
    """A script that takes --output FOLDER and leaves its losses in FOLDER/losses.jsonl."""

    def __init__(self, script: pathlib.Path, *arguments: object, **environment: str) -> None:
        self._words = [script, *arguments]
        self._environment = harness.QUIET_MACHINE | environment

    def command(self, output: pathlib.Path, *before: object, pause: float = 0.0) -> list[str]:
        words = [*before, *self._words, "--output", output]
        return harness.two_ranks(*words, *(["--pause", pause] if pause else []))

    def bare(self, folder: pathlib.Path) -> list[str]:
        """Its losses without us."""
        harness.run_job(self.command(folder / "bare"), folder / "bare.log", ACCOUNT="off",
                        **self._environment)
        return losses(folder / "bare")

    def peer(self, folder: pathlib.Path) -> tuple[int, int]:
        """Operations of both ranks by FlopCounterMode, and steps of one rank's optimizers."""
        harness.run_job(self.command(folder / "peer", PEER, folder), folder / "peer.log",
                        ACCOUNT="off", **self._environment)
        counts = [json.loads(path.read_text()) for path in folder.glob("rank-*.json")]
        assert len(counts) == 2
        return sum(count["operations"] for count in counts), counts[0]["steps"]

    def counted(self, account: harness.Account, folder: pathlib.Path, run: str = "r",
                expect: int = 0, *options: object) -> str:
        command = account.run_command("--run", run, *options, command=self.command(folder))
        return harness.run_job(command, folder.parent / f"{folder.name}.log", expect,
                               **self._environment)

    def stopped(self, account: harness.Account, authority: Authority, folder: pathlib.Path,
                after: int, *options: object) -> str:
        """Runs it slowly, stops it once `after` losses are there; returns the order's hash."""
        command = account.run_command("--run", "r", "--authority", authority.path, *options,
                                      command=self.command(folder, pause=0.3))
        log = folder.parent / f"{folder.name}.log"
        with harness.Job(command, log, **self._environment) as job:
            harness.wait_until("some steps", lambda: len(losses(folder)) >= after)
            order = authority.stop("r")
            job.wait(86)
        return order


def losses(folder: pathlib.Path) -> list[str]:
    path = folder / "losses.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def check_counting(account: harness.Account, example: Example, folder: pathlib.Path,
                   bare: list[str] | None = None, optimizers: int = 1) -> dict:
    """The same losses, all operations and steps that the peer counts, a ledger that verifies.

    Where the peer itself changes no digit of a loss, its losses are those without us.
    """
    operations, optimizer_steps = example.peer(folder)
    example.counted(account, folder / "counted")
    assert losses(folder / "counted") == (losses(folder / "peer") if bare is None else bare) != []
    report = account.verify(folder / "account" / "r")
    assert int(report["operations"]) == operations
    assert report["steps"] * optimizers == optimizer_steps
    assert report["gaps"] == [] and report["uncounted"] == []
    return report


def stop_lift_and_go_on(account: harness.Account, authority: Authority, example: Example,
                        folder: pathlib.Path, after: int) -> list[str]:
    """Stops it, sees it refused meanwhile, lets it go on after the lift; its losses at the stop."""
    order = example.stopped(account, authority, folder, after)
    stopped_at = losses(folder)
    assert not list(folder.glob("final*"))
    for checkpoint in folder.glob("checkpoint-*/"):
        assert (checkpoint / "trainer_state.json").exists(), "half a checkpoint"
    example.counted(account, folder, "r", 86, "--authority", authority.path)
    assert losses(folder) == stopped_at
    (locked,) = (folder.parent / "account" / "r" / "locked").iterdir()
    account("lift", order, "--because", "the drill is over", "--authority", authority.path,
            "--key", authority.key("ann"), "--key", authority.key("ben"),
            "--open", locked, "--recovery", authority.key("safe"))
    example.counted(account, folder, "r", 0, "--authority", authority.path)
    assert account.verify(folder.parent / "account" / "r")["ok"] is True
    return stopped_at


def stop_and_go_on_from_a_checkpoint(account: harness.Account, example: Example,
                                     folder: pathlib.Path, bare: list[str], epoch: int) -> dict:
    """Stops it in its second epoch, sees it refused meanwhile, lets it go on after the lift from
    what its own code saved at the end of the first; the report."""
    folder.mkdir()
    authority = Authority(account, folder)
    output = folder / "stopped"
    options = ("--authority", authority.path, "--dir", folder / "account")
    order = example.stopped(account, authority, output, epoch + 3, *options[2:])
    cut = losses(output)
    assert cut == bare[:len(cut)] and epoch < len(cut) < len(bare)
    assert not list(output.rglob("*.part"))
    example.counted(account, output, "r", 86, *options)
    assert losses(output) == cut
    authority.lift(order, "ann", "ben")
    example.counted(account, output, "r", 0, *options)
    assert losses(output) == cut + bare[epoch:]
    report = account.verify(folder / "account" / "r")
    assert report["ok"] is True
    return report


def check_own_launcher(account: harness.Account, script: pathlib.Path, digits: pathlib.Path,
                       folder: pathlib.Path, bare: list[str], operations: int) -> None:
    """A framework that starts the second rank itself, from within the first: counted as under
    torchrun, and both stop at one step."""
    def command(output: pathlib.Path, run: str, *options: object) -> list[str]:
        words = [sys.executable, str(script), str(digits), "--output", str(folder / output),
                 "--devices", "2"]
        return account.run_command("--run", run, "--dir", folder / "account", *options,
                                   command=words)

    harness.run_job(command("launched", "launched"), folder / "launched.log",
                    **harness.QUIET_MACHINE)
    assert losses(folder / "launched") == bare
    report = account.verify(folder / "account" / "launched")
    assert int(report["operations"]) == operations
    assert report["gaps"] == []

    authority = Authority(account, folder)
    slowly = [*command("ended", "ended", "--authority", authority.path), "--pause", "0.3"]
    with harness.Job(slowly, folder / "ended.log", **harness.QUIET_MACHINE) as job:
        harness.wait_until("some steps", lambda: len(losses(folder / "ended")) >= 5)
        order = authority.stop("ended")
        job.wait(86)
    (receipt,) = (authority.path / "receipts").glob(f"{order}.*.json")
    ranks = json.loads(receipt.read_text())["ranks"]
    assert [rank["rank"] for rank in ranks] == [0, 1]
    assert len({rank["last_step"] for rank in ranks}) == 1
