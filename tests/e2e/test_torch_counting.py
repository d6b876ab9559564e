"""What is counted and what is not: each kernel that runs, once, wherever it runs."""

import threading

import pytest
import torch

import libaccount as account

T = torch.ones
A, B = T(4, 8), T(8, 2)
ONE = 2 * 4 * 8 * 2  # A @ B


def test_works_without_a_run_and_reports_exact_integers():
    with account.count() as c:
        A @ B
    assert c.executed == c.get_total_flops() == ONE
    assert type(c.executed) is int
    assert c.by_dtype == {"float32": ONE}
    assert c.by_category == {"unassigned": ONE}
    assert c.totals().calls == 1
    assert c.uncounted == []


def test_blocks_nest_and_show_the_figures_so_far():
    with account.count() as outer:
        A @ B
        with account.count() as inner:
            A @ B
            assert outer.executed == 2 * ONE
        A @ B
    assert (outer.executed, inner.executed) == (3 * ONE, ONE)
    A @ B
    assert (outer.executed, inner.executed) == (3 * ONE, ONE)


def test_a_block_can_be_used_again():
    c = account.count()
    with pytest.raises(ValueError, match="nothing was counted yet"):
        c.executed  # noqa: B018
    for _ in range(2):
        with c:
            A @ B
        assert c.executed == ONE


def test_other_threads_are_counted_backward_included():
    def work():
        x = T(4, 8, requires_grad=True)
        (x @ B).sum().backward()

    with account.count() as c:
        threads = [threading.Thread(target=work) for _ in range(40)]  # more than have a slot
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert c.by_phase == {"forward": 40 * ONE, "backward": 40 * ONE}


def test_an_operation_that_throws_counts_nothing():
    with account.count() as c:
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            A @ A
        A @ B  # and counting goes on after it
    assert c.executed == ONE


def test_meta_and_fake_tensors_do_no_work():
    from torch._subclasses import FakeTensorMode

    with account.count() as c:
        T(4, 8, device="meta") @ T(8, 2, device="meta")
        with FakeTensorMode():
            torch.empty(4, 8) @ torch.empty(8, 2)
            torch.nn.functional.conv2d(torch.empty(1, 3, 8, 8), torch.empty(4, 3, 3, 3))
    assert c.executed == 0
    assert c.uncounted == []


def test_inference_mode_is_counted():
    with account.count() as c, torch.inference_mode():
        A @ B
    assert c.executed == ONE


def test_vmap_counts_the_batched_product_once():
    with account.count() as c:
        torch.vmap(torch.mm)(T(5, 4, 8), T(5, 8, 2))
    assert c.executed == 5 * ONE
    assert c.totals().calls == 1


def test_autocast_counts_under_the_type_that_ran():
    with account.count() as c, torch.autocast("cpu", dtype=torch.bfloat16):
        A @ B
    assert c.by_dtype == {"bfloat16": ONE}


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int8", "int64", "complex64"])
def test_types_go_by_torchs_names(dtype):
    a, b = (t.to(getattr(torch, dtype)) for t in (A, B))
    with account.count() as c:
        a @ b
    complex_factor = 4 if dtype == "complex64" else 1  # 8 real operations a multiply-add, not 2
    assert c.by_dtype == {dtype: ONE * complex_factor}


def test_an_operation_made_of_others_is_counted_once():
    # With deterministic native kernels convolution runs on matrix products of its own.
    with torch.backends.mkldnn.flags(enabled=False), account.count() as c:
        torch.nn.functional.conv2d(T(1, 3, 8, 8), T(4, 3, 3, 3))
    assert set(c.by_op) == {"aten::convolution"}


def test_what_two_sparse_operands_cost_is_listed_never_guessed():
    sparse = torch.eye(4).to_sparse()
    with account.count() as c:
        torch.mm(sparse, sparse)
        torch.mm(sparse, sparse)
        A @ B
    assert c.executed == ONE
    (listed,) = c.uncounted
    assert (listed["op"], listed["calls"]) == ("aten::mm", 2)
    assert "two sparse factors" in listed["reason"]


def test_nested_tensors_are_counted_where_they_run_on_dense_ones():
    jagged = torch.nested.nested_tensor([T(2, 8), T(3, 8)], layout=torch.jagged)
    with account.count() as c:
        torch.nn.functional.linear(jagged, T(2, 8))
    assert c.executed == 2 * 5 * 8 * 2


def test_a_python_subclass_is_counted_below_it():
    class Logged(torch.Tensor):
        pass

    with account.count() as c:
        A.as_subclass(Logged) @ B
    assert c.executed == ONE


def test_torchs_own_counter_around_it_agrees():
    from torch.utils.flop_counter import FlopCounterMode

    with account.count() as c, FlopCounterMode(display=False) as flops:
        A @ B
    assert c.executed == flops.get_total_flops() == ONE


# ---- categories -----------------------------------------------------------------------------


def test_categories_nest_and_the_innermost_rules():
    with account.count() as c:
        A @ B
        with account.category("evaluate"):
            A @ B
            with account.category("generate"):
                A @ B
            A @ B
        A @ B
    assert c.by_category == {"unassigned": 2 * ONE, "evaluate": 2 * ONE, "generate": ONE}


def test_backward_belongs_to_the_category_that_called_it():
    x = T(4, 8, requires_grad=True)
    with account.count() as c:
        with account.category("rollout"):
            loss = (x @ B).sum()
        with account.category("train"):
            loss.backward()
    assert c.by_category == {"rollout": ONE, "train": ONE}


def test_a_category_is_also_a_decorator():
    @account.category("evaluate")
    def evaluate(depth):
        A @ B
        if depth:
            evaluate(depth - 1)

    with account.count() as c:
        evaluate(2)
    assert c.by_category == {"evaluate": 3 * ONE}


def test_a_category_ends_with_an_exception():
    with account.count() as c:
        with pytest.raises(KeyError), account.category("evaluate"):
            raise KeyError
        A @ B
    assert c.by_category == {"unassigned": ONE}


def test_an_unknown_category_is_refused():
    with pytest.raises(account.Error, match="'training' is no category; use unassigned, train"):
        account.category("training").__enter__()
