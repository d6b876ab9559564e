"""The audit: what ops without a formula did, estimated and bounded, beside what was counted."""

import threading
import time

import harness
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import libaccount as account
from libaccount import _compile, _core, _plan

transformers = pytest.importorskip("transformers")


def estimates(c):
    return {entry["op"]: entry["estimate"] for entry in c.audited if entry["estimate"]}


def test_pointwise_work_of_a_step_is_estimated_op_by_op():
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GELU(), torch.nn.LayerNorm(8))
    optimizer = torch.optim.AdamW(net.parameters(), foreach=False)
    net(torch.ones(4, 8)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    with account.count(audit=True) as c:
        net(torch.ones(4, 8)).sum().backward()
        optimizer.step()
    activations, parameters = 4 * 8, 8 * 8 + 3 * 8
    assert estimates(c) == {
        "aten::gelu": 6 * activations, "aten::gelu_backward": 12 * activations,
        "aten::native_layer_norm": 8 * activations,
        "aten::native_layer_norm_backward": 14 * activations,
        "aten::sum": 2 * activations,  # the loss, and the gradient of the bias
        # AdamW: decay and second moment, first moment, second moment, its root, division by the
        # correction, epsilon, and the step; and one addition to each of four step numbers.
        "aten::mul_": 2 * parameters, "aten::lerp_": 3 * parameters,
        "aten::addcmul_": 3 * parameters, "aten::sqrt": parameters, "aten::div": parameters,
        "aten::add_": parameters + 4, "aten::addcdiv_": 3 * parameters,
    }
    assert c.upper == c.executed + sum(entry["bound"] for entry in c.audited)
    assert all(entry["bound"] >= entry["estimate"] for entry in c.audited)


def test_what_is_not_audited_is_neither_slowed_nor_bounded():
    with account.count(audit=True):
        torch.ones(4).exp()
    with account.count() as c:
        torch.ones(4).exp()
        torch.ones(4, 4) @ torch.ones(4, 4)
    assert c.audited == []
    assert c.upper == c.executed == 128


def test_moving_data_is_no_work_and_an_op_hides_what_it_runs_inside():
    with account.count(audit=True) as c:
        torch.ones(4, 4).t().contiguous().reshape(2, 8)[0].clone()
        torch.cat([torch.zeros(3), torch.ones(2)])
        torch.nn.functional.softmax(torch.ones(4, 8), dim=1)
    assert estimates(c) == {"aten::_softmax": 5 * 32}


def test_lists_of_tensors_and_broadcasts_count_all_their_elements():
    with account.count(audit=True) as c:
        torch._foreach_add([torch.ones(3), torch.ones(4, 2)], 1.0)
        torch.ones(5, 1) * torch.ones(1, 7)
    assert estimates(c) == {"aten::_foreach_add": 11, "aten::mul": 35}


def test_an_op_that_nobody_knows_has_a_wide_bound():
    with account.count(audit=True) as c:
        torch.special.i0(torch.ones(10))
    (entry,) = c.audited
    assert (entry["op"], entry["estimate"], entry["bound"]) == ("aten::i0", 10, 640)


def test_threads_wrapped_and_shape_only_tensors():
    with account.count(audit=True) as c:
        thread = threading.Thread(target=lambda: torch.ones(6).exp())
        thread.start()
        thread.join()
        torch.ones(3, device="meta").exp()
        with torch._subclasses.FakeTensorMode():
            torch.ones(3).exp()
        torch.vmap(torch.exp)(torch.ones(4, 2))
        checkpoint(torch.exp, torch.ones(5, requires_grad=True), use_reentrant=False)
    assert estimates(c) == {"aten::exp": 6 + 4 * 2 + 5}


def test_blocks_nest_and_each_has_its_own():
    with account.count(audit=True) as outer:
        torch.ones(4).exp()
        with account.count(audit=True) as inner:
            torch.ones(6).log()
        torch.ones(8).exp()
    assert estimates(inner) == {"aten::log": 6}
    assert estimates(outer) == {"aten::exp": 12, "aten::log": 6}


def test_a_runs_first_steps_are_audited_into_its_evidence_and_bound_the_rest(tmp_path):
    net = torch.nn.Linear(8, 8, bias=False)
    run = account.start(dir=tmp_path, run="audited")
    for _ in range(20):
        net(torch.ones(4, 8)).exp().sum().backward()
        run.step()
        time.sleep(0.1)  # so that the keeper has taken the first step's transcript
    live = run.totals()
    run.finish()
    report = harness.Account().verify(run.directory)
    product = 2 * 4 * 8 * 8
    assert int(report["operations"]) == 20 * 2 * product
    assert report["audited_steps"] >= 1  # soon after the first
    # By hand, of a step on [4,8]: exp, bounded by 24, its gradient, a product, and a sum, twice
    # each. The accumulated gradient of the [8,8] weight is added from the second step on.
    step = (24 + 2 + 2) * 32
    bound = int(report["audit_bound"])
    assert 21 * step <= bound <= 21 * (step + 2 * 64)
    assert int(report["upper"]) == int(report["operations"]) + bound
    assert live.upper >= live.executed + 20 * step


def test_the_estimate_of_gpt2_is_near_a_full_hand_count_and_its_bound_is_small():
    config = transformers.GPT2Config(attn_implementation="eager")
    net = transformers.GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(net.parameters(), foreach=False)
    ids = torch.randint(50257, (1, 1024))
    with account.count(audit=True) as c:
        net(ids, labels=ids).loss.backward()
        optimizer.step()
    layers, n, m = 12, 1024 * 768, 1024 * 4 * 768  # activations, and inside the MLP
    scores, logits = 12 * 1024 * 1024, 1024 * 50257
    parameters = 50257 * 768 + 1024 * 768 + 12 * (12 * 768**2 + 13 * 768) + 2 * 768
    assert parameters == 124_439_808
    # Forward: two norms of 8; scores are scaled, masked, normalised (5) and dropped out (3); two
    # dropouts of 3 and two additions; gelu with a tanh and a cube, of 8.
    forward = layers * (2 * 8 * n + (1 + 1 + 5 + 3) * scores + (2 * 3 + 2) * n + 8 * m)
    # Backward: two norms of 14; dropouts of 2; softmax of 4, scale; gradients of residuals and
    # biases; gelu: of the cube 3, of tanh 3, products 5, sums 2.
    backward = layers * (2 * 14 * n + (2 + 4 + 1) * scores + (2 * 2 + 2 + 9) * n + 13 * m)
    # Log-softmax and its gradient, and that of the loss; embeddings; the shared weight's gradient.
    ends = (5 + 4 + 1) * logits + (3 + 1 + 8 + 14) * n + 2 * 50257 * 768
    by_hand = forward + backward + ends + 14 * parameters
    estimate = sum(entry["estimate"] for entry in c.audited)
    assert by_hand / 1.1 <= estimate <= by_hand * 1.1, (estimate / by_hand)
    assert c.executed == 874944921600
    assert c.executed / c.upper >= 0.97, c.executed / c.upper
    compiled = torch.compile(net)
    compiled(ids, labels=ids).loss.backward()
    with account.count(audit=True) as c:
        compiled(ids, labels=ids).loss.backward()
        optimizer.step()
    # Softmax, GELU and random numbers are computed again in the backward.
    estimate = sum(entry["estimate"] for entry in c.audited)
    assert by_hand <= estimate <= by_hand * 1.25, (estimate / by_hand)
    assert c.executed == 874944921600
    assert c.executed / c.upper >= 0.965, c.executed / c.upper


@torch.library.custom_op("account_test::softened", mutates_args=())
def softened(x: torch.Tensor) -> torch.Tensor:
    return x.exp().log()


softened.register_fake(torch.empty_like)


def test_what_an_opaque_op_runs_inside_a_compiled_graph_is_audited_once():
    with account.count():
        pass
    f = torch.compile(lambda x: softened(x + 1).sqrt())
    f(torch.ones(8))
    with account.count(audit=True) as c:
        f(torch.ones(8))
    assert estimates(c) == {"aten::add": 8, "aten::exp": 8, "aten::log": 8, "aten::sqrt": 8}


def test_trouble_with_pointwise_work_of_a_graph_costs_no_count(monkeypatch):
    def trouble(values):
        raise TypeError

    with account.count():
        pass
    monkeypatch.setattr(_plan, "_numels", trouble)
    f = torch.compile(lambda x: (x @ x).exp().sin())
    with torch._inductor.config.patch(force_disable_caches=True):
        f(torch.ones(4, 4))
    with account.count(audit=True) as c:
        f(torch.ones(4, 4))
    assert c.executed == 128
    (listed,) = c.uncounted
    assert (listed["op"], listed["calls"]) == ("compiled graph", 1)
    assert listed["reason"] == "its pointwise work could not be read (TypeError)"


def test_graphs_of_more_sizes_than_are_kept_are_audited_all_the_same(monkeypatch):
    with account.count():
        pass
    monkeypatch.setattr(_compile, "_MOST_SIZES", 2)
    f = torch.compile(lambda x: (x @ x.t()).exp(), dynamic=True)
    for rows in (3, 4, 5, 6, 7):
        f(torch.ones(rows, 2))
    with account.count(audit=True) as c:
        for rows in (3, 6, 7):
            f(torch.ones(rows, 2))
    assert c.executed == sum(2 * rows * rows * 2 for rows in (3, 6, 7))
    assert estimates(c) == {"aten::exp": 9 + 36 + 49}


def test_a_compiled_run_has_the_work_inside_its_graphs_in_the_bound(tmp_path):
    run = account.start(dir=tmp_path, run="compiled")
    f = torch.compile(lambda x: (x @ x).exp())
    steps = 0
    while steps < 600 and run.totals().upper == run.totals().executed:  # until one was audited
        f(torch.ones(16, 16))
        run.step()
        steps += 1
        time.sleep(0.1)
    run.finish()
    report = harness.Account().verify(run.directory)
    assert int(report["operations"]) == steps * 2 * 16**3
    assert report["audited_steps"] >= 1
    assert int(report["audit_bound"]) == (steps + 1) * 24 * 16**2


def test_a_run_that_ends_inside_an_audit_and_one_without_steps_leave_nothing_on(tmp_path):
    for steps, name in ((0, "none"), (3, "some")):
        run = account.start(dir=tmp_path, run=name)
        for _ in range(steps):
            torch.ones(4, 4) @ torch.ones(4, 4)
            run.step()
            time.sleep(0.3)
        run.finish()
        before = _core.Snapshot()
        torch.ones(4).exp()
        assert _core.totals_since(before, True).audited == []
