"""Whole models, forward and backward, against closed formulas in their configurations.

Where torch's FlopCounterMode says something else, the test says why.
"""

import nets
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import libaccount as account

transformers = pytest.importorskip("transformers")


def step(net, *inputs, train=True, **keywords):
    """One forward and backward, counted by us and by torch."""
    with account.count() as ours, FlopCounterMode(display=False) as theirs:
        output = net(*inputs, **keywords)
        if train:
            getattr(output, "logits", output).sum().backward()
    assert ours.uncounted == []
    assert set(ours.by_dtype) == {"float32"}
    return ours, theirs.get_total_flops()


# --- Vision ---------------------------------------------------------------------------------------

# Input and output channels, kernel, output side: arXiv 1512.03385, table 1, and the shortcuts.
RESNET18 = [(3, 64, 7, 112), *[(64, 64, 3, 56)] * 4,
            (64, 128, 3, 28), *[(128, 128, 3, 28)] * 3, (64, 128, 1, 28),
            (128, 256, 3, 14), *[(256, 256, 3, 14)] * 3, (128, 256, 1, 14),
            (256, 512, 3, 7), *[(512, 512, 3, 7)] * 3, (256, 512, 1, 7)]


def test_resnet18():
    layers = [2 * side**2 * a * b * k**2 for a, b, k, side in RESNET18] + [2 * 512 * 1000]
    ours, theirs = step(nets.resnet18(), torch.ones(1, 3, 224, 224))
    assert ours.by_phase == {"forward": 3628146688, "backward": 2 * 3628146688 - layers[0]}
    assert sum(layers) == 3628146688
    assert ours.executed == theirs


def test_mobilenet_v2():
    layers = nets.mobilenet_v2_layers()
    forward = sum(2 * n for n, _ in layers)
    backward = sum(2 * n * (2 if gradient else 1) for n, gradient in layers)
    net = nets.mobilenet_v2().eval()  # of one image, the last batch norms have no statistics
    ours, theirs = step(net, torch.ones(1, 3, 224, 224))
    assert ours.by_phase == {"forward": forward, "backward": backward}
    assert ours.executed == 1782969600
    # It forgets the groups in the gradient of a depthwise weight.
    assert theirs == 12279700992


def test_vit():
    width, inner, layers, side = 64, 128, 2, 4
    config = transformers.ViTConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_labels=10,
        num_attention_heads=4, image_size=32, patch_size=8, attn_implementation="eager")
    net = transformers.ViTForImageClassification(config)
    tokens = side**2 + 1  # and the class token
    patches = 2 * 2 * side**2 * width * 3 * 8 * 8
    block = 2 * 2 * tokens * (4 * width**2 + 2 * width * inner) + 4 * 2 * tokens**2 * width
    head = 2 * 2 * width * 10
    ours, theirs = step(net, pixel_values=torch.ones(2, 3, 32, 32))
    forward = patches + layers * block + head
    assert ours.by_phase == {"forward": forward, "backward": 2 * forward - patches}
    assert ours.executed == theirs


# --- Language -------------------------------------------------------------------------------------


def test_gpt2_of_124_million_parameters():
    config = transformers.GPT2Config(attn_implementation="eager")
    width, layers, tokens = 768, 12, 1024
    block = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width
    head = 2 * tokens * width * 50257
    net = transformers.GPT2LMHeadModel(config)
    ours, theirs = step(net, torch.ones(1, tokens, dtype=torch.long))
    forward = layers * block + head
    assert ours.by_phase == {"forward": forward, "backward": 2 * forward}
    assert ours.executed == theirs == 874944921600


WIDTH, INNER, LAYERS, HEADS, SHARED, VOCABULARY = 64, 96, 2, 4, 2, 100
BATCH, LENGTH = 2, 16
TOKENS, HEAD_WIDTH = BATCH * LENGTH, WIDTH // HEADS
LLAMA = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
         "num_attention_heads": HEADS, "num_key_value_heads": SHARED, "vocab_size": VOCABULARY,
         "max_position_embeddings": 64}
# Query and output projections, and keys and values for fewer heads.
PROJECTIONS = 2 * TOKENS * (2 * WIDTH**2 + 2 * WIDTH * SHARED * HEAD_WIDTH)
SCORES = 2 * BATCH * HEADS * LENGTH**2 * HEAD_WIDTH  # of one product
HEAD = 2 * TOKENS * WIDTH * VOCABULARY


def ids():
    return torch.arange(TOKENS).view(BATCH, LENGTH) % VOCABULARY


@pytest.mark.parametrize(("attention", "backward_products"), [("eager", 4), ("sdpa", 5)])
def test_llama_with_shared_key_heads(attention, backward_products):
    net = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**LLAMA, attn_implementation=attention))
    ours, theirs = step(net, ids())
    linear = LAYERS * (PROJECTIONS + 2 * TOKENS * 3 * WIDTH * INNER) + HEAD
    assert ours.by_phase == {
        "forward": linear + LAYERS * 2 * SCORES,
        "backward": 2 * linear + LAYERS * backward_products * SCORES,
    }
    assert ours.executed - ours.model == (backward_products - 4) * LAYERS * SCORES
    if attention == "eager":
        assert ours.executed == theirs


