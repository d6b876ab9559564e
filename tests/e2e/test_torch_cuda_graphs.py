"""CUDA graphs count by replay: the bookkeeping, on a class with torch's methods (no GPU here).

tests/gpu/check.py does the same with real graphs.
"""

import threading

import pytest
import torch

import libaccount as account
from libaccount import _cuda_graphs

PRODUCT = 2 * 4 * 4 * 4


class Graph:
    """torch.cuda.CUDAGraph, as far as it is watched."""

    def capture_begin(self, pool=None, capture_error_mode="global"):
        self.pool = pool

    def capture_end(self):
        if self.pool == "broken":
            raise RuntimeError("capture failed")

    def replay(self):
        self.replays = getattr(self, "replays", 0) + 1


@pytest.fixture(scope="module")
def graph_class():
    class Watched(Graph):
        pass

    with account.count():
        pass  # torch is watched from here on
    _cuda_graphs.watch(Watched)
    return Watched


def product():
    return torch.ones(4, 4) @ torch.ones(4, 4)


def test_captured_work_counts_at_each_replay(graph_class):
    graph = graph_class()
    with account.count() as captured:
        graph.capture_begin()
        product()
        product()
        graph.capture_end()
    with account.count() as replayed:
        for _ in range(3):
            graph.replay()
    assert captured.executed == 0
    assert (graph.replays, replayed.by_op) == (3, {"aten::mm": 3 * 2 * PRODUCT})


def test_pointwise_work_of_a_capture_is_audited_at_each_replay(graph_class):
    graph = graph_class()
    with account.count(audit=True) as captured:
        graph.capture_begin()
        product().exp().exp()
        graph.capture_end()
    with account.count() as not_audited:
        graph.replay()
        torch.ones(4).exp()
    with account.count(audit=True) as replayed:
        graph.replay()
        graph.replay()
        torch.ones(4).exp()
    assert captured.audited == []
    assert (not_audited.audited, not_audited.upper) == ([], PRODUCT)
    assert {a["op"]: a["estimate"] for a in replayed.audited} == {"aten::exp": 2 * 2 * 16 + 4}


def test_pointwise_work_of_a_compiled_graph_in_a_capture_is_audited(graph_class):
    f = torch.compile(lambda x: (x @ x).exp())
    f(torch.ones(4, 4))
    graph = graph_class()
    graph.capture_begin()
    f(torch.ones(4, 4))
    graph.capture_end()
    with account.count(audit=True) as c:
        graph.replay()
    assert {a["op"]: a["estimate"] for a in c.audited} == {"aten::exp": 16}
    assert c.executed == PRODUCT


def test_phases_types_and_categories_are_those_of_the_capture(graph_class):
    graph = graph_class()
    x = torch.ones(4, 4, dtype=torch.float64, requires_grad=True)
    with account.category("train"):
        graph.capture_begin()
        (x @ torch.ones(4, 4, dtype=torch.float64)).sum().backward()
        graph.capture_end()
    with account.count() as c:
        graph.replay()
    assert c.by_phase == {"forward": PRODUCT, "backward": PRODUCT}
    assert c.by_dtype == {"float64": 2 * PRODUCT}
    assert c.by_category == {"train": 2 * PRODUCT}


def test_work_of_other_threads_is_captured_too(graph_class):
    graph = graph_class()
    graph.capture_begin()
    thread = threading.Thread(target=product)
    thread.start()
    thread.join()
    graph.capture_end()
    with account.count() as c:
        graph.replay()
    assert c.executed == PRODUCT


def test_work_added_by_hand_is_captured_too(graph_class):
    graph = graph_class()
    with account.count() as c:
        graph.capture_begin()
        account.add(7, op="mine", dtype="bf16")
        graph.capture_end()
        graph.replay()
        graph.replay()
    assert c.by_op == {"mine": 14}


def test_graphs_keep_their_own_work_and_capture_again(graph_class):
    one, other = graph_class(), graph_class()
    for graph, times in ((one, 1), (other, 2), (one, 3)):
        graph.capture_begin()
        for _ in range(times):
            product()
        graph.capture_end()
    with account.count() as c:
        one.replay()
        other.replay()
    assert c.executed == 5 * PRODUCT


