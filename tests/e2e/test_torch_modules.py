"""Counts by module: forward, gradients and recomputation go to the module that made them."""

import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import libaccount as account

PRODUCT = 2 * 4 * 8 * 8  # of a [4,8] input and an [8,8] weight


def linear():
    return nn.Linear(8, 8)


class Net(nn.Module):
    """A layer, two in a row, and a product of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.rest = linear(), nn.Sequential(linear(), nn.ReLU(), linear())

    def forward(self, x):
        x = self.rest(self.first(x))
        return x @ x.T


def inputs():
    return torch.ones(4, 8)


OWN = 2 * 4 * 8 * 4


def test_a_modules_count_is_its_own_and_its_parts_forward_and_backward():
    net = Net()
    with account.count(by_module=True) as c:
        net(inputs()).sum().backward()
    # Backward: two gradients each, but of the first layer's input, which has none.
    assert c.by_module == {
        "Global": 3 * OWN + 8 * PRODUCT, "Net": 3 * OWN + 8 * PRODUCT,
        "Net.first": 2 * PRODUCT, "Net.rest": 6 * PRODUCT,
        "Net.rest.0": 3 * PRODUCT, "Net.rest.2": 3 * PRODUCT,
    }
    assert c.by_module["Global"] == c.executed


def test_it_says_what_flop_counter_mode_says():
    net = Net()
    with account.count(by_module=True) as c, FlopCounterMode(display=False) as theirs:
        net(inputs().requires_grad_()).sum().backward()
    assert c.get_flop_counts() == {
        name: dict(ops) for name, ops in theirs.get_flop_counts().items() if ops}
    assert c.get_total_flops() == theirs.get_total_flops()


def test_work_outside_of_all_modules_is_global_only():
    with account.count(by_module=True) as c:
        inputs() @ torch.ones(8, 8)
        linear()(inputs())
    assert c.by_module == {"Global": 2 * PRODUCT, "Linear": PRODUCT}


def test_recomputation_belongs_to_the_module_that_is_computed_again():
    net = nn.Sequential(linear(), nn.Sequential(linear(), linear()))
    with account.count(by_module=True) as c:
        x = inputs().requires_grad_()
        checkpoint(net, x, use_reentrant=True).sum().backward()
    assert c.by_phase == {"forward": 3 * PRODUCT, "recompute": 3 * PRODUCT,
                          "backward": 6 * PRODUCT}
    assert c.by_module == {"Global": 12 * PRODUCT, "Sequential": 12 * PRODUCT,
                           "Sequential.0": 4 * PRODUCT, "Sequential.1": 8 * PRODUCT,
                           "Sequential.1.0": 4 * PRODUCT, "Sequential.1.1": 4 * PRODUCT}


def test_a_module_that_is_called_twice_counts_twice_and_one_that_calls_itself_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear()

        def forward(self, x, again=True):
            x = self.layer(x)
            return self(x, again=False) if again else x

    with account.count(by_module=True) as c:
        Twice()(inputs())
    assert c.by_module == {"Global": 2 * PRODUCT, "Twice": 2 * PRODUCT,
                           "Twice.layer": 2 * PRODUCT}


def test_a_forward_that_raises_leaves_its_module():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    with account.count(by_module=True) as c:
        with pytest.raises(ValueError, match="no"):
            nn.Sequential(linear(), Fails())(inputs())
        inputs() @ torch.ones(8, 8)
    assert c.by_module == {"Global": 2 * PRODUCT, "Sequential": PRODUCT,
                           "Sequential.0": PRODUCT}


def test_threads_do_not_mix():
    class One(nn.Sequential):
        pass

    class Other(nn.Sequential):
        pass

    barrier = threading.Barrier(2, timeout=60)

    def train(net):
        x = inputs().requires_grad_()
        for _ in range(20):
            barrier.wait()
            net(x).sum().backward()

    nets = One(linear()), Other(linear(), linear())
    with account.count(by_module=True) as c:
        threads = [threading.Thread(target=train, args=(net,)) for net in nets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (c.by_module["One"], c.by_module["Other"]) == (60 * PRODUCT, 120 * PRODUCT)


def test_blocks_nest_and_the_last_one_takes_its_hooks_away():
    layer = linear()
    with account.count(by_module=True) as outer:
        layer(inputs())
        with account.count(by_module=True) as inner:
            layer(inputs())
        layer(inputs())
    assert inner.by_module == {"Global": PRODUCT, "Linear": PRODUCT}
    assert outer.by_module == {"Global": 3 * PRODUCT, "Linear": 3 * PRODUCT}
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    with account.count(by_module=True) as again:
        layer(inputs())
    assert again.by_module == {"Global": PRODUCT, "Linear": PRODUCT}


def test_without_modules_there_is_global_alone():
    with account.count() as c:
        linear()(inputs())
    assert c.get_flop_counts() == {"Global": {torch.ops.aten.addmm: PRODUCT}}
    with pytest.raises(ValueError, match="nothing was counted yet"):
        _ = account.count(by_module=True).by_module


def test_it_prints_a_table():
    with account.count(by_module=True) as c:
        Net()(inputs()).sum().backward()
    lines = str(c).splitlines()
    assert lines[0].split() == ["Module", "executed", "share", "backward", "forward"]
    assert lines[1].split() == ["Global", f"{c.executed:,}", "100.0", "%",
                                f"{c.by_phase['backward']:,}", f"{c.by_phase['forward']:,}"]
    assert [line.split()[0] for line in lines[2:]] == [
        "Net", "Net.first", "Net.rest", "Net.rest.0", "Net.rest.2"]
    assert "Net.rest" in c.get_table(depth=2)
    assert "Net.rest.0" not in c.get_table(depth=2)
    with account.count() as plain:
        linear()(inputs())
    assert "aten::addmm" in str(plain)
