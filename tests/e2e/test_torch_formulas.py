"""Each operation that has a formula, called for real, against integers worked out by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import libaccount as account

T = torch.ones


def out_of(*shape):
    return torch.empty(*shape)


# (name, call, op, executed, FlopCounterMode agrees). A multiply-add counts 2.
GEMMS = [
    ("mm", lambda: torch.mm(T(2, 3), T(3, 5)), "aten::mm", 2 * 2 * 3 * 5, True),
    ("mm.out", lambda: torch.mm(T(2, 3), T(3, 5), out=out_of(2, 5)), "aten::mm", 60, False),
    ("mm of nothing", lambda: torch.mm(T(2, 0), T(0, 5)), "aten::mm", 0, True),
    ("addmm", lambda: torch.addmm(T(5), T(2, 3), T(3, 5)), "aten::addmm", 60, True),
    (
        "addmm beta",
        lambda: torch.addmm(T(2, 5), T(2, 3), T(3, 5), beta=2, alpha=3),
        "aten::addmm",
        60,
        True,
    ),
    (
        "addmm.out",
        lambda: torch.addmm(T(5), T(2, 3), T(3, 5), out=out_of(2, 5)),
        "aten::addmm",
        60,
        False,
    ),
    ("addmm_", lambda: T(2, 5).addmm_(T(2, 3), T(3, 5)), "aten::addmm_", 60, False),
    ("bmm", lambda: torch.bmm(T(7, 2, 3), T(7, 3, 5)), "aten::bmm", 7 * 60, True),
    (
        "bmm.out",
        lambda: torch.bmm(T(7, 2, 3), T(7, 3, 5), out=out_of(7, 2, 5)),
        "aten::bmm",
        420,
        False,
    ),
    (
        "baddbmm",
        lambda: torch.baddbmm(T(7, 2, 5), T(7, 2, 3), T(7, 3, 5)),
        "aten::baddbmm",
        420,
        True,
    ),
    (
        "baddbmm.out",
        lambda: torch.baddbmm(T(5), T(7, 2, 3), T(7, 3, 5), out=out_of(7, 2, 5)),
        "aten::baddbmm",
        420,
        False,
    ),
    ("baddbmm_", lambda: T(7, 2, 5).baddbmm_(T(7, 2, 3), T(7, 3, 5)), "aten::baddbmm_", 420, False),
    (
        "linear 2-D",
        lambda: torch.nn.functional.linear(T(4, 3), T(5, 3), T(5)),
        "aten::addmm",
        2 * 4 * 3 * 5,
        True,
    ),
    ("matmul 3-D by 2-D", lambda: T(2, 4, 3) @ T(3, 5), "aten::mm", 2 * 8 * 3 * 5, True),
    (
        "einsum",
        lambda: torch.einsum("bij,bjk->bik", T(2, 3, 4), T(2, 4, 5)),
        "aten::bmm",
        2 * 2 * 3 * 4 * 5,
        True,
    ),
]

conv = torch.nn.functional
CONVOLUTIONS = [
    # outputs x (in channels a group) x kernel x 2
    ("conv1d", lambda: conv.conv1d(T(2, 3, 10), T(4, 3, 3)), 2 * (2 * 4 * 8) * 3 * 3),
    ("conv2d", lambda: conv.conv2d(T(2, 3, 8, 8), T(4, 3, 3, 3)), 2 * (2 * 4 * 6 * 6) * 3 * 9),
    (
        "conv2d padded, strided",
        lambda: conv.conv2d(T(1, 3, 8, 8), T(4, 3, 3, 3), padding=1, stride=2),
        2 * (4 * 4 * 4) * 27,
    ),
    (
        "conv2d with bias",
        lambda: conv.conv2d(T(1, 3, 8, 8), T(4, 3, 3, 3), T(4)),
        2 * (4 * 36) * 27,
    ),
    (
        "conv2d dilated",
        lambda: conv.conv2d(T(1, 3, 8, 8), T(4, 3, 3, 3), dilation=2),
        2 * (4 * 16) * 27,
    ),
    (
        "conv2d grouped",
        lambda: conv.conv2d(T(1, 4, 8, 8), T(6, 2, 3, 3), groups=2),
        2 * (6 * 36) * 2 * 9,
    ),
    (
        "conv2d depthwise",
        lambda: conv.conv2d(T(1, 4, 8, 8), T(4, 1, 3, 3), groups=4),
        2 * (4 * 36) * 9,
    ),
    ("conv3d", lambda: conv.conv3d(T(1, 2, 4, 4, 4), T(3, 2, 2, 2, 2)), 2 * (3 * 27) * 2 * 8),
    # transposed: each input goes through the whole kernel once
    (
        "conv_transpose2d",
        lambda: conv.conv_transpose2d(T(1, 3, 8, 8), T(3, 4, 3, 3)),
        2 * (3 * 64) * 4 * 9,
    ),
]


@pytest.mark.parametrize(
    ("call", "op", "expected", "peer"), [c[1:] for c in GEMMS], ids=[c[0] for c in GEMMS]
)
def test_gemm_counts_two_operations_a_multiply_add(call, op, expected, peer):
    with account.count() as c:
        call()
    assert c.executed == c.model == c.lower == c.upper == expected
    assert c.by_op == {op: expected}
    if peer:
        with FlopCounterMode(display=False) as flops:
            call()
        assert flops.get_total_flops() == expected


@pytest.mark.parametrize(
    ("call", "expected"), [c[1:] for c in CONVOLUTIONS], ids=[c[0] for c in CONVOLUTIONS]
)
def test_convolution_counts_each_output_once(call, expected):
    with account.count() as c:
        call()
    assert c.by_op == {"aten::convolution": expected}
    with FlopCounterMode(display=False) as flops:
        call()
    assert flops.get_total_flops() == expected


@pytest.mark.parametrize("onednn", [True, False], ids=["oneDNN", "native kernels"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_counts_the_same_whatever_kernel_runs(onednn, groups):
    x, w = T(2, 4, 8, 8, requires_grad=True), T(6, 4 // groups, 3, 3, requires_grad=True)
    forward = 2 * (2 * 6 * 36) * (4 // groups) * 9
    with torch.backends.mkldnn.flags(enabled=onednn), account.count() as c:
        conv.conv2d(x, w, groups=groups).sum().backward()
    assert c.by_op == {"aten::convolution": forward, "aten::convolution_backward": 2 * forward}


@pytest.mark.parametrize(
    ("wants", "gradients"),
    [((True, True), 2), ((False, True), 1), ((True, False), 1)],
    ids=["both", "weight", "input"],
)
def test_convolution_backward_counts_only_the_gradients_asked_for(wants, gradients):
    x = T(2, 3, 8, 8, requires_grad=wants[0])
    w = T(4, 3, 3, 3, requires_grad=wants[1])
    b = T(4, requires_grad=True)
    out = conv.conv2d(x, w, b)
    with account.count() as c:
        out.sum().backward()
    assert c.by_op == {"aten::convolution_backward": gradients * 2 * (2 * 4 * 36) * 27}


def test_convolution_backward_agrees_with_torchs_counter_where_it_is_right():
    def step():
        x, w = T(2, 3, 8, 8, requires_grad=True), T(4, 3, 3, 3, requires_grad=True)
        conv.conv2d(x, w, padding=1).sum().backward()

    with account.count() as c:
        step()
    with FlopCounterMode(display=False) as flops:
        step()
    assert c.executed == flops.get_total_flops() == 3 * 2 * (2 * 4 * 64) * 27


def test_attention_counts_its_kernel():
    batch, heads, queries, keys, depth = 2, 3, 16, 16, 8
    q, k, v = (T(batch, heads, n, depth, requires_grad=True) for n in (queries, keys, keys))
    with account.count() as c:
        torch.nn.functional.scaled_dot_product_attention(q, k, v).sum().backward()
    product = 2 * batch * heads * queries * keys * depth  # one of its matrix products
    assert c.by_op == {
        "aten::_scaled_dot_product_flash_attention_for_cpu": 2 * product,
        "aten::_scaled_dot_product_flash_attention_for_cpu_backward": 5 * product,  # scores again
    }
    assert c.model == 6 * product
    assert c.by_phase == {"forward": 2 * product, "backward": 5 * product}


def test_a_causal_mask_lowers_only_the_lower_figure():
    n = 16
    q = T(1, 1, n, 8)
    with account.count() as c:
        torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert c.executed == 2 * 2 * n * n * 8
    assert c.lower == 2 * 2 * (n * (n + 1) // 2) * 8


def test_explicit_attention_agrees_with_torchs_counter():
    def attention():
        q = T(2, 3, 16, 8, requires_grad=True)
        ((q @ q.transpose(-1, -2)).softmax(-1) @ q).sum().backward()

    with account.count() as c:
        attention()
    with FlopCounterMode(display=False) as flops:
        attention()
    assert c.executed == flops.get_total_flops() == 6 * 2 * 2 * 3 * 16 * 16 * 8
