"""The export gate in one process: absent without an authority, open with one, shut by an order."""

import json
import os
import pathlib
import subprocess
import sys

import harness
import pytest
from authority import Authority

EXPORTS = str(harness.JOBS / "exports.py")


@pytest.fixture
def authority(account: harness.Account, tmp_path: pathlib.Path) -> Authority:
    return Authority(account, tmp_path)


def python(*words: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, *words], env=os.environ | environment, text=True,
                          capture_output=True, timeout=180, check=False)
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def exports(tmp_path: pathlib.Path, *words: str, **environment: str) -> dict:
    done = python(EXPORTS, str(tmp_path / "saved"), *words, **environment)
    return json.loads(done.stdout.splitlines()[-1])


def test_without_an_authority_no_function_is_replaced(tmp_path):
    report = exports(tmp_path)
    assert report["patched"] == []
    assert set(report["outcomes"].values()) == {"written"}


@pytest.mark.parametrize("when", ["early", "late"])
def test_with_an_authority_and_no_order_everything_is_written(authority, tmp_path, when):
    report = exports(tmp_path, when, ACCOUNT_AUTHORITY=str(authority.path))
    assert "torch._C.PyTorchFileWriter" in report["patched"]
    assert "safetensors.serialize_file" in report["patched"]
    assert set(report["outcomes"].values()) == {"written"}
    assert not {"sent", "ExportDenied"} & set(report["uploads"].values()), report["uploads"]


def test_with_an_authority_and_no_order_programs_are_compiled_ahead_of_time(authority, tmp_path):
    report = exports(tmp_path, "late", "compiling", ACCOUNT_AUTHORITY=str(authority.path))
    assert len(report["outcomes"]) >= 3
    assert set(report["outcomes"].values()) == {"written"}, report["outcomes"]
    assert {"AOTInductor-package.pt2", "AOTInductor-packaging.pt2"} < set(report["files"])


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_job_that_swallows_its_refused_start_exports_nothing(authority, tmp_path, when):
    authority.stop("all")
    report = exports(tmp_path, when, ACCOUNT_AUTHORITY=str(authority.path))
    assert "drill in the tests" in report["started"]
    assert set(report["outcomes"].values()) == {"ExportDenied"}, report["outcomes"]
    assert set(report["uploads"].values()) == {"ExportDenied"}, report["uploads"]
    assert report["files"] == ["written before"]
    assert report["kept"] is True


@pytest.mark.parametrize("when", ["early", "late"])
def test_nothing_is_compiled_ahead_of_time_once_a_stop_stands(authority, tmp_path, when):
    authority.stop("all")
    compiler = tmp_path / "compiler"
    report = exports(tmp_path, when, "compiling", ACCOUNT_AUTHORITY=str(authority.path),
                     TORCHINDUCTOR_CACHE_DIR=str(compiler))
    assert len(report["outcomes"]) >= 3
    assert set(report["outcomes"].values()) == {"ExportDenied"}, report["outcomes"]
    assert report["files"] == ["written before"]
    left = [path for path in compiler.rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize("code", [
    "import torch",
    "try: import torch\nexcept BaseException: pass",
    "import threading as t; x = t.Thread(target=__import__, args=['torch']); x.start(); x.join()",
], ids=["plain", "swallowed", "in a thread"])
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_refused_zero_line_start_ends_the_process(authority, code, rank):
    authority.stop("all")
    done = python("-c", f"print('before')\n{code}\nprint('after')", expect=86, LOCAL_RANK=rank,
                  ACCOUNT="on", ACCOUNT_AUTHORITY=str(authority.path))
    assert done.stdout == "before\n"
    assert sum("no start: " in line for line in done.stderr.splitlines()) == 1
    assert "drill in the tests" in done.stderr


def test_an_authority_that_cannot_be_read_allows_no_zero_line_start(tmp_path):
    done = python("-c", "import torch; print('trains')", expect=1, ACCOUNT="on",
                  ACCOUNT_AUTHORITY=str(tmp_path / "nothing-here"))
    assert done.stdout == ""
    assert "nothing-here" in done.stderr


STOPPED_BY = """
import sys, time, torch, libaccount as account
run = account.start(run="r", authority=sys.argv[1], setting="stop")
weight = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
{arrange}
print("trains", flush=True)
try:
    while True:
        {step}
        time.sleep(0.01)
except account.ShutdownOrdered as order:
    print(type(order).__mro__[1].__name__, order.code, order)
    raise
"""
IN_BACKWARD = """
weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())
"""


@pytest.mark.parametrize(("arrange", "step"), [
    ("", "run.step()"),
    ("", "weight.grad = torch.ones(1); optimizer.step()"),
    (IN_BACKWARD, "(weight * 2).sum().backward()"),
], ids=["run.step", "optimizer.step", "optimizer in backward"])
def test_a_stop_comes_out_of_the_step(authority, tmp_path, arrange, step):
    script = tmp_path / "train.py"
    script.write_text(STOPPED_BY.format(arrange=arrange, step=step))
    with harness.Job([sys.executable, str(script), str(authority.path)], tmp_path / "log") as job:
        harness.wait_until("the job to train", lambda: "trains" in job.output())
        authority.stop("job:r")
        job.wait(86)
        assert "SystemExit 86 stopped at step " in job.output()
        assert "drill in the tests" in job.output()


def test_the_setting_stop_without_an_authority_is_refused():
    done = python("-c", "import libaccount as account\n"
                  "try: account.start(setting='stop')\n"
                  "except account.Error as error: print(error.code, error)")
    assert done.stdout.startswith("invalid_argument setting 'stop' needs an authority")
