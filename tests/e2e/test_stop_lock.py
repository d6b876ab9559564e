"""setting="lock": a stopped process can write nothing any more, whatever it calls."""

import json
import sys

import harness
from test_stop_ranks import authority, ledger_lines  # noqa: F401 (a fixture)

PROGRAM = str(harness.JOBS / "locked.py")


def test_nothing_leaves_a_locked_process_and_its_account_goes_on(account, authority,  # noqa: F811
                                                                 tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    command = account.run_command("--run", "r", "--authority", authority.path, "--dir",
                                  tmp_path / "account", "--setting", "lock",
                                  command=[sys.executable, PROGRAM, str(own)])
    with harness.Job(command, tmp_path / "log") as training:
        harness.wait_until("training", (own / "training").exists)
        authority.stop("job:r")
        training.wait(86)
    outcomes = json.loads((own / "report").read_text())["outcomes"]
    assert outcomes.pop("math") == "done"
    assert "done" not in outcomes.values(), outcomes
    for way in ("torch.save", "safetensors", "numpy", "from_file"):
        assert outcomes.pop(way) == "ExportDenied", way
    assert set(outcomes.values()) == {"PermissionError"}, outcomes
    assert {path.name for path in own.iterdir()} == {"report", "training"}
    lines = ledger_lines(tmp_path / "account/r")
    assert any(line.get("kind") == "locked" for line in lines), "the ledger goes on"
    assert account.verify(tmp_path / "account/r")["ok"] is True


def test_the_same_setting_may_be_said_again(authority, tmp_path):  # noqa: F811
    program = ("import libaccount as account\n"
               f"words = dict(setting='lock', run='r', dir={str(tmp_path / 'account')!r},"
               f" authority={str(authority.path)!r})\n"
               "assert account.start(**words) is account.start(**words)\n")
    harness.run_job([sys.executable, "-c", program], tmp_path / "log")


def test_a_script_cannot_loosen_it_and_a_run_is_not_made_stricter_later(account, authority,  # noqa: F811
                                                                        tmp_path):
    program = ("import torch, libaccount as account  # the run begins with torch\n"
               "try: account.start(setting='lock')\n"
               "except account.Error as error: print(error.code, error)\n")
    said = harness.run_job(
        account.run_command("--run", "r", "--authority", authority.path, "--dir",
                            tmp_path / "account", command=[sys.executable, "-c", program]),
        tmp_path / "log")
    assert "invalid_argument run r was begun with setting 'stop'" in said
    unlocked = account("run", "--setting", "lock", "--dir", tmp_path / "account", "--", "true",
                       expect=1).stderr
    assert "needs an authority" in unlocked
