"""An archive is checked in an empty directory, with nothing but Python's standard library."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from harness import script

HERE = pathlib.Path(__file__).parent
VECTORS = HERE.parent / "vectors" / "ledger"


def account(*words: object, cwd: pathlib.Path, expect: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([script("account"), *map(str, words)], cwd=cwd, timeout=60, text=True,
                          capture_output=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Of the golden run, anchored, and of weights with a declared base."""
    folder = tmp_path_factory.mktemp("archives")
    shutil.copytree(VECTORS / "run-1", folder / "run-1")
    for name in ("ada", "customer"):
        account("key", "new", name, cwd=folder)
    account("anchor", "run-1", "--key", "customer.key", cwd=folder)
    account("sign", "run-1", "--key", "ada.key", cwd=folder)
    header = b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
    for name in ("base", "tuned"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(
            len(header).to_bytes(8, "little") + header + b"abc")
    account("parent", "declare", "--weights", "base", "--operations", "3e24", "--basis", "card",
            "--key", "ada.key", cwd=folder)
    account("record", "run-1", "--weights", "tuned", "--kind", "fine-tune", "--parent", "base",
            "--key", "ada.key", cwd=folder)
    (folder / "invoice.csv").write_text("device_hours\n5\n")
    account("archive", "run-1", "--record", "tuned", "--key", "ada.pub", "--key", "customer.pub",
            "--with", "invoice.csv", "--retain-until", "2036-01-01", "--out", "kept", cwd=folder)
    return folder / "kept"


def check(archive: pathlib.Path, *keys: str) -> subprocess.CompletedProcess:
    """In isolation: no site packages, no environment, nothing of ours."""
    return subprocess.run([sys.executable, "-I", "-S", "verify.py", ".", *keys], cwd=archive,
                          timeout=60, text=True, capture_output=True, check=False, env={})


def test_it_verifies_with_nothing_but_python(archive: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(archive, tmp_path / "moved")
    done = check(tmp_path / "moved")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["retain_until"] == "2036-01-01"
    assert found["runs"][0]["executed"] == "1300"
    assert found["runs"][0]["anchors"] == 1
    assert {record["sums"]["base"]["low"] for record in found["records"]} >= {str(3 * 10**24)}


def test_it_holds_what_a_reader_needs(archive: pathlib.Path) -> None:
    present = {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()}
    assert {"README.txt", "manifest.json", "verify.py", "formats/ledger_format.md",
            "formats/archive_format.md", "policies/us-ca-sb1047-enrolled.json",
            "tables/devices.json", "keys/keys.json", "further/invoice.csv",
            "runs/run-1/node-1f00ba5e/checkpoint"} <= present
    assert len(list((archive / "records").iterdir())) == 2
    # The command itself reads what lies in it.
    account("verify", "runs/run-1", cwd=archive)


def test_it_asks_for_the_keys_that_were_given(archive: pathlib.Path,
                                              tmp_path: pathlib.Path) -> None:
    assert check(archive, "../ada.pub").returncode == 0
    account("key", "new", "eve", cwd=tmp_path)
    foreign = check(archive, str(tmp_path / "eve.pub"))
    assert foreign.returncode == 2
    assert "endorsed by none of the keys given" in foreign.stderr


@pytest.mark.parametrize("change", ["flip", "remove", "add", "record"])
def test_it_refuses_what_was_changed(archive: pathlib.Path, tmp_path: pathlib.Path,
                                     change: str) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(archive, moved)
    victim = moved / "runs/run-1/node-1f00ba5e/ledger/000001.jsonl"
    if change == "flip":
        data = bytearray(victim.read_bytes())
        data[100] ^= 1
        victim.write_bytes(data)
    elif change == "remove":
        victim.unlink()
    elif change == "add":
        (moved / "runs/run-1/more.txt").write_text("more")
    else:
        # Its owner can write the manifest again, and not the signatures within.
        path = next((moved / "records").iterdir())
        path.write_bytes(path.read_bytes().replace(b'"sig":"', b'"sig":"A', 1))
        manifest = json.loads((moved / "manifest.json").read_text())
        name = str(path.relative_to(moved))
        manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (moved / "manifest.json").write_text(json.dumps(manifest))
    done = check(moved)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("refused: ")


def test_what_does_not_verify_is_not_archived(archive: pathlib.Path,
                                              tmp_path: pathlib.Path) -> None:
    shutil.copytree(VECTORS / "run-1", tmp_path / "run-1")
    victim = tmp_path / "run-1/node-1f00ba5e/checkpoint"
    victim.write_bytes(victim.read_bytes()[:-9])
    refused = account("archive", "run-1", "--out", "kept", cwd=tmp_path, expect=2)
    assert "no archive was made" in refused.stderr
    assert not (tmp_path / "kept" / "manifest.json").exists()
    account("archive", "--out", "other", cwd=tmp_path, expect=1)
    account("archive", archive.parent / "run-1", "--out", archive, cwd=tmp_path, expect=1)
    account("archive", archive.parent / "run-1", "--out", "x", "--retain-until", "soon",
            cwd=tmp_path, expect=1)
