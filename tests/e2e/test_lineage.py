"""A line of models, made by real small runs, adds up: base (declared), a fine-tune of three chained
jobs of which the second was one of five sweep runs, an abandoned run, a LoRA, a merge.

What a run must have counted is computed here by hand: a Linear without bias of 16 x 16 on 8 rows is
2 x 8 x 16 x 16 forward and as much for the gradient of its weights (its input needs none).
"""

import base64
import csv
import getpass
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from harness import JOBS, script, two_ranks

LINEAR = 2 * 8 * 16 * 16  # one product of the model
STEP = 2 * LINEAR
# LoRA: the frozen model forward; both factors forward and for their gradients; one input's.
LORA_STEP = LINEAR + 2 * 2 * (2 * 8 * 16 * 2) + 2 * 8 * 16 * 2
BASE_LOW, BASE_HIGH = 40_000, 50_000
FINE_TUNE = (10 + 4 + 5) * STEP
LORA = 6 * LORA_STEP
SWEEPS = (3 + 5 + 6 + 7) * STEP
ABANDONED = 8 * STEP


class Line:
    """The folder of the whole story, and the command in it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCOUNT")}
        self.env = {**kept, "ACCOUNT_QUIET": "1", "OMP_NUM_THREADS": "1",
                    "ACCOUNT_BIN": script("account")}

    def account(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        said = subprocess.run([script("account"), *map(str, words)], cwd=self.folder, env=self.env,
                              capture_output=True, text=True, timeout=120, check=False)
        assert said.returncode == code, (words, said.returncode, said.stdout, said.stderr)
        return said

    def json(self, *words: object, code: int = 0) -> dict:
        return json.loads(self.account(*words, "--json", code=code).stdout)

    def train(self, run: str, out: str, steps: int, *words: str) -> None:
        subprocess.run([sys.executable, JOBS / "small_model.py", out, str(steps), *words],
                       cwd=self.folder, env={**self.env, "ACCOUNT_RUN": run}, check=True,
                       timeout=300)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Line:
    line = Line(tmp_path_factory.mktemp("line"))
    for name in ("ada", "bob"):
        line.account("key", "new", name)
    subprocess.run([sys.executable, "-c", "import torch; from safetensors.torch import save_file; "
                    "import os; os.makedirs('base'); "
                    "save_file({'weight': torch.eye(16)}, 'base/model.safetensors')"],
                   cwd=line.folder, check=True, timeout=120)
    line.account("parent", "declare", "--weights", "base", "--model", "acme/base", "--low",
                 BASE_LOW, "--high", BASE_HIGH, "--basis", "its model card", "--key", "bob.key")
    line.train("job-1", "c1", 10, "--parent", "base")
    for sweep, steps in enumerate((3, 4, 5, 6, 7)):
        line.train(f"sweep-{sweep}", f"s{sweep}", steps, "--resume", "c1")
    line.train("abandoned", "x", 8, "--resume", "s0")
    line.train("job-3", "tuned", 5, "--resume", "s1")
    line.account("record", "account/job-3", "--weights", "tuned", "--model", "acme/tuned",
                 "--key", "ada.key")
    line.train("lora", "lora", 6, "--lora", "--parent", "tuned")
    line.account("record", "account/lora", "--weights", "lora", "--kind", "adapter",
                 "--model", "acme/lora", "--key", "ada.key")
    (line.folder / "merged").mkdir()
    shutil.copy(line.folder / "tuned/model.safetensors", line.folder / "merged/model.safetensors")
    line.account("record", "--weights", "merged", "--kind", "merge", "--parent", "tuned",
                 "--parent", "lora", "--model", "acme/merged", "--key", "ada.key")
    return line


@pytest.fixture
def copy(story: Line, tmp_path: pathlib.Path) -> Line:
    """To change: the weights with their records, and the keys; the runs stay behind."""
    for name in ("merged", "lora", "tuned", "base"):
        shutil.copytree(story.folder / name, tmp_path / name)
    for name in ("ada.pub", "bob.pub"):
        shutil.copy(story.folder / name, tmp_path / name)
    return Line(tmp_path)


def test_the_last_record_adds_up(story: Line) -> None:
    sums = story.json("verify", "merged", "--key", "ada.pub", "--key", "bob.pub")["sums"]
    assert sums == {"own": {"low": "0", "high": "0"},
                    "derived": {"low": str(FINE_TUNE + LORA), "high": sums["derived"]["high"]},
                    "base": {"low": str(BASE_LOW), "high": str(BASE_HIGH)}, "complete": True}
    assert int(sums["derived"]["high"]) >= FINE_TUNE + LORA


def test_history_has_the_line_and_everything_that_was_run(story: Line) -> None:
    told = story.json("history", "account", *(n for n in ("c1", "base", "tuned", "lora", "merged")))
    assert [end["of"] for end in told["lineages"]] == ["acme/merged"]
    assert told["lineages"][0]["sums"]["derived"]["low"] == str(FINE_TUNE + LORA)
    assert told["everything"]["low"] == str(FINE_TUNE + LORA + SWEEPS + ABANDONED)
    led_nowhere = {run["run"] for run in told["runs"] if not run["in_lineage"]}
    assert led_nowhere == {"sweep-0", "sweep-2", "sweep-3", "sweep-4", "abandoned"}
    assert not told["remarks"]


def test_the_report_of_the_last_record_has_the_line(story: Line) -> None:
    story.account("report", "merged", "--key", "ada.pub", "--out", "report")
    told = json.loads((story.folder / "report/report.json").read_text())
    assert told["derived"]["low"] == str(FINE_TUNE + LORA)
    assert told["base"] == {"low": str(BASE_LOW), "high": str(BASE_HIGH)}
    page = (story.folder / "report/report.html").read_text()
    for model in ("acme/base, declared", "acme/tuned, fine-tune", "acme/lora, adapter",
                  "acme/merged"):
        assert model in page


def test_the_report_of_a_run_has_all_that_it_went_on_from(story: Line) -> None:
    story.account("report", "account/job-3", "--out", "of-a-run")
    told = json.loads((story.folder / "of-a-run/report.json").read_text())
    assert {run["run"] for run in told["runs"]} == {"job-1", "sweep-1", "job-3"}
    assert told["derived"]["low"] == str(FINE_TUNE)
    with (story.folder / "of-a-run/totals.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert sum(int(row["executed"]) for row in rows) == FINE_TUNE
    page = (story.folder / "of-a-run/report.html").read_text()
    for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
        xml.etree.ElementTree.fromstring(drawing)
    assert page.count("<svg") >= 6


def test_a_run_is_proved_with_what_it_went_on_from(story: Line) -> None:
    proof = story.json("prove", "account/job-3", "--policy", "us-ca-sb1047-enrolled")
    assert proof["verdict"] == "below"
    assert proof["operations"] == str(FINE_TUNE)
    assert proof["sums"]["base"]["low"] == str(BASE_LOW)
    assert {run["run"] for run in proof["runs"]} == {"job-1", "sweep-1", "job-3"}


def test_a_full_proof_is_recomputed_by_a_stranger(story: Line, tmp_path: pathlib.Path) -> None:
    """Of the run at the end of a chain, two of whose runs count up to a save."""
    story.account("prove", "account/job-3", "--policy", "us-ca-sb1047-enrolled", "--statement",
                  tmp_path / "proof.json", "--full", tmp_path / "full", "--sign", "ada.key")
    said = story.json("verify", tmp_path / "proof.json", "--key", "ada.pub")
    assert (said["trusted"], said["proof"]["verdict"]) == (True, "below")
    assert said["proof"]["operations"] == str(FINE_TUNE)
    text = base64.b64decode(json.loads((tmp_path / "proof.json").read_text())["payload"]).decode()
    for leak in (f':"{getpass.getuser()}"', socket.gethostname(), str(story.folder), "account/"):
        assert leak not in text
    assert "integrity only" in story.account("verify", tmp_path / "proof.json").stdout
    assert story.account("verify", tmp_path / "proof.json", "--key", "bob.pub", code=2).stderr

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", "-S", "verify.py", "."], timeout=60,
                              cwd=tmp_path / "full", capture_output=True, text=True, check=False)

    done = check()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["proof"] == {
        "verdict": "below", "operations": str(FINE_TUNE), "level": "L0",
        "signed_by": said["key"]}
    # Somebody's own statement about these ledgers is signed well and does not add up.
    story.account("prove", "account/lora", "--below", "1", "--statement", tmp_path / "other.json",
                  "--sign", "ada.key", code=3)
    shutil.copy(tmp_path / "other.json", tmp_path / "full/proof.json")
    manifest = json.loads((tmp_path / "full/manifest.json").read_text())
    manifest["files"]["proof.json"] = hashlib.sha256(
        (tmp_path / "other.json").read_bytes()).hexdigest()
    (tmp_path / "full/manifest.json").write_text(json.dumps(manifest))
    assert check().returncode == 2


def test_a_second_party_reads_the_room_that_is_left(copy: Line) -> None:
    told = copy.json("verify", "merged", "--key", "ada.pub", "--date", "2027-01-01")
    assert (told["trusted"], told["level"], told["weights_checked"]) == (True, "L1", True)
    (enrolled,) = [b for b in told["budget"] if b["policy"] == "us-ca-sb1047-enrolled"]
    assert enrolled["rules"][0]["margin"] == str(3 * 10**25 - FINE_TUNE - LORA)
    assert "3e25" in copy.account("verify", "merged", "--key", "ada.pub").stdout


def test_a_missing_parent_makes_shares_unknown_and_leaves_the_rest(copy: Line) -> None:
    relative = ("prove", "merged", "--policy", "us-ca-sb1047-2024-06-05", "--date", "2027-01-01")
    absolute = ("prove", "merged", "--policy", "eu-aia-51", "--date", "2027-01-01")
    before = copy.json(*absolute)
    # A quarter of the base is 10,000 operations, which the fine-tunes exceed.
    assert copy.json(*relative, code=3)["verdict"] == "reached"
    for record in (copy.folder / "merged/parents").iterdir():
        payload = base64.b64decode(json.loads(record.read_text())["payload"])
        if b'"kind":"declared"' in payload:
            record.unlink()
    assert copy.json(*relative, code=5)["verdict"] == "unknown"
    after = copy.json(*absolute)
    assert [after[k] for k in ("verdict", "counted", "margin", "operations")] == \
        [before[k] for k in ("verdict", "counted", "margin", "operations")]


def test_a_foreign_key_and_other_weights_are_refused(copy: Line) -> None:
    assert "not by a key that was given" in copy.account("verify", "merged", "--key", "bob.pub",
                                                         code=2).stderr
    path = copy.folder / "merged/model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "the record is not about" in copy.account("verify", "merged", code=2).stderr


def test_a_record_moved_to_other_weights_is_refused(copy: Line) -> None:
    shutil.copy(copy.folder / "lora/model.compute.json", copy.folder / "base/model.compute.json")
    assert "record of other weights" in copy.account("verify", "base", code=2).stderr


def test_a_record_in_the_metadata_does_not_change_what_it_is_about(
        story: Line, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(story.folder / "tuned", out)
    (out / "model.compute.json").unlink()
    data = (out / "model.safetensors").read_bytes()
    made = story.json("record", "account/job-3", "--weights", out, "--embed", "--key", "ada.key")
    pathlib.Path(made["record"]).unlink()
    told = story.json("verify", out, "--key", "ada.pub")
    assert (told["id"], told["weights_checked"]) == (made["id"], True)
    assert (out / "model.safetensors").read_bytes().endswith(data[-16 * 16 * 4:])
    # And is where others look: the metadata of the file alone.
    assert story.json("verify", out / "model.safetensors")["id"] == made["id"]


def test_a_record_is_compared_with_its_ledgers(story: Line, tmp_path: pathlib.Path) -> None:
    story.account("verify", "tuned", "--runs", "account")
    shutil.copytree(story.folder / "account", tmp_path / "account")
    shutil.rmtree(tmp_path / "account/sweep-1")
    assert "run 'sweep-1' is not in" in story.account("verify", "tuned", "--runs",
                                                      tmp_path / "account", code=1).stderr


def test_a_chain_with_a_missing_run_gives_no_number(story: Line, tmp_path: pathlib.Path) -> None:
    shutil.copytree(story.folder / "account", tmp_path / "account")
    shutil.rmtree(tmp_path / "account/job-1")
    said = story.account("record", tmp_path / "account/job-3", "--weights", "tuned", "--output",
                         tmp_path / "r.compute.json", code=1)
    assert "went on from run 'job-1'" in said.stderr
    assert not (tmp_path / "r.compute.json").exists()
    told = story.json("history", tmp_path / "account")
    assert any("run 'job-1', which is not here" in remark for remark in told["remarks"])


def test_without_a_word_on_the_origin_there_is_no_record(
        story: Line, tmp_path: pathlib.Path) -> None:
    story.train("lonely", str(tmp_path / "w"), 2)
    words = ("record", "account/lonely", "--weights", tmp_path / "w")
    assert "made from" in story.account(*words, code=1).stderr
    made = story.json(*words, "--parent", "unknown", "--policy", "eu-aia-51")
    assert made["verdicts"][0]["verdict"] == "unknown"
    assert made["sums"]["complete"] is False
    assert (made["level"], made["kind"]) == ("L0", "fine-tune")
    shutil.rmtree(story.folder / "account/lonely")


def test_what_was_declared_outside_counts_on_a_line_of_its_own(
        story: Line, tmp_path: pathlib.Path) -> None:
    line = Line(tmp_path)
    shutil.copytree(story.folder / "account/abandoned", tmp_path / "account/abandoned")
    shutil.copytree(story.folder / "account/sweep-0", tmp_path / "account/sweep-0")
    shutil.copytree(story.folder / "account/job-1", tmp_path / "account/job-1")
    line.account("declare", "account/abandoned", "--category", "generate", "--tokens", "1e6",
                 "--parameters", "7e9", "--basis", "synthetic data, invoice 7")
    proof = line.json("prove", "account/abandoned", "--below", "3e25")
    (claim,) = proof["declared"]
    assert claim["low"] == str(2 * 10**6 * 7 * 10**9)
    assert int(proof["operations"]) == 2 * 10**6 * 7 * 10**9 + (10 + 3 + 8) * STEP
    (path,) = (tmp_path / "account/abandoned/declarations").iterdir()
    twin = path.with_name("0123456789abcdef.json")
    shutil.copy(path, twin)
    assert "not named by its payload" in line.account("prove", "account/abandoned", "--below",
                                                      "3e25", code=2).stderr
    twin.unlink()
    path.write_text(path.read_text().replace("signatures", "signaturez"))
    assert str(path.name) in line.account("prove", "account/abandoned", "--below", "3e25",
                                          code=2).stderr


def test_a_default_record_names_no_host_path_user_or_shape(story: Line) -> None:
    payload = base64.b64decode(json.loads(
        (story.folder / "tuned/model.compute.json").read_text())["payload"]).decode()
    for secret in (os.uname().nodename, str(story.folder), f':"{getpass.getuser()}"', "[8,16]",
                   "aten::"):
        assert secret not in payload
    told = story.json("record", "account/job-3", "--weights", "tuned", "--disclose", "shapes",
                      "--output", story.folder / "told.compute.json")
    payload = base64.b64decode(json.loads(
        pathlib.Path(told["record"]).read_text())["payload"]).decode()
    assert "aten::mm" in payload
    pathlib.Path(told["record"]).unlink()


def test_a_sidecar_that_is_missing_or_none_stops_the_start(
        story: Line, tmp_path: pathlib.Path) -> None:
    shutil.copytree(story.folder / "c1", tmp_path / "c1")
    words = [sys.executable, JOBS / "small_model.py", tmp_path / "out", "1", "--resume",
             tmp_path / "c1"]
    for text, fault in ((None, "has no"), ("{}", "member 'format' is missing")):
        if text is not None:
            (tmp_path / "c1.account.json").write_text(text)
        said = subprocess.run(words, cwd=tmp_path, env=story.env, capture_output=True, text=True,
                              timeout=120, check=False)
        assert said.returncode != 0
        assert fault in said.stderr
        assert not (tmp_path / "out").exists()


def test_a_run_that_goes_on_from_a_forged_sidecar_has_no_record(
        story: Line, tmp_path: pathlib.Path) -> None:
    line = Line(tmp_path)
    shutil.copytree(story.folder / "account/job-1", tmp_path / "account/job-1")
    shutil.copytree(story.folder / "c1", tmp_path / "c1")
    sidecar = json.loads((story.folder / "c1.account.json").read_text())
    sidecar["size"] -= 1  # less of the run, so fewer operations
    (tmp_path / "c1.account.json").write_text(json.dumps(sidecar))
    line.train("thief", "out", 1, "--resume", "c1")
    said = line.account("record", "account/thief", "--weights", "out", "--parent", "unknown",
                        code=2)
    assert "names line" in said.stderr


def test_a_sum_has_the_level_of_the_least_of_its_runs(story: Line, tmp_path: pathlib.Path) -> None:
    line = Line(tmp_path)
    shutil.copytree(story.folder / "account", tmp_path / "account")
    shutil.copy(story.folder / "ada.pub", tmp_path)
    key = story.folder / "ada.key"
    proof = ("prove", "account/job-3", "--below", "3e25", "--key", "ada.pub")
    for run in ("job-3", "sweep-1"):
        line.account("sign", f"account/{run}", "--key", key)
        assert "not endorsed by key" in line.account(*proof, code=2).stderr
    line.account("sign", "account/job-1", "--key", key)
    told = line.json(*proof)
    assert (told["level"], told["trusted"], told["operations"]) == ("L1", True, str(FINE_TUNE))
    assert line.json(*proof[:-2])["level"] == "L0"


def test_two_runs_of_one_name_are_told_apart_by_the_checkpoint(
        story: Line, tmp_path: pathlib.Path) -> None:
    line = Line(tmp_path)
    shutil.copytree(story.folder / "account/job-1", tmp_path / "theirs/job-1")
    shutil.copytree(story.folder / "account/sweep-0", tmp_path / "ours/sweep-0")
    # Another run that is called job-1 as well, beside ours.
    shutil.copytree(story.folder / "account/abandoned", tmp_path / "ours/job-1")
    told = line.json("prove", "ours/sweep-0", "--runs", "theirs", "--below", "3e25")
    assert told["operations"] == str((10 + 3) * STEP)


def test_all_ranks_may_tell_of_one_checkpoint(tmp_path: pathlib.Path) -> None:
    line = Line(tmp_path)
    (tmp_path / "ckpt").mkdir()
    said = subprocess.run([script("account"), "run", "--run", "both", "--",
                           *two_ranks(JOBS / "save_by_all.py", "ckpt")],
                          cwd=tmp_path, env=line.env, capture_output=True, text=True, timeout=300,
                          check=True)
    assert said.stdout.split() == ["saved", "saved"], said.stdout + said.stderr
    sidecar = json.loads((tmp_path / "ckpt.account.json").read_text())
    assert (sidecar["run"], sidecar["name"], sidecar["step"]) == ("both", "ckpt", 1)
    assert {p.name for p in tmp_path.iterdir()} == {"ckpt", "ckpt.account.json", "account"}


def test_a_sidecar_that_cannot_be_written_is_said_and_training_goes_on(
        tmp_path: pathlib.Path) -> None:
    line = Line(tmp_path)
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "ckpt.account.json").mkdir()  # in its way
    said = subprocess.run([sys.executable, JOBS / "save_by_all.py", "ckpt"], cwd=tmp_path,
                          env={**line.env, "ACCOUNT_RUN": "alone"}, capture_output=True, text=True,
                          timeout=120, check=True)
    assert "not saved" in said.stdout
    assert "ckpt.account.json" in said.stderr
    line.account("verify", "account/alone")


def test_what_only_a_record_can_answer_is_refused_of_a_run(story: Line) -> None:
    said = story.account("verify", "account/job-1", "--weights", "tuned", code=1)
    assert "leave them out" in said.stderr
