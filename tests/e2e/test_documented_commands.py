"""Every `account` command of the pages that tour, watch and list, as it stands; so README.md's too.

What a command is about is prepared: keys, weights, an authority, a run that trains. Their names are
those of the pages, but for `account/RUN` and `/srv/acme`; eight ranks are two here. A command that
is added to a page is run without a word in here, and has to end with 0. Not run are those of `make
demo`, whose output the README shows.
"""

import json
import pathlib
import re
import shlex
import sys

import documented
import harness
import pytest

PEOPLE = ("alice", "developer", "customer", "officer", "night", "ceo", "cto", "board", "safe",
          "vault", "clerk")
TRAIN = """
import os, pathlib, torch
from safetensors.torch import save_file
torch.distributed.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(16, 16))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    model(torch.ones(4, 16)).sum().backward()
    optimizer.step()
if os.environ["RANK"] == "0":
    pathlib.Path("out").mkdir(exist_ok=True)
    save_file(model.module.state_dict(), "out/model.safetensors")
del model  # before its group goes: jobs/parallel_step.py says why
torch.distributed.destroy_process_group()
"""
# A job that ends by being stopped, and that has something to save.
TRAIN_ON = """
import time, torch, libaccount
model = torch.nn.Linear(16, 16)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
libaccount.start(state=model.state_dict)
while True:
    model(torch.ones(4, 16)).sum().backward()
    optimizer.step()
    time.sleep(0.02)
"""
# As published with the model.
LLAMA_2_7B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "intermediate_size": 11008, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 32, "vocab_size": 32000, "max_position_embeddings": 4096,
    "tie_word_embeddings": False, "rms_norm_eps": 1e-05, "hidden_act": "silu"}
PRICES = {"format": "account-prices/1", "prices": [
    {"device": "NVIDIA H100", "from": "2026-01-01", "usd_per_device_hour": "2.35",
     "source": "a test"}]}
OUR_LIMIT = {
    "format": "account-policy-1", "id": "our-limit", "title": "Our limit", "jurisdiction": "here",
    "status": "in_force", "effective_from": "2020-01-01", "citation": "the board, 12 May",
    "grade": "memory", "deadlines": [], "notes": [],
    "rules": [{"name": "all", "applies_to": "every run", "operator": ">=", "operations": "100000",
               "cumulative": False, "counts": {"categories": ["train"], "phases": ["forward"]}}]}
AUTHORITY = """account root new {0} --name acme --stop officer.pub --stop night.pub \
  --lift ceo.pub --lift cto.pub --lift board.pub --root ceo.pub --root cto.pub \
  --recovery safe.pub --recovery vault.pub --sign ceo.key --sign cto.key"""
RECORD = "account record account/my-run --weights out/ --parent base/ --key alice.key"


def commands(page: pathlib.Path) -> list[str]:
    """Those of `account`, with what belongs to the same line of a shell."""
    found = []
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line.removeprefix("$ ") for line in lines
                  if re.match(r"(\$ )?account ", line) or "python3 verify.py" in line]
    return [command for command in found if "build/demo" not in command]


class Folder:
    def __init__(self, path: pathlib.Path, account: harness.Account) -> None:
        self.path, self.account = path, account
        self.authority = path / "authority"
        self.jobs: dict[str, harness.Job] = {}
        for name in PEOPLE:
            account("key", "new", name, "--dir", path)
        (path / "train.py").write_text(TRAIN)
        (path / "train_on.py").write_text(TRAIN_ON)
        (path / "checkpoints").mkdir()
        (path / "Llama-2-7B").mkdir()
        (path / "Llama-2-7B/config.json").write_text(json.dumps(LLAMA_2_7B))
        (path / "prices.json").write_text(json.dumps(PRICES))
        (path / "sacct.csv").write_text("JobID|ElapsedRaw|AllocTRES\n7|3600|gres/gpu:h100=8\n")
        (path / "our-limit.json").write_text(json.dumps(OUR_LIMIT))
        (path / "keys").mkdir()

    def run(self, command: str, **environment: str) -> str:
        command = (command.replace("/srv/acme", str(self.authority))
                   .replace("account/RUN", "account/my-run")
                   .replace("--nproc-per-node 8", "--nproc-per-node 2"))
        return documented.run_script(command, self.path, **environment)

    def keep_training(self, run: str) -> None:
        log = self.path / f"{run}.log"
        # A script of its own: by the same command it would be the job that was stopped before.
        (self.path / f"{run}.py").write_text(TRAIN_ON)
        command = self.account.run_command("--run", run, "--authority", self.authority, command=[
            sys.executable, str(self.path / f"{run}.py")])
        self.jobs[run] = harness.Job(command, log)
        harness.wait_until(f"{run} to train", lambda: any(
            live["run"] == run and live["steps"] > 3
            for live in self.account.live(self.path / "account")))

    def end(self) -> None:
        for job in self.jobs.values():
            job.__exit__()


