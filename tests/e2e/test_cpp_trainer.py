"""examples/cpp_trainer: built against the installed packages, run, and its evidence checked."""

import os
import pathlib
import subprocess

import documented
import harness
import pytest

SOURCE = harness.ROOT / "examples/cpp_trainer"
EPOCHS, TRAINED, HELD_OUT, BATCH = 6, 1500, 297, 32
# One image: a 3x3 convolution of 8 channels over 8x8 pixels; 8*4*4 features to 10 classes.
CONVOLUTION, LINEAR = 2 * 64 * 8 * 9, 2 * 128 * 10


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
    """Where it was built and run as its README says."""
    folder = tmp_path_factory.mktemp("cpp_trainer")
    assert "verified: every line" in documented.run_example(SOURCE, folder)
    return folder


@pytest.fixture(scope="module")
def trainer(home) -> pathlib.Path:
    return home / "build/cpp_trainer"


@pytest.fixture(scope="module")
def digits(home) -> pathlib.Path:
    return home / "digits.csv"


def run(trainer, *arguments, expect=0):
    environment = os.environ | {"ACCOUNT_BIN": harness.script("account")}
    done = subprocess.run([trainer, *arguments], capture_output=True, text=True, check=False,
                          env=environment, timeout=300)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def test_it_learns_and_its_evidence_equals_the_closed_formula(trainer, digits, account, tmp_path):
    output = run(trainer, digits, tmp_path / "runs").stdout
    last = [line for line in output.splitlines() if line.startswith("epoch")][-1]
    assert float(last.split()[-1]) > 0.9  # of ten digits
    (folder,) = (tmp_path / "runs").iterdir()
    report = account.verify(folder)
    assert {k: int(v) for k, v in report["by_category"].items()} == {
        "train": EPOCHS * TRAINED * (2 * CONVOLUTION + 3 * LINEAR),
        "evaluate": EPOCHS * HELD_OUT * (CONVOLUTION + LINEAR),
    }
    assert {k: int(v) for k, v in report["by_phase"].items()} == {
        "forward": EPOCHS * (TRAINED + HELD_OUT) * (CONVOLUTION + LINEAR),
        "backward": EPOCHS * TRAINED * (CONVOLUTION + 2 * LINEAR),
    }
    assert report["steps"] == EPOCHS * -(-TRAINED // BATCH)
    assert report["samples"] == str(EPOCHS * TRAINED)
    assert report["gaps"] == []


@pytest.mark.parametrize(("content", "fault"), [
    (None, "cannot be read"),
    ("1,2,3\n", "line 1 is not 64 pixels"),
    ("0," * 64 + "11\n", "line 1 is not 64 pixels"),
    ("0," * 64 + "x\n", "line 1 is not 64 pixels"),
    ("0," * 64 + "1\n", "too few digits"),
])
def test_a_file_that_is_none_of_ours_is_refused_in_one_line(trainer, tmp_path, content, fault):
    path = tmp_path / "digits.csv"
    if content is not None:
        path.write_text(content)
    done = run(trainer, path, tmp_path / "runs", expect=1)
    (line,) = done.stderr.splitlines()
    assert str(path) in line
    assert fault in line
    assert not (tmp_path / "runs").exists()


def test_a_directory_that_cannot_be_written_is_refused_in_one_line(trainer, digits, tmp_path):
    (tmp_path / "file").write_text("")
    done = run(trainer, digits, tmp_path / "file", expect=1)
    assert str(tmp_path / "file") in done.stderr.splitlines()[-1]
