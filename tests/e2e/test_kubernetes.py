"""examples/kubernetes: the manifest is valid, and a Secret's swap brings an order to a job.

There is no cluster here: the folders are made as the kubelet makes them (a dated folder, `..data`
that points to it, a link a key; an update is a new dated folder and one rename of `..data`).
"""

import copy
import os
import pathlib
import subprocess
import sys

import harness
import kubernetes_validate
import pytest
import yaml
from authority import Authority

MANIFEST = harness.ROOT / "examples/kubernetes/job.yaml"
PLAIN_DDP = str(harness.JOBS / "plain_ddp.py")


def documents() -> list[dict]:
    return list(yaml.safe_load_all(MANIFEST.read_text()))


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_the_manifest_fits_the_schemas(version: str) -> None:
    for document in documents():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_notice_what_is_misspelt() -> None:
    _, job = documents()
    bent = copy.deepcopy(job)
    bent["spec"]["podFailurePolicies"] = bent["spec"].pop("podFailurePolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bent, "1.37", strict=True)


def test_a_stopped_pod_fails_the_job_for_good() -> None:
    _, job = documents()
    first = job["spec"]["podFailurePolicy"]["rules"][0]
    assert first["action"] == "FailJob" and first["onExitCodes"]["values"] == [86]
    assert "containerName" not in first["onExitCodes"], "also of the init container that asks"
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


class Secret:
    """A mounted Secret."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.updates = 0
        folder.mkdir()

    def update(self, files: dict[str, bytes]) -> None:
        self.updates += 1
        dated = self.folder / f"..2026_11_29_{self.updates}"
        dated.mkdir()
        for name, data in files.items():
            (dated / name).write_bytes(data)
        new = self.folder / "..data_tmp"
        new.symlink_to(dated.name)
        os.replace(new, self.folder / "..data")
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for link in list(self.folder.iterdir()):  # keys that are gone
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()


def test_an_order_that_comes_by_the_swap_of_a_secret_is_obeyed(
        account: harness.Account, tmp_path: pathlib.Path) -> None:
    officer = Authority(account, tmp_path / "officer")
    root, orders = Secret(tmp_path / "secret-root"), Secret(tmp_path / "secret-orders")
    root.update({"root.json": (officer.path / "root.json").read_bytes()})
    orders.update({})
    # What the manifest's init container says, at other places.
    _, job = documents()
    (script,) = job["spec"]["template"]["spec"]["initContainers"][0]["args"]
    for place, here in (("/authority", tmp_path / "authority"), ("/secret/root", root.folder),
                        ("/secret/orders", orders.folder)):
        script = script.replace(place, str(here))
    subprocess.run(["/bin/sh", "-euc", script], check=True)
    mounted = tmp_path / "authority/acme"

    def start(own: pathlib.Path) -> list[str]:
        return account.run_command("--run", "r", "--authority", mounted, command=[
            sys.executable, PLAIN_DDP, "--own", str(own), "--steps", "1000000"])

    own = tmp_path / "own"
    environment = {"ACCOUNT_SCHEDULER_ID": "default/acme-chat"}
    with harness.Job(start(own), tmp_path / "log", **environment) as training:
        harness.wait_until("it to train", lambda: any(own.glob("step-*")))
        order = officer.stop("k8s:default/acme-chat")
        orders.update({f"{order}.json": (officer.path / f"orders/{order}.json").read_bytes()})
        training.wait(86)
    assert any((mounted / "receipts").iterdir())

    # A Secret without the order lifts nothing.
    orders.update({})
    harness.run_job(start(tmp_path / "again"), tmp_path / "log-2", expect=86, **environment)
    assert not (tmp_path / "again").exists()
