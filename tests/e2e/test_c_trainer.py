"""examples/c_trainer: C alone against the installed package; counted, stopped, and gone on."""

import importlib.util
import os
import pathlib
import shutil
import subprocess

import documented
import harness
import pytest
from authority import Authority

SOURCE = harness.ROOT / "examples/c_trainer"
STEPS, EPOCHS, BATCH, PIXELS, DIGITS = 56, 3, 32, 64, 10
A_STEP = 2 * (2 * BATCH * PIXELS * DIGITS)  # a product forward, one backward


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
    """Where it was built and run as its README says."""
    folder = tmp_path_factory.mktemp("c_trainer")
    (package,) = importlib.util.find_spec("sklearn").submodule_search_locations
    shutil.copy(pathlib.Path(package, "datasets/data/digits.csv.gz"), folder)
    assert "verified: every line" in documented.run_example(SOURCE, folder)
    return folder


@pytest.fixture(scope="module")
def trainer(home) -> pathlib.Path:
    return home / "build/c_trainer"


@pytest.fixture(scope="module")
def digits(home) -> pathlib.Path:
    return home / "digits.csv"


def steps(output: str) -> list[str]:
    return [line for line in output.splitlines() if line[:1].isdigit()]


def test_it_counts_what_it_says_and_learns(account, trainer, digits, tmp_path):
    weights = tmp_path / "digits.weights"
    said = harness.run_job(account.run_command("--run", "r", command=[
        str(trainer), str(digits), str(weights)]), tmp_path / "log")
    assert len(steps(said)) == EPOCHS * STEPS
    assert float(steps(said)[-1].split()[1]) < 0.5 < float(steps(said)[0].split()[1])
    assert f"operations {EPOCHS * STEPS * A_STEP}\n" in said
    assert weights.stat().st_size == 4 * PIXELS * DIGITS
    report = account.verify(tmp_path / "account/r")
    assert report["by_category"] == {"train": str(EPOCHS * STEPS * A_STEP)}
    assert report["by_phase"] == {"forward": str(EPOCHS * STEPS * A_STEP // 2),
                                  "backward": str(EPOCHS * STEPS * A_STEP // 2)}
    assert report["by_dtype"] == {"float32": str(EPOCHS * STEPS * A_STEP)}
    assert (report["steps"], report["gaps"]) == (EPOCHS * STEPS, [])
    assert report["samples"] == str(EPOCHS * STEPS * BATCH)
    assert "tokens" not in report


def test_it_starts_a_keeper_of_its_own_and_does_nothing_when_off(
        account, trainer, digits, tmp_path):
    for name, environment in (("own", {"ACCOUNT_BIN": account.path}), ("off", {"ACCOUNT": "off"})):
        harness.run_job([str(trainer), str(digits), str(tmp_path / name), "1"],
                        tmp_path / f"{name}.log", ACCOUNT_RUN=name, **environment)
    assert account.verify(tmp_path / "account/own")["steps"] == STEPS
    assert not (tmp_path / "account/off").exists()


def test_it_stops_is_refused_and_goes_on_to_the_same_numbers(
        account, trainer, digits, tmp_path):
    bare = harness.run_job([str(trainer), str(digits), str(tmp_path / "bare")],
                           tmp_path / "bare.log", ACCOUNT="off")
    authority = Authority(account, tmp_path, ("safe",))
    weights = tmp_path / "weights"
    log = tmp_path / "log"

    def command(*more: str) -> list[str]:
        return account.run_command("--run", "r", "--authority", authority.path, command=[
            str(trainer), str(digits), str(weights), str(EPOCHS), *more])
    with harness.Job(command("30000"), log) as job:
        harness.wait_until("some steps", lambda: len(steps(job.output())) > 20)
        order = authority.stop("r")
        job.wait(86)
        cut = steps(job.output())
    assert not weights.exists()
    assert harness.run_job(command(), tmp_path / "refused.log", 86).count("\n0 ") == 0
    (locked,) = (tmp_path / "account/r/locked").iterdir()
    account("lift", order, "--because", "over", "--authority", authority.path,
            "--key", authority.key("ann"), "--key", authority.key("ben"),
            "--open", locked, "--recovery", authority.key("safe"))
    rest = steps(harness.run_job(command(), tmp_path / "rest.log"))
    assert cut + rest == steps(bare)
    assert weights.read_bytes() == (tmp_path / "bare").read_bytes()
    assert account.verify(tmp_path / "account/r")["ok"] is True


def test_what_cannot_be_used_is_said_in_one_line(account, trainer, digits, tmp_path):
    (tmp_path / "file").write_text("")
    for environment, says in (({"ACCOUNT_DIR": str(tmp_path / "file")}, str(tmp_path / "file")),
                              ({"ACCOUNT_SETTING": "halt"}, "'halt' is no setting"),
                              ({"ACCOUNT_PARENTS": "/none.safetensors"}, "/none.safetensors")):
        done = subprocess.run([trainer, digits, tmp_path / "weights"], text=True, timeout=60,
                              env=os.environ | {"ACCOUNT_BIN": account.path} | environment,
                              capture_output=True, check=False)
        assert done.returncode == 1
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("c_trainer"))
        assert says in line and "; " in line
