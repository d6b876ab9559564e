"""Transformers' Trainer under `account run`: example.py, which knows nothing of libaccount."""

import json
import pathlib

import pytest
import trainers
from authority import Authority

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = trainers.Example(HERE / "example.py", "/usr/share/common-licenses/GPL-3",
                           TRANSFORMERS_VERBOSITY="error")
STEPS = 12


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> list[str]:
    losses = EXAMPLE.bare(tmp_path_factory.mktemp("bare"))
    assert len(losses) == len(set(losses)) == STEPS
    return losses


def test_it_counts_what_a_peer_counts_and_the_saved_model_carries_its_record(
        account, tmp_path, bare):
    report = trainers.check_counting(account, EXAMPLE, tmp_path, bare)
    assert report["steps"] == STEPS
    assert set(report["by_category"]) == {"train", "evaluate"}
    samples = 2 * STEPS * 2 * 2  # ranks, steps, accumulated batches, rows; what is evaluated is not
    assert (report["samples"], report["tokens"]) == (str(samples), str(samples * 32))

    # From the folder alone: the run's ledger is not asked.
    final = tmp_path / "counted" / "final"
    (tmp_path / "account").rename(tmp_path / "elsewhere")
    shown = json.loads(account("verify", final, "--json").stdout)
    assert shown["sums"]["own"]["low"] == report["operations"]
    assert shown["sums"]["complete"] is False  # nobody knows what its weights began from
    card = (final / "README.md").read_text()
    assert f"operations: \"{report['operations']}\"" in card
    assert "| us-ca-sb1047-enrolled" in card
    kept = {path.name for path in (tmp_path / "counted").glob("checkpoint-*")}
    assert kept == {f"checkpoint-{STEPS}", f"checkpoint-{STEPS}.account.json"}

    # Who knows says it. The next run begins from it, and says so by itself.
    (tmp_path / "elsewhere").rename(tmp_path / "account")
    account("record", tmp_path / "account/r", "--weights", final, "--kind", "pretraining")
    tuned = trainers.Example(HERE / "example.py", "/usr/share/common-licenses/GPL-2", "--base",
                             final, TRANSFORMERS_VERBOSITY="error")
    tuned.counted(account, tmp_path / "tuned", "tuned")
    (record,) = (tmp_path / "tuned" / "final").glob("*.compute.json")
    shown = json.loads(account("verify", record.parent, "--json").stdout)
    assert shown["kind"] == "fine-tune"
    assert shown["sums"]["base"]["low"] == report["operations"]
    assert shown["sums"]["complete"] is True
    assert account("prove", record.parent, "--below", "3e25").returncode == 0


def test_a_stop_ends_it_in_its_own_way_and_after_the_lift_it_goes_on(account, tmp_path, bare):
    authority = Authority(account, tmp_path, recovery=("safe",))
    output = tmp_path / "stopped"
    at_the_stop = trainers.stop_lift_and_go_on(account, authority, EXAMPLE, output, after=3)
    assert at_the_stop == bare[:len(at_the_stop)]
    assert 3 <= len(at_the_stop) < STEPS
    assert trainers.losses(output) == bare
    assert json.loads(account("verify", output / "final", "--json").stdout)["weights_checked"]
