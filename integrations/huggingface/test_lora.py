"""TRL's SFTTrainer with a PEFT adapter under `account run`: example_lora.py, as it stands."""

import json
import pathlib

import pytest
import trainers
from authority import Authority

EXAMPLE = trainers.Example(pathlib.Path(__file__).resolve().parent / "example_lora.py",
                           "/usr/share/common-licenses/GPL-3", TRANSFORMERS_VERBOSITY="error")
STEPS = 10


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> list[str]:
    losses = EXAMPLE.bare(tmp_path_factory.mktemp("bare"))
    assert len(losses) == len(set(losses)) == STEPS
    return losses


def test_it_counts_what_a_peer_counts_and_the_adapter_carries_its_record(account, tmp_path, bare):
    report = trainers.check_counting(account, EXAMPLE, tmp_path, bare)
    assert report["steps"] == STEPS
    assert set(report["by_category"]) == {"train"}
    final = tmp_path / "counted" / "final"
    shown = json.loads(account("verify", final, "--json").stdout)
    assert shown["kind"] == "adapter" and shown["weights_checked"] is True
    assert shown["sums"]["own"]["low"] == report["operations"]
    assert "library_name: peft" in (final / "README.md").read_text()


def test_after_a_stop_the_adapter_goes_on(account, tmp_path, bare):
    authority = Authority(account, tmp_path, recovery=("safe",))
    output = tmp_path / "stopped"
    at_the_stop = trainers.stop_lift_and_go_on(account, authority, EXAMPLE, output, after=3)
    assert at_the_stop == bare[:len(at_the_stop)]
    assert 3 <= len(at_the_stop) < STEPS
    assert trainers.losses(output) == bare
