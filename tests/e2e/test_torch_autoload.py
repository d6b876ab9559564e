"""Zero-line start: ACCOUNT=on counts a script that has never heard of libaccount."""

import json
import os
import pathlib
import subprocess
import sys

import harness
import pytest

SCRIPT = """
import torch
net = torch.nn.Linear(8, 8, bias=False)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    net(torch.ones(4, 8)).sum().backward()
    opt.step()
"""
EXPECTED = 3 * 2 * (2 * 4 * 8 * 8)

ASK = """
import libaccount, json
t = libaccount.start().totals()
print(json.dumps([t.executed, t.steps]))
"""

DDP = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 8, bias=False))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    net(torch.ones(4, 8)).sum().backward()
    opt.step()
del net  # before its group goes: jobs/parallel_step.py says why
dist.destroy_process_group()
"""


def python(code, *, on=True, **environment):
    env = os.environ | environment
    if on:
        env["ACCOUNT"] = "on"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_a_script_is_counted_without_a_line_of_code():
    done = python(SCRIPT + ASK)
    assert json.loads(done.stdout) == [EXPECTED, 3]


def test_without_the_switch_nothing_is_loaded():
    done = python(SCRIPT + "import sys; print('libaccount._core' in sys.modules)", on=False)
    assert done.stdout.split() == ["False"]
    assert done.stderr == ""
    assert not pathlib.Path(os.environ["ACCOUNT_DIR"]).exists()


def test_a_start_that_fails_says_so_in_one_line_and_training_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    done = python(SCRIPT + "print('trained')", ACCOUNT_DIR=str(tmp_path / "file" / "runs"))
    assert done.stdout == "trained\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("account: counting is off: ")


def test_data_loader_workers_are_left_alone(tmp_path):
    code = """
import torch
class Data(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): return torch.ones(4, 8) @ torch.ones(8, 8)
if __name__ == "__main__":
    for context in ("fork", "spawn"):
        loader = torch.utils.data.DataLoader(Data(), num_workers=2, multiprocessing_context=context)
        assert sum(float(batch.sum()) for batch in loader) == 4 * 4 * 8 * 8
    import libaccount
    print(libaccount.start().totals().executed)
"""
    script = tmp_path / "load.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"ACCOUNT": "on"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "0\n"


@pytest.mark.parametrize("starts", [False, True], ids=["silent", "started"])
def test_a_spawned_process_that_trains_is_counted_if_it_says_so_and_named_if_not(tmp_path, starts):
    body = SCRIPT.replace("\n", "\n    ")
    begin = "import libaccount; libaccount.start()" if starts else "pass"
    script = tmp_path / "spawn.py"
    script.write_text(
        f"import torch\ndef work(rank):\n    {begin}\n    {body}\n"
        "if __name__ == '__main__':\n    torch.multiprocessing.spawn(work, nprocs=1)\n"
    )
    log = harness.run_job([sys.executable, str(script)], tmp_path / "log", ACCOUNT="on")
    assert ("trains and is not counted" in log) is not starts


def test_two_ranks_under_torchrun_are_one_run(tmp_path, account):
    script = tmp_path / "train.py"
    script.write_text(DDP)
    harness.run_job(harness.two_ranks(script), tmp_path / "log", ACCOUNT="on", ACCOUNT_RUN="ddp")
    report = account.verify(pathlib.Path(os.environ["ACCOUNT_DIR"]) / "ddp")
    assert report["ok"] is True
    assert int(report["operations"]) == 2 * EXPECTED


NO_TORCH = """
import sys
sys.modules["torch"] = None
"""


@pytest.mark.parametrize(
    "use",
    ["account.start()", "account.count().__enter__()", "account.category('train').__enter__()"],
)
def test_without_torch_the_package_imports_and_says_what_is_missing(use):
    done = python(
        NO_TORCH + f"import libaccount as account\nprint(account.__version__)\n"
        f"try: {use}\nexcept account.Error as e: print(e.code, e)",
        on=False,
    )
    version, error = done.stdout.splitlines()
    assert version.count(".") == 2
    assert error.startswith("unavailable PyTorch cannot be imported")


def test_another_minor_version_of_torch_is_refused_in_words():
    done = python(
        "import torch; torch.__version__ = '2.99.1+cpu'\n"
        "import libaccount as account\n"
        "try: account.start()\nexcept account.Error as e: print(e)",
        on=False,
    )
    assert "no torch adapter for torch 2.99.1+cpu (there is: 2." in done.stdout
    assert "run `account doctor --build` before the job starts" in done.stdout


@pytest.mark.parametrize(("authority", "code"), [("", 0), ("/srv/acme", 1)])
def test_a_package_that_cannot_be_imported_stops_only_a_job_that_is_to_obey(
        tmp_path, authority, code):
    (tmp_path / "libaccount").mkdir()
    (tmp_path / "libaccount/__init__.py").write_text("raise ImportError('half installed')\n")
    done = subprocess.run(
        [sys.executable, "-c", "import torch; print('trained')"], capture_output=True, text=True,
        timeout=120, check=False, env=os.environ | {
            "PYTHONPATH": str(tmp_path), "ACCOUNT": "on", "ACCOUNT_AUTHORITY": authority})
    assert done.returncode == code
    assert done.stderr.count("half installed") == 1
    assert ("trained" in done.stdout) == (code == 0)
