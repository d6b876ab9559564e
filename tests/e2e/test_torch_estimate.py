"""Estimates on meta and fake tensors are what the same step counts when it runs."""

import pytest
import torch
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