@pytest.fixture
def folder(tmp_path, account, monkeypatch):
    monkeypatch.delenv("ACCOUNT_DIR")  # the page's runs go where everybody's go
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path, account)
    yield folder
    folder.end()


def base_model(folder: Folder) -> None:
    """out/ of a first run is what the page's run began from."""
    folder.run("account run --run base -- torchrun --standalone --nproc-per-node 2 train.py")
    (folder.path / "out").rename(folder.path / "base")
    folder.run("account record account/base --weights base/ --kind pretraining --key developer.key")


def last_order(folder: Folder, action: str) -> str:
    log = json.loads(folder.account("root", "log", folder.authority, "--json").stdout)
    return [line["order"] for line in log["lines"] if line.get("action") == action][-1]


def train(folder: Folder, command: str) -> None:
    folder.run(command.replace("torchrun", "torchrun --standalone"), ACCOUNT_RUN="my-run")


def stop(folder: Folder, command: str) -> None:
    folder.keep_training("stopped")
    folder.run(re.sub("account/(RUN|my-run)", "account/stopped", command))


def pause(folder: Folder, command: str) -> None:
    folder.keep_training("paused")
    folder.run(re.sub("account/(RUN|my-run)", "account/paused", command))


def watch(folder: Folder, command: str) -> None:
    """It shows until somebody ends it."""
    folder.run(f"timeout 5 {command.partition('#')[0]} || test $? = 124")


def declare_parent(folder: Folder, command: str) -> None:
    """Of weights that have no record yet."""
    (folder.path / "paper").mkdir()
    weights = (folder.path / "base/model.safetensors").read_bytes()
    (folder.path / "paper/model.safetensors").write_bytes(weights)
    folder.run(command.replace("base/", "paper/"))


def verify_signed(folder: Folder, command: str) -> None:
    folder.run("account sign account/my-run --key alice.key")
    folder.run(command)


def verify_out(folder: Folder, command: str) -> None:
    folder.run(RECORD)
    folder.run(command)


def anchor(folder: Folder, command: str) -> None:
    folder.run("account sign account/my-run --key developer.key")
    folder.run(command)


def acknowledge(folder: Folder, command: str) -> None:
    """A run that a limit of its own has stopped."""
    folder.run("account run --run chat-7b --policy our-limit.json:stop -- python train_on.py"
               " || test $? = 3")
    folder.run(command)


# How the commands that need more than what lies there are run, by how they begin.
PREPARED = {
    "account run": train,
    "account status --watch": watch,
    "account verify account/my-run --key alice": verify_signed,
    "account verify out/": verify_out,
    "account parent declare": declare_parent,
    "account anchor": anchor,
    "account stop": stop,
    "account pause": pause,
    "account resume": lambda folder, command: folder.run(
        command.replace("5d1f2a90", last_order(folder, "pause")[:8])),
    "account lift e": lambda folder, command: folder.run(
        command.replace("e37e6880", last_order(folder, "stop")[:8])),
    "account lift --all": lambda folder, command: folder.run(
        command.replace("account/RUN", "account/stopped")),
    "account policy acknowledge": acknowledge,
}


def run_page(folder: Folder, page: pathlib.Path, least: int) -> None:
    found = commands(page)
    assert len(found) >= least
    for command in found:
        how = next((how for begins, how in PREPARED.items() if command.startswith(begins)),
                   Folder.run)
        how(folder, command)


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def test_the_readme_has_no_command_that_the_tour_has_not():
    tour = [words(command) for command in commands(harness.ROOT / "docs/tour.md")]
    readme = [words(command) for command in commands(harness.ROOT / "README.md")]
    assert len(readme) >= 7
    assert [command for command in readme if command not in tour] == []


def test_every_command_of_the_tour_ends_well(folder):
    base_model(folder)
    folder.run(AUTHORITY.format(folder.authority))
    run_page(folder, harness.ROOT / "docs/tour.md", least=15)
    run_page(folder, harness.ROOT / "docs/watch_a_run.md", least=3)
    assert folder.jobs["paused"].process.poll() is None, "the lift let it go on"
    assert "verified" in folder.run("account verify account/my-run")


def test_every_command_of_the_reference_ends_well(folder):
    base_model(folder)
    run_page(folder, harness.ROOT / "docs/cli.md", least=28)
