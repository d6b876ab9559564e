"""libtorch's own writers in a trainer without Python: refused while a signed stop stands."""

import pathlib
import subprocess

import harness
import pytest
import torch
from authority import Authority

import libaccount

SOURCE = harness.ROOT / "tests/e2e/cpp_writers"
MINOR = ".".join(torch.__version__.split(".")[:2])
ADAPTER = pathlib.Path(libaccount.__file__).parent / f"lib/torch-{MINOR}/libaccount_torch.so"
FILES = ["OutputArchive, file", "jit::Module, file", "jit::Module, mobile", "torch::save, file"]


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> pathlib.Path:
    """Of one source, `gated` and `not_gated`: the one is linked to account::torch first."""
    folder = tmp_path_factory.mktemp("cpp_writers")
    prefixes = f"{libaccount.cmake_prefix_path};{torch.utils.cmake_prefix_path}"
    for command in (["cmake", "-S", SOURCE, "-B", folder, "-G", "Ninja",
                     f"-DCMAKE_PREFIX_PATH={prefixes}"], ["cmake", "--build", folder]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return folder


@pytest.fixture
def authority(account: harness.Account, tmp_path: pathlib.Path) -> Authority:
    return Authority(account, tmp_path, recovery=("safe", "vault"))


class Trainer:
    def __init__(self, account: harness.Account, authority: Authority,
                 folder: pathlib.Path) -> None:
        self._account, self._authority, self._folder = account, authority, folder
        self.own, self.run = folder / "own", folder / "account/r"
        self.own.mkdir()
        self.kept = self.own / "kept"
        self.kept.write_bytes(b"as it was")

    def _job(self, program: pathlib.Path, *words: str, **environment: str) -> harness.Job:
        command = self._account.run_command(
            "--run", "r", "--authority", self._authority.path, "--dir", self._folder / "account",
            command=[program, self.own, *words])
        return harness.Job(command, self._folder / "log", **environment)

    @staticmethod
    def _report(job: harness.Job) -> dict[str, str]:
        return dict(line.split("\t", 1) for line in job.output().splitlines() if "\t" in line)

    def at_once(self, program: pathlib.Path) -> dict[str, str]:
        with self._job(program, "at-once") as job:
            job.wait(0)
            return self._report(job)

    def stopped(self, program: pathlib.Path, **environment: str) -> dict[str, str]:
        with self._job(program, **environment) as job:
            harness.wait_until("training", (self.own / "training").exists)
            self._authority.stop("job:r")
            job.wait(86)
            return self._report(job)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.own.iterdir())


@pytest.fixture
def trainer(account: harness.Account, authority: Authority, tmp_path: pathlib.Path) -> Trainer:
    return Trainer(account, authority, tmp_path)


def is_refused_everywhere(trainer: Trainer, report: dict[str, str]) -> None:
    assert report.pop("check_writers") == "ok"
    assert len(report) == 10
    for name, outcome in report.items():
        assert outcome.startswith("denied: "), (name, outcome)
        assert "PyTorchStreamWriter of " in outcome and "drill in the tests" in outcome
    assert str(trainer.own / FILES[0]) in report[FILES[0]]
    assert trainer.files() == ["kept", "training"]
    assert trainer.kept.read_bytes() == b"as it was"


def test_without_an_order_everything_is_written(build, trainer):
    report = trainer.at_once(build / "gated")
    assert report.pop("check_writers") == "ok"
    assert set(report.values()) == {"written"}, report
    assert trainer.files() == sorted([*FILES, "kept"])
    assert trainer.kept.read_bytes() != b"as it was"
    for name in FILES:
        assert torch.jit.load(trainer.own / name) is not None


def test_a_stopped_trainer_writes_nothing_but_its_locked_state(build, trainer, account):
    is_refused_everywhere(trainer, trainer.stopped(build / "gated"))
    ledger = "".join(path.read_text() for path in trainer.run.glob("node-*/ledger/*.jsonl"))
    assert ledger.count('"export_refused"') == 10
    assert ledger.count('"state_locked"') == 1
    assert ledger.count('"state_not_saved"') == 0
    assert account.verify(trainer.run)["ok"] is True


def test_linked_after_libtorch_it_says_that_its_writers_are_not_gated(build, trainer):
    report = trainer.stopped(build / "not_gated")
    assert "link account::torch before libtorch" in report.pop("check_writers")
    assert set(report.values()) == {"written"}, report


def test_preloaded_it_is_gated_however_it_was_linked(build, trainer):
    # The preloaded library is the job's alone, not that of what hosts it.
    wrapper = trainer.own.parent / "preload.sh"
    wrapper.write_text(f'#!/bin/sh\nLD_PRELOAD={ADAPTER} exec {build / "not_gated"} "$@"\n')
    wrapper.chmod(0o755)
    is_refused_everywhere(trainer, trainer.stopped(wrapper))
