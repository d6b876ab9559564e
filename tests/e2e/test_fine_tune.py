"""The example of the demo, with a model of the same kind that trains in seconds."""

import argparse
import json
import pathlib
import sys

import checks
import closed_form
import harness
import pytest

EXAMPLE = harness.ROOT / "examples" / "fine_tune"
PLAN = argparse.Namespace(steps=6, batch=2, length=16, held_out=3, evaluations=3)
OPTIONS = ["--steps", "6", "--batch", "2", "--length", "16", "--held-out", "3",
           "--evaluations", "3", "--learning-rate", "0.01", "--dtype", "float32"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A Llama of two layers with grouped queries, and a text that it can learn: a cycle."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("data")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, vocab_size=61, tie_word_embeddings=True,
        max_position_embeddings=64)).save_pretrained(folder / "model")
    torch.save((torch.arange(16 * 100) % 7).to(torch.int32), folder / "tokens.pt")
    return folder


def train(data: pathlib.Path, losses: pathlib.Path) -> list[str]:
    return [str(EXAMPLE / "train.py"), str(data), *OPTIONS, "--losses", str(losses)]


def test_two_ranks_are_counted_to_the_last_operation_and_losses_are_untouched(
        account, data, tmp_path):
    """The headline promise, in one job with `account run`, one without, and one single process."""
    bare, counted = tmp_path / "bare.json", tmp_path / "counted.json"
    harness.run_job(harness.two_ranks(*train(data, bare)), tmp_path / "bare.log")
    assert not (tmp_path / "account").exists(), "without account run nothing is written"
    harness.run_job(account.run_command("--run", "two", command=harness.two_ranks(
        *train(data, counted))), tmp_path / "counted.log")
    harness.run_job(account.run_command("--run", "one", command=[
        sys.executable, *train(data, tmp_path / "one.json")]), tmp_path / "one.log")

    # JSON carries each double with all its digits: equal text is bit-equal losses.
    assert counted.read_text() == bare.read_text()
    held_out = json.loads(counted.read_text())["held_out"]
    assert len(held_out) == 3 and held_out[-1] < held_out[0]

    config = data / "model/config.json"
    totals = {}
    for name, ranks in (("two", 2), ("one", 1)):
        run = tmp_path / "account" / name
        report = account("verify", run, "--json").stdout
        checks.equals_closed_form(report, config, PLAN, ranks)
        totals[name] = int(json.loads(report)["operations"])
        assert json.loads(report)["steps"] == PLAN.steps
        assert json.loads(report)["ranks"] == ranks
    assert totals["two"] == 2 * totals["one"]


@pytest.mark.parametrize("way", [[], ["--compile"]], ids=["eager", "compiled"])
def test_fifty_losses_are_untouched_to_the_last_bit(account, data, tmp_path, way):
    """And compiled code counts what eager code does."""
    def command(name):
        return [sys.executable, str(EXAMPLE / "train.py"), str(data), *OPTIONS, *way, "--steps",
                "50", "--losses", str(tmp_path / f"{name}.json")]

    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    harness.run_job(command("bare"), tmp_path / "bare.log", **cache)
    harness.run_job(account.run_command("--run", "fifty", command=command("counted")),
                    tmp_path / "counted.log", **cache)
    counted = json.loads((tmp_path / "counted.json").read_text())
    assert counted == json.loads((tmp_path / "bare.json").read_text())
    assert len(counted["training"]) == 50
    report = account.verify(tmp_path / "account/fifty")
    plan = argparse.Namespace(**vars(PLAN) | {"steps": 50, "ranks": 1})
    formula = closed_form.fine_tune(closed_form.Llama.read(data / "model/config.json"), plan)
    assert int(report["operations"]) == formula["operations"]


def test_the_closed_form_notices_a_step_more_or_less(data):
    """The check above can fail: a plan with one step more has another total."""
    model = closed_form.Llama.read(data / "model/config.json")
    plan = argparse.Namespace(**vars(PLAN) | {"ranks": 2})
    formula = closed_form.fine_tune(model, plan)
    ways = {way: formula[way] for way in ("by_op", "by_phase", "by_category")}
    ranks = [{"rank": int(rank), "operations": n} for rank, n in formula["by_rank"].items()]
    report = json.dumps(ways | {"operations": str(formula["operations"] + 1),
                                "incarnations": ranks})
    with pytest.raises(checks.NotAsItMustBe, match="closed formula"):
        checks.equals_closed_form(report, data / "model/config.json", PLAN, 2)


def test_explicit_attention_equals_flop_counter_mode(data, tmp_path):
    output = harness.run_job(
        [sys.executable, str(EXAMPLE / "same_as_flop_counter.py"), str(data / "model"),
         "--length", "16"], tmp_path / "log")
    model = closed_form.Llama.read(data / "model/config.json")
    formula = model.forward(2, 16, "eager") + model.backward(2, 16, "eager")
    assert output.count(f"{formula.total():,}") == 2, output
