"""Ops that libaccount has no formula for: listed with a bound, or counted by the user's formula."""

import threading
from types import SimpleNamespace

import harness
import pytest
import torch

import libaccount as account
from libaccount import _core, _formulas

# Every op is a name of its own: torch keeps definitions for good.
scope = torch.library.Library("foreign", "DEF")


def define(name, schema, kernel, key="CPU"):
    scope.define(name + schema)
    scope.impl(name, kernel, key)
    return getattr(torch.ops.foreign, name)


def listed(totals):
    return {entry["op"]: entry for entry in totals.uncounted}


def test_a_call_without_a_formula_is_listed_by_name_with_a_bound():
    op = define("opaque", "(Tensor a, Tensor b) -> Tensor", lambda a, b: a + b[0, 0])
    with account.count() as c:
        for _ in range(3):
            op(torch.ones(4, 5), torch.ones(5, 2))
    entry = listed(c)["foreign::opaque"]
    assert (entry["calls"], entry["reason"]) == (3, "no formula")
    assert c.executed == 0
    # Not more than each element of the largest with each of the next (twice a [4,5]: the result is
    # one too) at 4 operations a pair, and 64 an element.
    assert 0 < entry["bound"] <= 3 * (4 * 20 * 20 + 64 * (20 + 10 + 20))
    assert c.upper == entry["bound"]


def test_what_it_runs_inside_still_counts():
    op = define("with_product", "(Tensor a) -> Tensor", lambda a: torch.mm(a, a))
    with account.count() as c:
        op(torch.ones(4, 4))
    assert c.by_op == {"aten::mm": 2 * 4 * 4 * 4}
    assert listed(c)["foreign::with_product"]["reason"].startswith("no formula; only the ops in it")


def test_an_op_made_of_torchs_own_is_not_listed():
    op = define("composite", "(Tensor a) -> Tensor", lambda a: torch.mm(a, a),
                "CompositeImplicitAutograd")
    with account.count() as c, torch.inference_mode():
        op(torch.ones(4, 4))
    assert c.uncounted == []
    assert c.executed == 128


def test_a_formula_counts_the_call_and_hides_what_is_inside():
    op = define("squared", "(Tensor a, *, int times=1) -> Tensor", lambda a, times: torch.mm(a, a))
    account.register_formula("foreign::squared", lambda a, times: times * a.shape[0] ** 3)
    with account.count() as c:
        op(torch.ones(4, 4, dtype=torch.float64), times=7)
    assert c.by_op == {"foreign::squared": 7 * 64}
    assert c.by_dtype == {"float64": 7 * 64}
    assert c.uncounted == []


def test_a_formula_sees_lists_results_and_absent_arguments():
    define("gather", "(Tensor[] parts, Tensor? mask, float scale, bool on, int[] dims) -> Tensor",
           lambda parts, mask, scale, on, dims: torch.cat(parts))
    seen = []

    def formula(parts, mask, scale, on, dims, out):
        seen.append(([p.shape for p in parts], mask, scale, on, dims, out.size(), out.dtype))
        return out.numel()

    account.register_formula("foreign::gather", formula)
    with account.count() as c:
        torch.ops.foreign.gather([torch.ones(2, 3), torch.ones(1, 3)], None, 0.5, True, [0, 1])
    assert seen == [([(2, 3), (1, 3)], None, 0.5, 1, [0, 1], (3, 3), torch.float32)]
    assert c.executed == 9