def test_after_a_capture_work_counts_at_once_again_even_if_it_failed(graph_class):
    graph = graph_class()
    graph.capture_begin(pool="broken")
    with pytest.raises(RuntimeError, match="capture failed"):
        graph.capture_end()
    with account.count() as c:
        product()
    assert c.executed == PRODUCT


def test_a_graph_captured_before_counting_is_listed(graph_class):
    with account.count() as c:
        graph_class().replay()
    (entry,) = c.uncounted
    assert (entry["op"], entry["calls"]) == ("CUDA graph", 1)


def test_an_op_without_a_formula_is_listed_at_each_replay_with_its_bound(graph_class):
    @torch.library.custom_op("account_graphs::unknown", mutates_args=())
    def unknown(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    with account.count():
        pass  # its definition is seen
    x = torch.ones(4, 4)
    graph = graph_class()
    with account.count() as captured:
        graph.capture_begin()
        unknown(x)
        graph.capture_end()
    with account.count() as replayed:
        for _ in range(3):
            graph.replay()
    assert (captured.uncounted, captured.upper) == ([], 0)
    (entry,) = replayed.uncounted
    # Two tensors of 16 elements, input and output: 4 a pair, 64 an element.
    bound = 4 * 16 * 16 + 64 * (16 + 16)
    assert (entry["op"], entry["calls"]) == ("account_graphs::unknown", 3)
    assert (entry["bound"], replayed.upper) == (3 * bound, 3 * bound)


def test_after_a_capture_uncounted_calls_are_listed_at_once_again(graph_class):
    graph = graph_class()
    graph.capture_begin()
    graph.capture_end()
    with account.count() as c:
        graph_class().replay()
    assert [entry["op"] for entry in c.uncounted] == ["CUDA graph"]


class GraphInHalves(Graph):
    """As torch 2.15 has it: capture_end is two calls, of which a failed set-up makes the first."""

    def capture_end_pre(self):
        pass

    def capture_end(self):
        self.capture_end_pre()


def test_a_capture_that_ends_in_halves_is_kept_whole():
    class Watched(GraphInHalves):
        pass

    _cuda_graphs.watch(Watched)
    graph = Watched()
    graph.capture_begin()
    product()
    graph.capture_end()
    with account.count() as c:
        graph.replay()
        graph.replay()
    assert c.executed == 2 * PRODUCT


def test_after_a_set_up_that_failed_work_counts_at_once_again():
    class Watched(GraphInHalves):
        pass

    _cuda_graphs.watch(Watched)
    Watched.capture_begin(graph := Watched())
    graph.capture_end_pre()
    with account.count() as c:
        product()
    assert c.executed == PRODUCT


@pytest.mark.skipif(not hasattr(torch.accelerator, "Graph"), reason="torch 2.11 has no such class")
def test_graphs_of_any_accelerator_are_watched_too():
    with account.count():
        pass
    graph = torch.accelerator.Graph
    for method in (graph.capture_begin, graph.replay):
        assert method.__module__ == _cuda_graphs.__name__


def test_compiled_code_in_a_captured_graph_counts_at_each_replay(graph_class):
    compiled = torch.compile(torch.mm)
    x = torch.ones(4, 4)
    compiled(x, x)
    graph = graph_class()
    with account.count() as captured:
        graph.capture_begin()
        compiled(x, x)
        graph.capture_end()
    with account.count() as replayed:
        for _ in range(3):
            graph.replay()
    assert captured.executed == 0
    assert replayed.by_op == {"aten::mm": 3 * PRODUCT}


def test_a_graph_that_is_replayed_into_another_belongs_to_that_one(graph_class):
    inner, outer = graph_class(), graph_class()
    inner.capture_begin()
    product()
    inner.capture_end()
    with account.count() as captured:
        outer.capture_begin()
        inner.replay()
        outer.capture_end()
    with account.count() as replayed:
        outer.replay()
    assert captured.executed == 0
    assert replayed.executed == PRODUCT
