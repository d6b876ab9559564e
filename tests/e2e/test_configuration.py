"""account.toml in a project's folder: read by every way to start, and refused as a whole."""

import json
import os
import re
import subprocess
import sys

import documented
import harness
import pytest
from authority import Authority

WORK = "import torch; torch.ones(2, 2) @ torch.ones(2, 2)"


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ACCOUNT_DIR")
    return folder


def test_every_way_to_start_reads_it(account, project):
    (project / "account.toml").write_text('dir = "runs"\nmodel = "acme/chat"\nquiet = true\n'
                                          'policies = ["eu-aia-51"]\n')
    harness.run_job(account.run_command("--run", "hosted", command=[sys.executable, "-c", WORK]),
                    project / "log")
    harness.run_job([sys.executable, "-c", f"{WORK}; import libaccount\nwith libaccount.start("
                     f"run='own'): {WORK.partition(';')[2]}"], project / "own.log")
    harness.run_job([sys.executable, "-c", WORK], project / "zero.log", ACCOUNT="on",
                    ACCOUNT_RUN="zero")
    for name in ("hosted", "own", "zero"):
        assert account.verify(project / "runs" / name)["operations"] == "16"
        told = (project / "runs" / name).glob("node-*/ledger/*.jsonl")
        text = next(iter(told)).read_text()
        assert "acme/chat" in text and "eu-aia-51" in text and "sb1047" not in text
    assert (project / "log").read_text() == ""  # quiet
    # Whoever looks finds them by their ids, as in any folder of runs.
    assert "hosted" in account("status").stdout
    assert json.loads(account("verify", "own", "--json").stdout)["operations"] == "16"


def test_a_word_goes_before_a_variable_and_that_before_the_file(account, project):
    (project / "account.toml").write_text('dir = "runs"\nrun = "file"\nmodel = "m"\n')
    done = account("doctor", "--json", "--run", "word", expect=None,
                   env=os.environ | {"ACCOUNT_RUN": "variable", "ACCOUNT_DIR": "elsewhere"})
    values = json.loads(done.stdout)["settings"]
    assert values["run"] == {"value": "word", "origin": "--run"}
    assert values["dir"] == {"value": "elsewhere", "origin": "ACCOUNT_DIR"}
    assert values["model"] == {"value": "m", "origin": str(project / "account.toml")}
    assert values["node"]["origin"] == "default"


def test_a_broken_file_is_named_with_its_line_and_breaks_no_training(account, project):
    (project / "account.toml").write_text('dir = "runs"\n\npolcies = ["eu-aia-51"]\n')
    fault = f"{project}/account.toml, line 3: there is no key 'polcies'"
    done = account("run", "--", "touch", "began", expect=1)
    assert fault in done.stderr and "did you mean 'policies'?" in done.stderr
    assert not (project / "began").exists()  # who may stop the job could be in it
    assert fault in account("may-start", expect=1).stderr
    done = account("doctor", "--json", expect=1)
    (found,) = (one for one in json.loads(done.stdout)["findings"]
                if one["about"] == "account.toml")
    assert fault in found["says"] and found["fix"] == "did you mean 'policies'?"
    # Without `account run` the script is there first, and goes on.
    said = harness.run_job([sys.executable, "-c", f"{WORK}; print('trained')"], project / "log",
                           ACCOUNT="on")
    assert said.count("counting is off") == 1 and fault in said and "trained" in said
    with open("account.toml", "wb") as file:
        file.write(b"dir = \"\xff\"\n")
    assert "line 1" in account("run", "--", "true", expect=1).stderr


def test_its_authority_is_obeyed_whatever_a_variable_says(account, project, tmp_path):
    ours, other = Authority(account, tmp_path / "ours"), Authority(account, tmp_path / "other")
    (project / "account.toml").write_text(f'authority = "{ours.path}"\nsetting = "stop"\n')
    code = ("import time, libaccount\nrun = libaccount.start()\n"
            "while True: run.step(); time.sleep(.01)")
    job = account.run_command("--run", "r", command=[sys.executable, "-c", code])
    with harness.Job(job, project / "log", ACCOUNT_AUTHORITY=str(other.path),
                     ACCOUNT_SETTING="count", ACCOUNT_DIR=str(tmp_path / "account")) as running:
        harness.wait_until("the job to train", lambda: [
            live for live in account.live(tmp_path / "account") if live["steps"]])
        ours.stop("r")
        running.wait(86)


def test_its_lease_is_asked_for_whatever_a_variable_says(account, project, tmp_path, monkeypatch):
    ours = Authority(account, tmp_path / "ours")
    account("root", "next", ours.path, "--lease", ours.key("officer", "pub"), "--sign",
            ours.key("root"))
    (project / "account.toml").write_text(f'authority = "{ours.path}"\nlease = "required"\n')
    monkeypatch.setenv("ACCOUNT_LEASE", "no")
    refused = account("run", "--run", "hosted", "--", "touch", "began", expect=86)
    assert "no lease" in refused.stderr and "account lease renew job:hosted" in refused.stderr
    assert not (project / "began").exists()
    start = [sys.executable, "-c", f"{WORK}; import libaccount\nwith libaccount.start(run='own'): "
             "print('trained')"]
    with harness.Job(start, project / "own.log") as own:
        own.wait(86)
    account("lease", "renew", "all", "--for", "1h", "--authority", ours.path, "--key",
            ours.key("officer"))
    account("run", "--run", "hosted", "--", "touch", "began")
    assert "trained" in harness.run_job(start, project / "own-again.log")


def test_the_example_of_the_page_is_one(account, project):
    (text,) = documented.blocks(harness.ROOT / "docs/cli.md", "toml")
    keys = set(re.findall(r"^(\w+) =", text, re.MULTILINE))
    table = (harness.ROOT / "libaccount/run/configuration.cc").read_text()
    assert keys == set(re.findall(r'KnownKey\{"(\w+)"', table))
    # As far as it goes without that authority and those files.
    lines = [line for line in text.splitlines()
             if not line.startswith(("authority", "setting", "lease", "resume",
                                     "parents"))]
    (project / "account.toml").write_text("\n".join(lines))
    (project / "shared").mkdir()
    done = subprocess.run([account.path, "doctor", "--json"], capture_output=True, text=True,
                          timeout=120, check=False)
    values = json.loads(done.stdout)["settings"]
    assert values["model"]["origin"] == str(project / "account.toml")
