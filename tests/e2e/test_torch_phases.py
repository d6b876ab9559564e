"""Forward, backward, recompute, optimizer: told from what autograd is doing."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import libaccount as account

GEMM = 2 * 4 * 16 * 16  # one product of a (4, 16) input with a (16, 16) weight


def model():
    return torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16))


def test_a_plain_step_is_forward_and_backward():
    net, x = model(), torch.ones(4, 16)
    with account.count() as c:
        net(x).sum().backward()
    # x needs no gradient: three products backward
    assert c.by_phase == {"forward": 2 * GEMM, "backward": 3 * GEMM}
    assert c.model == c.executed


def test_no_grad_is_forward():
    with account.count() as c, torch.no_grad():
        model()(torch.ones(4, 16))
    assert c.by_phase == {"forward": 2 * GEMM}


# Non-reentrant checkpointing stops early: the last product's output is not needed again.
@pytest.mark.parametrize(("reentrant", "recomputed"), [(False, 1), (True, 2)])
def test_checkpoint_recomputes_and_the_model_figure_leaves_it_out(reentrant, recomputed):
    net, x = model(), torch.ones(4, 16, requires_grad=True)
    with account.count() as c:
        checkpoint(net, x, use_reentrant=reentrant).sum().backward()
    assert c.by_phase == {
        "forward": 2 * GEMM,
        "recompute": recomputed * GEMM,
        "backward": 4 * GEMM,
    }
    assert c.model == 6 * GEMM
    assert c.executed == (6 + recomputed) * GEMM


def test_checkpoint_under_retain_graph_is_still_recompute():
    net, x = model(), torch.ones(4, 16, requires_grad=True)
    with account.count() as c:
        checkpoint(net, x, use_reentrant=False).sum().backward(retain_graph=True)
    assert c.by_phase["recompute"] == GEMM


def test_create_graph_is_backward_never_recompute():
    w = torch.ones(16, 16, requires_grad=True)
    x = torch.ones(4, 16, requires_grad=True)
    with account.count() as c:
        (g,) = torch.autograd.grad((x @ w).pow(2).sum(), x, create_graph=True)
        g.sum().backward()
    assert set(c.by_phase) == {"forward", "backward"}
    assert c.model == c.executed


def test_func_grad_is_backward():
    w = torch.ones(16, 16)
    with account.count() as c:
        torch.func.grad(lambda a: (a @ w).sum())(torch.ones(4, 16))
    assert c.by_phase == {"forward": GEMM, "backward": GEMM}


def test_a_custom_function_is_forward_and_backward():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(w)
            return x @ w

        @staticmethod
        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return g @ w.t(), None

    x = torch.ones(4, 16, requires_grad=True)
    with account.count() as c:
        Twice.apply(x, torch.ones(16, 16)).sum().backward()
    assert c.by_phase == {"forward": GEMM, "backward": GEMM}


class Multiplying(torch.optim.SGD):
    """An optimizer that multiplies matrices, as Muon and Shampoo do."""

    @torch.no_grad()
    def step(self, closure=None):
        if closure is not None:
            with torch.enable_grad():
                closure()
        torch.ones(4, 16) @ torch.ones(16, 16)


def test_an_optimizers_own_products_are_optimizer(tmp_path):
    net = torch.nn.Linear(16, 16)
    opt = Multiplying(net.parameters(), lr=0.1)
    run = account.start(dir=tmp_path)
    before = run.totals().by_phase

    def closure():
        net(torch.ones(4, 16)).sum().backward()

    opt.step(closure)
    after = run.totals().by_phase
    run.finish()
    got = {p: n - before.get(p, 0) for p, n in after.items() if n > before.get(p, 0)}
    assert got == {"forward": GEMM, "backward": GEMM, "optimizer": GEMM}