def test_forward_backward_and_threads_count_by_phase():
    @torch.library.custom_op("foreign::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @torch.library.custom_op("foreign::double_backward", mutates_args=())
    def double_backward(grad: torch.Tensor) -> torch.Tensor:
        return grad * 2

    double.register_autograd(lambda ctx, grad: double_backward(grad))
    account.register_formula("foreign::double", lambda x: x.numel())
    account.register_formula("foreign::double_backward", lambda grad: 3 * grad.numel())

    def step():
        double(torch.ones(5, requires_grad=True)).sum().backward()

    with account.count() as c:
        threads = [threading.Thread(target=step) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        step()
    assert c.by_phase == {"forward": 5 * 5, "backward": 5 * 15}


@pytest.mark.parametrize(("formula", "reason"), [
    (lambda a: -1, "its formula gave a negative number"),
    (lambda a: 1.5, "its formula gave no whole number"),
    (lambda a: None, "its formula gave no whole number"),
    (lambda a: 10**30, "its formula gave more operations than any call has"),
    (lambda a: 10**60, "its formula gave more operations than any call has"),
    (lambda a: 1 // 0, "its formula raised ZeroDivisionError"),
    (lambda a, b: 1, "its formula raised TypeError"),
])  # fmt: skip
def test_a_bad_formula_leaves_its_call_uncounted_and_training_goes_on(formula, reason):
    name = f"bad_{abs(hash(reason + str(id(formula))))}"
    op = define(name, "(Tensor a) -> Tensor", lambda a: a + 1)
    account.register_formula(f"foreign::{name}", formula)
    with account.count() as c:
        assert op(torch.zeros(2)).tolist() == [1, 1]
    assert listed(c)[f"foreign::{name}"]["reason"] == reason
    assert c.executed == 0
    assert c.upper == 4 * 2 * 2 + 64 * 4


def test_a_formula_for_no_op_a_second_one_and_a_known_op_are_refused():
    define("once", "(Tensor a) -> Tensor", lambda a: a + 1)
    account.register_formula("foreign::once", lambda a: 1)
    for op, fault in [("foreign::nowhere", "there is no op foreign::nowhere"),
                      ("foreign::once", "foreign::once was given a formula before"),
                      ("aten::mm", "aten::mm has a formula of libaccount's")]:
        with pytest.raises(account.Error, match=fault):
            account.register_formula(op, lambda *args: 1)


def test_one_overload_and_an_aten_op_can_be_given_a_formula():
    account.register_formula("aten::lerp.Scalar", lambda self, end, weight, out: 3 * out.numel())
    with account.count() as c:
        torch.lerp(torch.ones(6), torch.ones(6), 0.5)
        torch.lerp(torch.ones(6), torch.ones(6), torch.ones(6))
    assert c.by_op == {"aten::lerp": 18}


def test_meta_and_fake_calls_count_nothing():
    op = define("shape_only", "(Tensor a) -> Tensor", lambda a: a + 1)
    scope.impl("shape_only", torch.empty_like, "Meta")
    account.register_formula("foreign::shape_only", lambda a: 5)
    with account.count() as c:
        op(torch.ones(3, device="meta"))
        with torch._subclasses.FakeTensorMode():
            op(torch.ones(3))
    assert (c.executed, c.uncounted) == (0, [])


def test_a_custom_op_counts_in_compiled_code_with_and_without_a_formula():
    @torch.library.custom_op("foreign::plain", mutates_args=())
    def plain(x: torch.Tensor) -> torch.Tensor:
        return torch.mm(x, x)

    @torch.library.custom_op("foreign::known", mutates_args=())
    def known(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    for op in (plain, known):
        op.register_fake(torch.empty_like)
    account.register_formula("foreign::known", lambda x: 100 * x.shape[0])

    @torch.compile
    def compute(x):
        return torch.mm(known(plain(torch.mm(x, x))), x)

    compute(torch.ones(4, 4))
    with account.count() as c:
        compute(torch.ones(4, 4))
    assert c.by_op == {"aten::mm": 3 * 128, "foreign::known": 400}
    assert list(listed(c)) == ["foreign::plain"]


def test_operations_added_by_hand_count_where_they_were_added():
    with account.count() as c, account.category("evaluate"):
        account.add(10**20, op="my_kernel", dtype=torch.bfloat16, model=7, lower=5)
        account.add(1, op="my_kernel", dtype="fp16")
    assert (c.executed, c.model, c.lower) == (10**20 + 1, 8, 6)
    assert c.by_op == {"my_kernel": 10**20 + 1}
    assert c.by_dtype == {"bfloat16": 10**20, "float16": 1}
    assert c.by_category == {"evaluate": 10**20 + 1}


@pytest.mark.parametrize(("wrong", "fault"), [
    ({"operations": -1}, "operations of k"),
    ({"operations": 10**25}, "more than any call has"),
    ({"operations": 1, "model": 2}, "cannot be more than what was executed"),
    ({"operations": 1, "dtype": "float33"}, "'float33' is no dtype"),
])  # fmt: skip
def test_numbers_that_are_none_are_refused(wrong, fault):
    with account.count() as c, pytest.raises(account.Error, match=fault):
        account.add(op="k", **wrong)
    assert c.executed == 0


class FakeKernel:
    """A launchable as Triton makes them: kernel[grid](...) calls run()."""

    arg_names = ("x_ptr", "n", "BLOCK")

    def __init__(self):
        self.__name__ = "scale"
        self.launches = []

    def __getitem__(self, grid):
        return lambda *args, **kwargs: self.run(*args, grid=grid, warmup=False, **kwargs)

    def run(self, *args, grid, warmup, **kwargs):
        self.launches.append((args, grid, warmup))
        return "compiled"


def test_a_decorated_kernel_counts_each_launch():
    plain = FakeKernel()
    scale = account.kernel(lambda n, grid: n * grid[0])(plain)
    assert scale is plain
    with account.count() as c:
        assert scale[lambda meta: (meta["BLOCK"],)](torch.ones(8), 8, BLOCK=4) == "compiled"
        scale[(2,)](torch.ones(8), n=8)
        scale.run(torch.ones(8), 8, grid=(1,), warmup=True)
    assert len(plain.launches) == 3
    assert c.by_op == {"triton::scale": 8 * 4 + 8 * 2}
    assert c.by_dtype == {"float32": 48}


def test_a_kernel_that_nobody_gave_a_formula_is_listed_with_a_bound():
    class Undecorated(FakeKernel):
        pass

    _formulas.watch_kernels(SimpleNamespace(JITFunction=Undecorated))
    known = account.kernel(lambda n: n)(Undecorated())
    with account.count() as c:
        Undecorated()[(1,)](torch.ones(8), n=8)
        known[(1,)](torch.ones(8), 8)
        Undecorated().run(torch.ones(8), 8, grid=(1,), warmup=True)
    (entry,) = c.uncounted
    assert entry == {"op": "triton::scale", "calls": 1, "bound": 4 * 8 * 8 + 64 * 8,
                     "reason": "a Triton kernel without a formula"}
    assert c.by_op == {"triton::scale": 8}


def test_a_graph_lists_what_it_cannot_count_with_the_elements_of_its_tensors():
    graph = _core.Graph([("triton::mine", "?", [[8], [6]], "other", "no formula for it"),
                         ("triton::known", "=", [[70]], "float32", "backward")])
    with account.count() as c:
        assert graph.run(len, [1, 2]) == 2
    assert c.by_phase == {"backward": 70}
    assert c.uncounted == [{"op": "triton::mine", "calls": 1, "reason": "no formula for it",
                            "bound": 4 * 8 * 6 + 64 * 14}]


def test_a_kernels_bad_formula_never_reaches_the_launch():
    broken = account.kernel(lambda n: n / 0, op="mine")(FakeKernel())
    with account.count() as c:
        assert broken[(1,)](torch.ones(8), 8) == "compiled"
    (entry,) = c.uncounted
    assert (entry["op"], entry["reason"]) == ("mine", "its formula raised ZeroDivisionError")


def test_the_runs_ledger_names_the_op_its_calls_and_its_bound(tmp_path):
    op = define("in_ledger", "(Tensor a) -> Tensor", lambda a: a + 1)
    run = account.start(dir=tmp_path, run="foreign")
    for _ in range(7):
        op(torch.ones(6))
    run.finish()
    report = harness.Account().verify(run.directory)
    (entry,) = [e for e in report["uncounted"] if e["op"] == "foreign::in_ledger"]
    (live,) = run.totals().uncounted
    assert entry == {"op": "foreign::in_ledger", "calls": 7, "reason": "no formula",
                     "bound": str(live["bound"])}
    assert int(report["upper"]) == live["bound"] + int(report["operations"])


def test_formulas_helpers_name_types_as_people_do():
    assert [_formulas.dtype_name(d) for d in ("bf16", torch.int8, "float8_e5m2")] == [
        "bfloat16", "int8", "float8_e5m2"]


# flash-attn 2.7 and later, flash_attn/flash_attn_interface.py; the kernels need a GPU, their shapes
# do not.
FLASH = torch.library.Library("flash_attn", "DEF")
FLASH.define("_flash_attn_forward(Tensor q, Tensor k, Tensor v, float dropout_p, "
             "float softmax_scale, bool causal, SymInt window_size_left, SymInt window_size_right, "
             "float softcap, Tensor? alibi_slopes, bool return_softmax) "
             "-> (Tensor, Tensor, Tensor, Tensor)")
FLASH.define("_flash_attn_varlen_forward(Tensor q, Tensor k, Tensor v, int wrong_name) -> Tensor")
FLASH.impl("_flash_attn_forward", lambda q, *rest: (q, q, q, q), "CPU")
FLASH.impl("_flash_attn_varlen_forward", lambda q, *rest: q.clone(), "CPU")


def test_a_known_librarys_op_counts_by_its_row_once_it_is_defined():
    q, k = torch.ones(2, 6, 4, 8), torch.ones(2, 10, 2, 8)  # [batch, sequence, heads, width]
    with account.count() as c:
        torch.ops.flash_attn._flash_attn_forward(q, k, k, 0.0, 1.0, True, -1, -1, 0.0, None, False)
    assert c.by_op == {"flash_attn::_flash_attn_forward": 2 * 2 * 4 * 6 * 10 * 16}
    # The mask's corner is at the bottom right: query i sees keys 0..i + 4.
    assert c.lower == 2 * 2 * 4 * sum(range(5, 11)) * 16


def test_a_known_librarys_op_with_other_arguments_is_listed():
    with account.count() as c:
        torch.ops.flash_attn._flash_attn_varlen_forward(*[torch.ones(4, 2, 8)] * 3, 1)
    assert list(listed(c)) == ["flash_attn::_flash_attn_varlen_forward"]
    assert c.executed == 0
