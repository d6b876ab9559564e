"""The node's account.toml: the weakest of values, and nothing takes away what it asks of jobs."""

import json
import os
import subprocess
import sys

import harness
import pytest
from authority import Authority
from node_file import PATH, NodeFile

import libaccount_autoload

WORK = "import torch; torch.ones(2, 2) @ torch.ones(2, 2)"
TRAIN = f"{WORK}; print('trained')"
START = f"import libaccount; libaccount.start(run='own'); {TRAIN}"


@pytest.fixture
def node(tmp_path, monkeypatch) -> NodeFile:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return NodeFile(tmp_path / "node")


@pytest.fixture
def on_node(node, account):
    """Runs `account` there: (expected exit code, words, variables) to what it printed."""
    def run(expect, *words, **environment):
        done = subprocess.run(node.around([account.path, *words]), env=os.environ | environment,
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done
    return run


def settings(on_node, *words, expect=0, **environment) -> dict[str, tuple[str, str]]:
    said = json.loads(on_node(expect, "doctor", "--json", *words, **environment).stdout)
    return {name: (one["value"], one["origin"]) for name, one in said["settings"].items()}


def test_python_and_the_core_look_at_one_path():
    header = (harness.ROOT / "libaccount/run/configuration.h").read_text()
    assert f'kNodeConfiguration = "{PATH}"' in header
    assert libaccount_autoload.NODE_CONFIGURATION == PATH


def test_its_values_are_the_weakest_and_doctor_says_whose_each_is(node, on_node, tmp_path):
    node.write('model = "node"\ncluster = "north"\ndeveloper = "node"\nseal_seconds = 30\n')
    with open("account.toml", "w") as file:
        file.write('model = "project"\ndeveloper = "project"\n')
    said = settings(on_node, "--run", "word", ACCOUNT_DEVELOPER="variable", ACCOUNT_RUN="variable")
    assert said["run"] == ("word", "--run")
    assert said["developer"] == ("variable", "ACCOUNT_DEVELOPER")
    assert said["model"] == ("project", f"{tmp_path}/project/account.toml")
    assert said["cluster"] == ("north", PATH)
    assert said["seal_seconds"] == ("30.000000", PATH)
    assert said["quiet"] == ("0", "default")
    # Nothing is asked of a job by that, and off takes everything out.
    on_node(0, "run", "--", "touch", "began", ACCOUNT="off")
    assert os.path.exists("began")


def test_an_authority_setting_and_lease_of_the_node_are_taken_away_by_nobody(
        node, on_node, account, tmp_path):
    ours, other = Authority(account, tmp_path / "ours"), Authority(account, tmp_path / "other")
    node.write(f'authority = "{ours.path}"\nsetting = "stop"\nlease = "required"\n')
    with open("account.toml", "w") as file:
        file.write('setting = "count"\n')
    both = {"ACCOUNT_AUTHORITY": str(other.path), "ACCOUNT_SETTING": "count"}
    said = settings(on_node, expect=1, **both)  # nobody has leased it yet
    assert said["authority"] == (f"{other.path},{ours.path}", f"ACCOUNT_AUTHORITY and {PATH}")
    assert said["setting"] == ("stop", PATH)
    assert said["lease"] == ("required", PATH)
    said = settings(on_node, "--authority", str(other.path), "--setting", "lock", expect=1)
    assert said["authority"] == (f"{other.path},{ours.path}", f"--authority and {PATH}")
    assert said["setting"] == ("lock", "--setting")
    refused = on_node(86, "run", "--run", "r", "--", "touch", "began", ACCOUNT_LEASE="no", **both)
    assert "no lease" in refused.stderr and not os.path.exists("began")


def test_a_job_that_asks_for_another_authority_is_stopped_by_the_nodes(
        node, account, tmp_path):
    ours, other = Authority(account, tmp_path / "ours"), Authority(account, tmp_path / "other")
    node.write(f'authority = "{ours.path}"\n')
    code = (f"import time, libaccount\nrun = libaccount.start(authority={str(other.path)!r})\n"
            "while True: run.step(); time.sleep(.01)")
    job = account.run_command("--run", "r", "--authority", other.path,
                              command=[sys.executable, "-c", code])
    with harness.Job(node.around(job), tmp_path / "log", ACCOUNT_SETTING="count") as running:
        harness.wait_until("the job to train", lambda: [
            live for live in account.live(tmp_path / "account") if live["steps"]])
        ours.stop("r")
        running.wait(86)


def test_off_is_refused_where_the_node_asks_something_of_jobs(node, on_node, account, tmp_path):
    node.write(f'authority = "{Authority(account, tmp_path).path}"\n')
    for words in (["run", "--", "touch", "began"], ["may-start"]):
        said = on_node(1, *words, ACCOUNT="off").stderr
        assert f"ACCOUNT=off is not for jobs of this node: {PATH}" in said, words
    assert not os.path.exists("began")
    done = harness.run_job(node.around([sys.executable, "-c", START]), tmp_path / "log", expect=1,
                           ACCOUNT="off")
    assert "ACCOUNT=off is not for jobs of this node" in done and "trained" not in done
    found = json.loads(on_node(1, "doctor", "--json", ACCOUNT="off").stdout)["findings"]
    assert [one for one in found if one["about"] == "settings" and PATH in one["says"]]
    # A process that asks libaccount for nothing is as without it.
    harness.run_job(node.around([sys.executable, "-c", TRAIN]), tmp_path / "plain", ACCOUNT="off")


def test_where_counting_is_required_nothing_trains_uncounted(node, on_node, tmp_path):
    node.write('require = "count"\n')
    said = on_node(1, "may-start", "--", "python3", "train.py").stderr
    assert "this job would not be counted" in said
    on_node(0, "may-start", "--", "account", "run", "--", "python3", "train.py")
    (tmp_path / "file").write_text("")
    zero_line = node.around([sys.executable, "-c", TRAIN])
    done = harness.run_job(zero_line, tmp_path / "log", expect=1, ACCOUNT="on",
                           ACCOUNT_DIR=str(tmp_path / "file/runs"))
    assert "account: no start: " in done and "trained" not in done
    assert "trained" in harness.run_job(zero_line, tmp_path / "well", ACCOUNT="on")


@pytest.mark.parametrize("fault", ["misspelt", "foreign", "file", "folder"])
def test_a_file_that_cannot_be_used_or_that_others_could_write_lets_nothing_start(
        node, on_node, tmp_path, fault):
    node.write('modle = "m"\n' if fault == "misspelt" else 'model = "m"\n')
    says = {"misspelt": "line 1: there is no key 'modle'", "foreign": "belongs to user 12345",
            "file": f"{PATH} can be written by others",
            "folder": "/etc/account can be written by others"}[fault]
    if fault == "foreign":
        os.chown(node.path, 12345, 12345)
    if fault == "file":
        node.path.chmod(0o666)
    if fault == "folder":
        node.folder.chmod(0o777)
    for words in (["run", "--", "touch", "began"], ["may-start"]):
        assert says in on_node(1, *words).stderr, words
    assert not os.path.exists("began")
    for number, (code, switch) in enumerate(((TRAIN, "on"), (START, ""), (START, "off"))):
        done = harness.run_job(node.around([sys.executable, "-c", code]), tmp_path / str(number),
                               expect=1, ACCOUNT=switch)
        assert says in done and "trained" not in done, (code, switch)
    found = json.loads(on_node(1, "doctor", "--json").stdout)["findings"]
    (one,) = (one for one in found if one["about"] == "node's account.toml")
    assert says in one["says"] and one["condition"] == "fault" and one["fix"]
