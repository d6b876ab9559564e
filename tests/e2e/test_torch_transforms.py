"""The same products in torch's other ways: torch.func, double backward, TorchScript, jagged.

Each number is the formula of the products that the calculus asks for, by hand.
"""

import pytest
import torch
from torch import nn

import libaccount as account

T = torch.ones
GEMM = 2 * 4 * 16 * 8  # a (4, 16) input with a (16, 8) weight, and each of its two gradients


# --- torch.func -----------------------------------------------------------------------------------

# Forward mode: torch's rule for mm has a term for each factor (derivatives.yaml: self_t.mm(mat2) +
# self.mm(mat2_t)). For a factor without a tangent zeros are made and multiplied: that did run.

@pytest.mark.parametrize(("call", "by_phase"), [
    # Of 32 outputs, a product backward for each.
    (lambda x, w: torch.func.jacrev(lambda a: a @ w)(x), {"forward": GEMM, "backward": 32 * GEMM}),
    # The value, a tangent of each of 64 inputs, and the weight's, which is zero.
    (lambda x, w: torch.func.jacfwd(lambda a: a @ w)(x), {"forward": (1 + 64 + 1) * GEMM}),
    (lambda x, w: torch.func.jvp(lambda a: a @ w, (x,), (x,)), {"forward": (1 + 1 + 1) * GEMM}),
    (lambda x, w: torch.func.vjp(lambda a: a @ w, x)[1](T(4, 8)),
     {"forward": GEMM, "backward": GEMM}),
    # The weight's gradient of each of 5 samples.
    (lambda x, w: torch.vmap(torch.func.grad(lambda b, a: (a @ b).sum()), (None, 0))(
        w, x.expand(5, 4, 16)), {"forward": 5 * GEMM, "backward": 5 * GEMM}),
], ids=["jacrev", "jacfwd", "jvp", "vjp", "gradients of each sample"])
def test_function_transforms_count_the_products_of_all_directions(call, by_phase):
    with account.count() as c:
        call(T(4, 16), T(16, 8))
    assert c.by_phase == by_phase
    assert (c.model, c.uncounted) == (c.executed, [])


# --- Gradients of gradients -----------------------------------------------------------------------


def test_a_gradient_penalty_counts_the_gradient_of_the_gradient():
    """FlopCounterMode raises here: its hooks on modules do not bear autograd.grad."""
    first, second = 2 * 4 * 16 * 16, 2 * 4 * 16 * 8
    net = nn.Sequential(nn.Linear(16, 16, bias=False), nn.ReLU(), nn.Linear(16, 8, bias=False))
    x = T(4, 16, requires_grad=True)
    with account.count() as c:
        (g,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
        (g.norm() - 1).square().backward()
    # The gradient: through both weights to the input. Its own: of the first product both factors;
    # of the second the weight, since the other factor is the constant gradient of a sum. And the
    # zeros that the rule of relu's gradient sends (derivatives.yaml, threshold_backward: self:
    # zeros_like) go on through the forward's first product, to input and weight.
    own = (2 * first + second) + 2 * first
    assert c.by_phase == {"forward": first + second, "backward": first + second + own}
    assert c.model == c.executed


def test_a_double_backward_goes_on_through_the_forward():
    x, w = T(4, 16, requires_grad=True), T(16, 8, requires_grad=True)
    with account.count() as c:
        (g,) = torch.autograd.grad((x @ w).square().sum(), x, create_graph=True)
        g.square().sum().backward()
    # One product to the gradient; then two of its factors and two of the forward's.
    assert c.by_phase == {"forward": GEMM, "backward": 5 * GEMM}


def test_a_hessian_vector_product():
    x, w, v = T(4, 16), T(16, 8), T(4, 16)
    with account.count() as c:
        torch.func.jvp(torch.func.grad(lambda a: (a @ w).square().sum()), (x,), (v,))
    # Of the forward and of its gradient: the value, its tangent, and the weight's tangent of zeros.
    assert c.by_phase == {"forward": 3 * GEMM, "backward": 3 * GEMM}


# --- TorchScript ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, T(4, 16))],
                         ids=["script", "trace"])
def test_torchscript_counts_the_same_before_and_after_it_optimizes(make):
    net = make(nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 16)))
    for _ in range(4):  # its executor profiles twice, then runs the optimized graph
        with account.count() as c:
            net(T(4, 16)).sum().backward()
        assert c.by_phase == {"forward": 2 * GEMM, "backward": 3 * GEMM}


# --- Sequences of several lengths -----------------------------------------------------------------

LENGTHS, HEADS, HEAD_WIDTH = (3, 5), 2, 8
WIDTH = HEADS * HEAD_WIDTH


def test_attention_of_jagged_tensors_is_padded_on_a_cpu_and_counts_so():
    q = torch.nested.nested_tensor([torch.randn(n, WIDTH) for n in LENGTHS], layout=torch.jagged,
                                   requires_grad=True)
    heads = q.unflatten(-1, (HEADS, HEAD_WIDTH)).transpose(1, 2)
    with account.count() as c:
        y = nn.functional.scaled_dot_product_attention(heads, heads, heads)
        y.values().sum().backward()
    # torch has no kernel of its own for them on a CPU: it pads, multiplies and cuts.
    product = 2 * len(LENGTHS) * HEADS * max(LENGTHS) ** 2 * HEAD_WIDTH
    assert c.by_phase == {"forward": 2 * product, "backward": 4 * product}
    assert c.uncounted == []


@pytest.mark.filterwarnings("ignore")
def test_an_encoder_that_drops_padding_counts_the_tokens_that_are_left():
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=True)
    net = nn.TransformerEncoder(layer, 1).eval()
    padding = torch.tensor([[i >= n for i in range(max(LENGTHS))] for n in LENGTHS])
    with account.count() as c, torch.no_grad():
        net(torch.randn(2, max(LENGTHS), WIDTH), src_key_padding_mask=padding)
    tokens = sum(LENGTHS)
    linear = 2 * tokens * (4 * WIDTH**2 + 2 * WIDTH * 32)
    # Scores and their product with the values are padded to the longest.
    attention = 2 * (2 * 2 * HEADS * max(LENGTHS) ** 2 * HEAD_WIDTH)
    assert c.executed == linear + attention
    assert c.uncounted == []
