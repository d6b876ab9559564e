"""A real node_exporter and a real Prometheus read what a real job says.

Collected where both are installed (conftest.py).
"""

import json
import pathlib
import re
import subprocess
import urllib.parse
import urllib.request

import harness
import pytest
from authority import Authority
from test_stop_ranks import MANY, PLAIN_DDP, wait_for_steps

HERE = pathlib.Path(__file__).resolve().parent


class Server:
    """node_exporter with its textfile collector alone, and a Prometheus that scrapes it."""

    def __init__(self, folder: pathlib.Path, text: pathlib.Path) -> None:
        self.port = harness.free_port()
        exporter = harness.free_port()
        config = folder / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(HERE / "alerts.yml")],
            "scrape_configs": [{"job_name": "node",
                                "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}]}))
        self._jobs = [
            harness.Job(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{exporter}",
                         "--collector.disable-defaults", "--collector.textfile",
                         f"--collector.textfile.directory={text}"], folder / "exporter.log"),
            harness.Job(["prometheus", f"--config.file={config}",
                         f"--storage.tsdb.path={folder / 'data'}",
                         f"--web.listen-address=127.0.0.1:{self.port}"], folder / "server.log")]

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *unused: object) -> None:
        for job in self._jobs:
            job.__exit__(*unused)

    def query(self, expression: str) -> list[dict]:
        address = (f"http://127.0.0.1:{self.port}/api/v1/query?"
                   + urllib.parse.urlencode({"query": expression}))
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:  # not up yet
            return []

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None


@pytest.fixture
def text(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    return folder


@pytest.fixture
def server(tmp_path, text):
    folder = tmp_path / "server"
    folder.mkdir()
    with Server(folder, text) as started:
        yield started


def promtool(*words: object, text: str = "") -> None:
    done = subprocess.run(["promtool", *map(str, words)], input=text, capture_output=True,
                          text=True, timeout=60, check=False, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_are_rules_that_do_what_they_say():
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_the_scraped_total_is_the_verified_one_and_a_stop_raises_its_alert(
        account, server, text, tmp_path):
    authority = Authority(account, tmp_path)
    own = tmp_path / "own"
    command = account.run_command(
        "--run", "watched", "--model", 'acme/"chat"', "--authority", authority.path,
        "--metrics", text, command=harness.two_ranks(PLAIN_DDP, "--own", own, "--steps", MANY))
    with harness.Job(command, tmp_path / "job.log") as job:
        wait_for_steps(own, 5)
        harness.wait_until("the running job to be scraped", lambda: server.value(
            'sum(account_operations_total{run="watched"})'))
        assert server.query('account_run_info{model="acme/\\"chat\\""}')
        assert server.value("account_ranks") == 2
        assert server.value("sum(account_shutdown_active)") == 0
        authority.stop("watched")
        job.wait(86)
    harness.wait_until("the alert of the stop", lambda: server.query(
        'ALERTS{alertname="AccountShutdownActive",alertstate="firing",run="watched"}'))

    report = account.verify(tmp_path / "account/watched")
    (file,) = text.iterdir()
    promtool("check", "metrics", text=file.read_text())
    # Of a known device, and of a job that says what it takes in.
    only_where_known = {"account_mfu_percent", "account_samples_total", "account_tokens_total"}
    assert families(file.read_text()) | only_where_known == described()
    counted = int(report["operations"])
    assert sum(int(line.rsplit(" ", 1)[1]) for line in file.read_text().splitlines()
               if line.startswith("account_operations_total")) == counted
    harness.wait_until("the last total to be scraped", lambda: server.value(
        "run:account_operations:total") == float(counted))
    assert server.value("node_textfile_scrape_error") == 0
    assert server.value("account_run_active") == 0
    assert server.value("sum(account_steps_total)") == report["steps"]


def families(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


def described() -> set[str]:
    table = "".join(line.split("|")[1] for line in (HERE / "README.md").read_text().splitlines()
                    if line.startswith("| `"))
    return set(re.findall(r"`(account_\w+)", table))


def test_a_folder_that_cannot_be_written_costs_one_line(account, tmp_path):
    said = harness.run_job(
        account.run_command("--run", "r", "--metrics", tmp_path / "none",
                            command=harness.two_ranks(PLAIN_DDP, "--own", tmp_path / "own",
                                                      "--steps", 3)),
        tmp_path / "log")
    assert said.count("the metrics cannot be written") == 1
    assert f"{tmp_path}/none/account-r-" in said
    assert account.verify(tmp_path / "account/r")["steps"] == 3