@pytest.mark.parametrize("experts", ["eager", "grouped_mm"])
def test_mixtral_counts_each_token_at_each_of_its_experts(experts):
    of_each, all_experts = 2, 4
    net = transformers.MixtralForCausalLM(transformers.MixtralConfig(
        **LLAMA, num_local_experts=all_experts, num_experts_per_tok=of_each,
        attn_implementation="eager", experts_implementation=experts))
    ours, _ = step(net, ids())
    linear = LAYERS * (PROJECTIONS + 2 * TOKENS * WIDTH * all_experts
                       + of_each * 2 * TOKENS * 3 * WIDTH * INNER) + HEAD
    assert ours.by_phase == {
        "forward": linear + LAYERS * 2 * SCORES,
        "backward": 2 * linear + LAYERS * 4 * SCORES,
    }
    assert ("aten::_grouped_mm" in ours.by_op) == (experts == "grouped_mm")


def bert():
    """Norms behind the sums: its compiler moves nodes of the backward into the forward."""
    config = transformers.BertConfig(
        hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, vocab_size=VOCABULARY, max_position_embeddings=64)
    return transformers.BertForMaskedLM(config)


@pytest.mark.parametrize("make", [
    lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)), bert])
def test_a_compiled_model_counts_as_it_does_without_the_compiler(make):
    net = make().eval()
    eager, _ = step(net, ids())
    compiled = torch.compile(net)
    compiled(ids()).logits.sum().backward()
    with account.count() as ours:
        compiled(ids()).logits.sum().backward()
    assert ours.uncounted == []
    assert ours.by_phase == eager.by_phase
    assert (ours.model, ours.lower, ours.by_dtype) == (eager.model, eager.lower, eager.by_dtype)


class LanguageModel(nn.Module):
    """Recurrent, over two layers."""

    def __init__(self, kind):
        super().__init__()
        self.words, self.head = nn.Embedding(50, 16), nn.Linear(32, 50)
        self.body = kind(16, 32, num_layers=2, batch_first=True)

    def forward(self, x):
        return self.head(self.body(self.words(x))[0])


# A GRU runs as products on a CPU, and there the first state, which is constant, has no gradient.
@pytest.mark.parametrize(("kind", "gates", "spared"), [
    (nn.LSTM, 4, 0), (nn.GRU, 3, 2 * 2 * 3 * 3 * 32 * 32)])
def test_recurrent_language_models(kind, gates, spared):
    ours, _ = step(LanguageModel(kind), torch.ones(3, 7, dtype=torch.long))
    forward = 2 * 3 * 7 * (gates * 32 * (16 + 32 + 32 + 32) + 32 * 50)
    assert ours.by_phase == {"forward": forward, "backward": 2 * forward - spared}


class Adapted(nn.Module):
    """A frozen weight and a low-rank one beside it: Hu et al. 2021, arXiv 2106.09685."""

    def __init__(self, width, rank):
        super().__init__()
        self.frozen = nn.Linear(width, width).requires_grad_(False)
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width, bias=False)

    def forward(self, x):
        return self.frozen(x) + self.up(self.down(x))


def test_a_lora_fine_tune_has_no_gradient_of_frozen_weights():
    tokens, width, rank = 8, 32, 4
    net = nn.Sequential(Adapted(width, rank), nn.GELU(), Adapted(width, rank))
    ours, theirs = step(net, torch.ones(tokens, width))
    square, thin = 2 * tokens * width**2, 2 * tokens * width * rank
    # Backward: of `up` weight and input, of `down` weight; behind the first layer also the inputs
    # of `down` and of the frozen weight.
    assert ours.by_phase == {"forward": 2 * (square + 2 * thin),
                             "backward": 3 * thin + (square + 4 * thin)}
    assert ours.executed == theirs


# --- Ways to run a model --------------------------------------------------------------------------


def test_generation_with_a_cache_counts_each_token_once():
    net = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **LLAMA, attn_implementation="eager")).eval()
    new = 5
    with account.count() as c, account.category("generate"):
        net.generate(ids()[:1], max_new_tokens=new, min_new_tokens=new, do_sample=False,
                     pad_token_id=0)
    per_token = LAYERS * (PROJECTIONS + 2 * TOKENS * 3 * WIDTH * INNER) // TOKENS
    pairs = LENGTH**2 + sum(LENGTH + i for i in range(1, new))
    head = new * 2 * WIDTH * VOCABULARY  # of the last position only
    attention = LAYERS * 4 * pairs * WIDTH
    assert c.by_category == {
        "generate": (LENGTH + new - 1) * per_token + attention + head}


def test_gradient_checkpointing_by_transformers_is_recomputation():
    net = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **LLAMA, attn_implementation="eager")).train()
    net.gradient_checkpointing_enable({"use_reentrant": True})
    net.enable_input_require_grads()
    ours, _ = step(net, ids())
    block = PROJECTIONS + 2 * TOKENS * 3 * WIDTH * INNER + 2 * SCORES
    forward = LAYERS * block + HEAD
    assert ours.by_phase == {"forward": forward, "recompute": LAYERS * block,
                             "backward": 2 * forward}
    assert ours.model == 3 * forward


def test_autocast_changes_the_type_and_not_the_number():
    net = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **LLAMA, attn_implementation="eager"))
    with account.count() as c, torch.autocast("cpu", torch.bfloat16):
        net(ids())
    linear = LAYERS * (PROJECTIONS + 2 * TOKENS * 3 * WIDTH * INNER) + HEAD
    assert c.by_dtype == {"bfloat16": linear + LAYERS * 2 * SCORES}
