"""Estimates on meta and fake tensors are what the same step counts when it runs."""

import json
import subprocess
import sys

import pytest
import torch
from harness import script
from torch import nn
from torch.utils.checkpoint import checkpoint

import libaccount as account

transformers = pytest.importorskip("transformers")


class Convolutional(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3, groups=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2),
                         nn.Flatten(), nn.Linear(8 * 12 * 12, 10))


class Attentive(nn.Module):
    """With the fused op, forward and backward."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(32, 96)

    def forward(self, x):
        q, k, v = self.inner(x).view(2, 16, 3, 4, 8).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


STEPS = {
    "perceptron": (lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)),
                   lambda: torch.ones(4, 8)),
    "convolutions": (Convolutional, lambda: torch.ones(2, 3, 16, 16)),
    "attention": (Attentive, lambda: torch.ones(2, 16, 32)),
}


def step(net, x):
    net(x).sum().backward()


def words(counted):
    return (counted.executed, counted.model, counted.lower, counted.by_phase, counted.by_dtype)


@pytest.mark.parametrize("name", STEPS)
def test_meta_and_fake_tensors_count_what_real_ones_do(name):
    make, data = STEPS[name]
    with account.count() as real:
        step(make(), data())
    with torch.device("meta"):
        net, x = make(), data()
    estimated = account.estimate(step, net, x)
    assert words(estimated) == words(real)
    with torch._subclasses.FakeTensorMode():
        fake = account.estimate(step, make(), data())
    assert words(fake) == words(real)


def test_an_estimate_computes_and_counts_nothing():
    with torch.device("meta"):
        net, x = nn.Linear(8, 8), torch.ones(4, 8)
    with account.count() as c:
        account.estimate(step, net, x)
    assert c.executed == 0


def test_recomputation_is_told_apart():
    with torch.device("meta"):
        net, x = nn.Linear(8, 8), torch.ones(4, 8, requires_grad=True)
    product = 2 * 4 * 8 * 8
    estimated = account.estimate(lambda: checkpoint(net, x, use_reentrant=True).sum().backward())
    assert estimated.by_phase == {"forward": product, "recompute": product,
                                  "backward": 2 * product}
    assert estimated.model == 3 * product


@pytest.mark.parametrize(("kind", "backward"), [
    ("flash", 5), ("efficient", 5), ("cudnn", 5), ("math", 4)])
def test_attention_counts_as_the_target_devices_op(kind, backward):
    with torch.device("meta"):
        q = torch.ones(2, 3, 16, 8, dtype=torch.bfloat16, requires_grad=True)
    estimated = account.estimate(
        lambda: nn.functional.scaled_dot_product_attention(q, q, q).sum().backward(),
        attention=kind)
    unit = 2 * 2 * 3 * 16 * 16 * 8
    assert estimated.by_phase == {"forward": 2 * unit, "backward": backward * unit}
    # Without a fused kernel torch computes half types in float32.
    dtype = "float32" if kind == "math" else "bfloat16"
    assert estimated.by_dtype == {dtype: (2 + backward) * unit}


def test_a_llama_of_70_billion_parameters():
    config = transformers.LlamaConfig(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192,
        attn_implementation="sdpa")
    length = 4096
    # Transformers looks into the positions of a meta tensor, and not into those of a fake one.
    with torch._subclasses.FakeTensorMode():
        net = transformers.LlamaForCausalLM(config)
        ids = torch.ones(1, length, dtype=torch.long)
        estimated = account.estimate(lambda: net(ids, use_cache=False).logits.sum().backward())
    weights = 80 * (2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672) + 8192 * 128256
    attention = 80 * 2 * 64 * length**2 * 128  # of one product
    assert estimated.by_phase == {
        "forward": 2 * length * weights + 2 * attention,
        "backward": 2 * 2 * length * weights + 5 * attention}


def test_real_tensors_and_unknown_words_are_refused():
    with pytest.raises(account.Error, match="aten::addmm was called on a real one on cpu"):
        account.estimate(step, nn.Linear(8, 8), torch.ones(4, 8))
    with pytest.raises(account.Error, match="'ring' is no kind of attention"):
        account.estimate(lambda: None, attention="ring")


# ---- the command -----------------------------------------------------------------------------

GPT2 = {"model_type": "gpt2", "attn_pdrop": 0.0}  # with dropout a CPU has no fused attention
LLAMA_2_7B = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
              "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
              "vocab_size": 32000, "max_position_embeddings": 4096}
MIXTRAL_8X7B = {"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
                "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
                "vocab_size": 32000, "num_local_experts": 8, "num_experts_per_tok": 2}
SMALL_MIXTRAL = {"model_type": "mixtral", "hidden_size": 64, "intermediate_size": 96,
                 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                 "vocab_size": 512, "num_local_experts": 4, "num_experts_per_tok": 2}


def ask(*words, cwd=None, expect=0):
    done = subprocess.run([script("account"), "estimate", *map(str, words)], cwd=cwd,
                          capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def estimated(tmp_path, config, *words):
    (tmp_path / "config.json").write_text(json.dumps(config))
    return json.loads(ask(tmp_path, "--json", *words).stdout)


def counted_step(config, length):
    """The real step, with real weights, as it runs here."""
    words = transformers.AutoConfig.for_model(**config)
    words._attn_implementation = "sdpa"
    net = transformers.AutoModelForCausalLM.from_config(words, dtype=torch.float32)
    ids = torch.randint(0, words.vocab_size, (1, length))
    with account.count() as c:
        net(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    return c


@pytest.mark.parametrize("config", [GPT2, SMALL_MIXTRAL], ids=["gpt2-124m", "small-mixtral"])
def test_the_command_says_what_the_real_step_counts(tmp_path, config):
    got = estimated(tmp_path, config, "--sequence", 64, "--dtype", "float32")
    real = counted_step(config, 64)
    assert int(got["step"]["executed"]) == real.executed
    assert {word: int(n) for word, n in got["step"]["by_phase"].items()} == real.by_phase
    assert got["operations"] == got["step"]["executed"]


def test_the_command_says_what_a_hand_computes(tmp_path):
    length = 4096
    layer = 4 * 4096**2 + 3 * 4096 * 11008
    weights = 32 * layer + 4096 * 32000
    attention = 32 * 2 * 32 * length**2 * 128  # of one product
    got = estimated(tmp_path, LLAMA_2_7B, "--tokens", "2e12", "--device", "A100", "--devices", 1024,
                    "--price", "1.5", "--policy", "us-ca-sb1047-enrolled")
    assert got["step"]["parameters"] == "6738415616"
    assert int(got["step"]["executed"]) == 6 * length * weights + 7 * attention
    steps = -(-2 * 10**12 // length)
    assert int(got["steps"]) == steps
    assert int(got["operations"]) == steps * int(got["step"]["executed"])
    seconds = int(got["operations"]) / 312e12 / 0.4
    assert got["cost_usd"] == pytest.approx(seconds / 3600 * 1.5, rel=1e-6)
    assert got["verdicts"][0]["verdict"] == "below"


def test_the_command_knows_experts(tmp_path):
    length = 512
    attended = 4096 * (4096 + 2 * 1024 + 4096)  # queries, keys and values of 8 heads, output
    routed = 2 * 3 * 4096 * 14336 + 4096 * 8  # two experts a token, and the router
    weights = 32 * (attended + routed) + 4096 * 32000
    attention = 32 * 2 * 32 * length**2 * 128
    got = estimated(tmp_path, MIXTRAL_8X7B, "--sequence", length)
    assert got["step"]["parameters"] == "46702792704"
    assert int(got["step"]["executed"]) == 6 * length * weights + 7 * attention


def test_the_command_takes_a_function_and_this_python(tmp_path):
    (tmp_path / "train.py").write_text(
        "import torch\n"
        "def step():\n"
        "    torch.nn.Linear(64, 32, bias=False)(torch.ones(8, 64)).sum().backward()\n")
    got = json.loads(ask("train.py:step", "--steps", "10", "--json", cwd=tmp_path).stdout)
    assert int(got["operations"]) == 10 * 2 * 2 * 8 * 64 * 32
    said = subprocess.run(
        [sys.executable, "-m", "libaccount.estimate", "train.py:step", "--json"], cwd=tmp_path,
        capture_output=True, text=True, timeout=600, check=True).stdout
    assert json.loads(said)["step"] == got["step"]


@pytest.mark.parametrize(("words", "fault"), [
    (["nowhere"], "is neither a Transformers config that is there nor MODULE:FUNCTION"),
    (["bad.json"], "bad.json: it is no Transformers config"),
    (["train.py:nothing"], "train.py has no function 'nothing'"),
    (["train.py:broken"], "the step does not run on tensors without numbers"),
    (["none.py:step"], "none.py cannot be imported"),
    (["train.py:fine", "--batch", "2"], "a function's step says itself what it runs on"),
    (["config.json", "--batch", "two"], "'two' is no number"),
    (["config.json", "--sequence", "0"], "--sequence is 0"),
    (["train.py:fine", "--tokens", "5"], "give --steps in place of --tokens"),
    (["train.py:fine", "--price", "5"], "give --device"),
    (["train.py:fine", "--device", "abacus"], "no peak rate of the device 'abacus' is known"),
    (["train.py:fine", "--device", "A100", "--utilisation", "2"], "at most 1"),
])  # fmt: skip
def test_the_command_refuses_in_one_line(tmp_path, words, fault):
    (tmp_path / "bad.json").write_text("[]")
    (tmp_path / "train.py").write_text(
        "import torch\n"
        "def fine(): pass\n"
        "def broken(): return torch.ones(3).sum().item() > 2 and int(torch.ones(2)[0])\n")
    said = ask(*words, cwd=tmp_path, expect=1).stderr
    assert said.count("\n") == 1
    assert said.startswith("account: estimate: ")
    assert fault in said
