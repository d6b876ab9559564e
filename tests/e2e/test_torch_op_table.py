"""Ops beyond the common products, called for real, against integers worked out by hand.

Each case: name, call, operations by op. Where torch's FlopCounterMode says something else, the last
word says why; None: it agrees.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import libaccount as account

T = torch.ones
BF16, INT8, F8, C64 = torch.bfloat16, torch.int8, torch.float8_e4m3fn, torch.complex64
UNKNOWN = "FlopCounterMode has no formula for it"
WHOLE = "FlopCounterMode has no formula for the op that runs as a whole"


def sparse() -> torch.Tensor:
    """[4,6] with 5 stored elements."""
    indices = torch.tensor([[0, 1, 1, 2, 3], [5, 0, 3, 2, 2]])
    return torch.sparse_coo_tensor(indices, T(5), (4, 6)).coalesce()


def csr() -> torch.Tensor:
    return sparse().to_sparse_csr()


def offsets(*ends: int) -> torch.Tensor:
    return torch.tensor(ends, dtype=torch.int32)


def quantized(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(T(*shape), 0.1, 0, torch.qint8)


def recurrent(kind: type, train: bool = True, **options: object) -> None:
    """2 sequences of 10 steps, from 16 to 32."""
    output = kind(16, 32, batch_first=True, **options)(T(2, 10, 16, requires_grad=True))[0]
    if train:
        output.sum().backward()


@torch.no_grad()
def fast_path(module: torch.nn.Module, *inputs: torch.Tensor) -> None:
    module.eval()(*inputs)


SPD = torch.eye(6) * 2

VECTORS = [
    ("mv", lambda: torch.mv(T(4, 6), T(6)), {"aten::mv": 48}, UNKNOWN),
    ("mv.out", lambda: torch.mv(T(4, 6), T(6), out=T(4)), {"aten::mv": 48}, UNKNOWN),
    ("addmv", lambda: torch.addmv(T(4), T(4, 6), T(6)), {"aten::addmv": 48}, UNKNOWN),
    ("addmv_", lambda: T(4).addmv_(T(4, 6), T(6)), {"aten::addmv_": 48}, UNKNOWN),
    ("dot", lambda: torch.dot(T(6), T(6)), {"aten::dot": 12}, UNKNOWN),
    ("vdot", lambda: torch.vdot(T(6), T(6)), {"aten::vdot": 12}, UNKNOWN),
    ("addr", lambda: torch.addr(T(4, 6), T(4), T(6)), {"aten::addr": 48}, UNKNOWN),
    ("matmul 2-D by 1-D", lambda: T(4, 6) @ T(6), {"aten::mv": 48}, UNKNOWN),
    ("matmul 1-D by 1-D", lambda: T(6) @ T(6), {"aten::dot": 12}, UNKNOWN),
    ("inner", lambda: torch.inner(T(2, 3), T(4, 3)), {"aten::mm": 48}, None),
    ("tensordot", lambda: torch.tensordot(T(2, 3, 4), T(3, 4, 5), 2), {"aten::mm": 240}, None),
    ("multi_dot", lambda: torch.linalg.multi_dot([T(2, 3), T(3, 4), T(4, 5)]),
     {"aten::mm": 48 + 80}, None),
]
PRODUCTS = [
    ("addbmm", lambda: torch.addbmm(T(4, 6), T(3, 4, 5), T(3, 5, 6)), {"aten::addbmm": 720},
     UNKNOWN),
    ("addbmm_", lambda: T(4, 6).addbmm_(T(3, 4, 5), T(3, 5, 6)), {"aten::addbmm_": 720}, UNKNOWN),
    ("_addmm_activation", lambda: torch._addmm_activation(T(6), T(4, 5), T(5, 6)),
     {"aten::_addmm_activation": 240}, UNKNOWN),
    ("bilinear", lambda: torch.nn.Bilinear(3, 4, 5)(T(2, 3), T(2, 4)), {"aten::bmm": 320},
     "FlopCounterMode does not see into _trilinear"),
    ("_int_mm", lambda: torch._int_mm(T(32, 32, dtype=INT8), T(32, 32, dtype=INT8)),
     {"aten::_int_mm": 65536}, UNKNOWN),
    ("int64 mm", lambda: torch.mm(T(3, 4, dtype=torch.int64), T(4, 5, dtype=torch.int64)),
     {"aten::mm": 120}, None),
    ("complex mm", lambda: torch.mm(T(8, 8, dtype=C64), T(8, 8, dtype=C64)),
     {"aten::mm": 8 * 512}, "FlopCounterMode counts a complex multiply-add as 2, which is 8"),
    ("complex bmm", lambda: torch.bmm(T(2, 3, 4, dtype=C64), T(2, 4, 5, dtype=C64)),
     {"aten::bmm": 8 * 120}, "FlopCounterMode counts a complex multiply-add as 2, which is 8"),
    ("_scaled_mm", lambda: torch._scaled_mm(T(16, 32).to(F8), T(16, 32).to(F8).t(),
                                            scale_a=T(()), scale_b=T(()), out_dtype=BF16),
     {"aten::_scaled_mm": 16384}, None),
    ("_grouped_mm, rows in groups", lambda: torch._grouped_mm(
        T(32, 16, dtype=BF16), T(4, 16, 24, dtype=BF16), offs=offsets(8, 16, 24, 32)),
     {"aten::_grouped_mm": 2 * 32 * 16 * 24}, UNKNOWN),
    ("_grouped_mm, rows left over", lambda: torch._grouped_mm(
        T(32, 16, dtype=BF16), T(4, 16, 24, dtype=BF16), offs=offsets(8, 16, 24, 28)),
     {"aten::_grouped_mm": 2 * 28 * 16 * 24}, UNKNOWN),
    ("_grouped_mm, columns in groups", lambda: torch._grouped_mm(
        T(4, 8, 16, dtype=BF16), T(16, 32, dtype=BF16), offs=offsets(8, 16, 24, 32)),
     {"aten::_grouped_mm": 2 * 8 * 16 * 32}, UNKNOWN),
    ("_grouped_mm, inner in groups", lambda: torch._grouped_mm(
        T(8, 32, dtype=BF16), T(32, 16, dtype=BF16), offs=offsets(8, 32)),
     {"aten::_grouped_mm": 2 * 8 * 32 * 16}, UNKNOWN),
    ("_grouped_mm, batched", lambda: torch._grouped_mm(
        T(4, 8, 16, dtype=BF16), T(4, 16, 24, dtype=BF16)),
     {"aten::_grouped_mm": 4 * 2 * 8 * 16 * 24}, UNKNOWN),
    ("_foreach_mm", lambda: torch._foreach_mm([T(2, 3), T(4, 5)], [T(3, 6), T(5, 7)]),
     {"aten::mm": 72 + 280}, "FlopCounterMode does not see into _foreach_mm"),
    ("_weight_int8pack_mm", lambda: torch._weight_int8pack_mm(
        T(4, 32, dtype=BF16), T(8, 32, dtype=INT8), T(8, dtype=BF16)),
     {"aten::_weight_int8pack_mm": 2 * 4 * 32 * 8}, UNKNOWN),
    ("mkldnn_linear", lambda: torch._C._nn.mkldnn_linear(T(4, 8).to_mkldnn(), T(5, 8), T(5)),
     {"aten::mkldnn_linear": 320}, UNKNOWN),
    ("quantized::matmul", lambda: torch.ops.quantized.matmul(
        quantized(2, 3, 4), quantized(2, 4, 5), 0.1, 0), {"quantized::matmul": 240}, WHOLE),
    ("quantized::linear_dynamic",
     lambda: torch.ao.nn.quantized.dynamic.Linear(32, 16)(T(2, 3, 32)),
     {"quantized::linear_dynamic": 2 * 6 * 32 * 16}, UNKNOWN),
    ("quantized::linear", lambda: torch.ao.nn.quantized.Linear(32, 16)(
        torch.quantize_per_tensor(T(6, 32), 0.1, 0, torch.quint8)),
     {"quantized::linear": 2 * 6 * 32 * 16}, UNKNOWN),
]
SPARSE = [  # 5 stored elements, each against 7 columns
    ("coo @", lambda: sparse() @ T(6, 7), {"aten::mm": 70}, "FlopCounterMode counts zeros"),
    ("csr @", lambda: csr() @ T(6, 7), {"aten::mm": 70}, "FlopCounterMode counts zeros"),
    ("sparse.mm", lambda: torch.sparse.mm(sparse(), T(6, 7)), {"aten::addmm": 70},
     "FlopCounterMode has no formula for _sparse_mm"),
    ("dense @ csr", lambda: T(3, 4) @ csr(), {"aten::mm": 2 * 3 * 5},
     "FlopCounterMode counts zeros"),
    ("addmm csr", lambda: torch.addmm(T(4, 7), csr(), T(6, 7)), {"aten::addmm": 70},
     "FlopCounterMode counts zeros"),
    ("coo mv", lambda: sparse() @ T(6), {"aten::mv": 10}, UNKNOWN),
    ("csr mv", lambda: csr() @ T(6), {"aten::mv": 10}, UNKNOWN),
    ("sampled_addmm", lambda: torch.sparse.sampled_addmm(csr(), T(4, 3), T(3, 6)),
     {"aten::sparse_sampled_addmm": 2 * 5 * 3}, UNKNOWN),
    ("bmm of sparse", lambda: torch.bmm(torch.stack([sparse(), sparse()]), T(2, 6, 7)),
     {"aten::bmm": 140}, "FlopCounterMode counts zeros"),
]
RECURRENT = [
    ("LSTM forward", lambda: recurrent(torch.nn.LSTM, False),
     {"aten::mkldnn_rnn_layer": 2 * 20 * 4 * 32 * (16 + 32)}, UNKNOWN),
    ("LSTM", lambda: recurrent(torch.nn.LSTM),
     {"aten::mkldnn_rnn_layer": 245760, "aten::mkldnn_rnn_layer_backward": 491520}, UNKNOWN),
    ("LSTM of two layers, both ways",
     lambda: recurrent(torch.nn.LSTM, num_layers=2, bidirectional=True),
     {"aten::mkldnn_rnn_layer": 2 * 245760 + 2 * 2 * 20 * 128 * (64 + 32),
      "aten::mkldnn_rnn_layer_backward": 2 * 1474560}, UNKNOWN),
    ("GRU forward", lambda: recurrent(torch.nn.GRU, False),
     {"aten::addmm": 2 * 20 * 96 * 32, "aten::mm": 2 * 20 * 96 * 16}, None),
    ("RNN forward", lambda: recurrent(torch.nn.RNN, False),
     {"aten::addmm": 2 * 20 * 32 * 32, "aten::mm": 2 * 20 * 32 * 16}, None),
    ("LSTMCell", lambda: torch.nn.LSTMCell(16, 32)(T(2, 16)), {"aten::addmm": 2 * 2 * 128 * 48},
     None),
    ("GRUCell", lambda: torch.nn.GRUCell(16, 32)(T(2, 16)), {"aten::addmm": 2 * 2 * 96 * 48}, None),
]
# 2 sequences of 5 tokens of width 16: projections 2*10*16*64, scores and values 2 * 2*2*5*5*16.
ATTENTION_MODULES = [
    ("MultiheadAttention, fused", lambda: fast_path(
        torch.nn.MultiheadAttention(16, 2, batch_first=True), *[T(2, 5, 16)] * 3),
     {"aten::mm": 2 * 10 * 16 * 48, "aten::bmm": 2 * 2 * 2 * 25 * 16, "aten::addmm": 2 * 10 * 256},
     "FlopCounterMode does not see into the fused path"),
    ("TransformerEncoderLayer, fused", lambda: fast_path(
        torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), T(2, 5, 16)),
     {"aten::mm": 15360, "aten::bmm": 3200, "aten::addmm": 5120 + 10240,
      "aten::_addmm_activation": 10240}, "FlopCounterMode does not see into the fused path"),
]
LINALG = [  # n = 6, m = 8, two right-hand sides
    ("solve", lambda: torch.linalg.solve(SPD, T(6, 2)), {"aten::_linalg_solve_ex": 144 + 144},
     UNKNOWN),
    ("solve for a vector", lambda: torch.linalg.solve(SPD, T(6)),
     {"aten::_linalg_solve_ex": 144 + 72}, UNKNOWN),
    ("cholesky", lambda: torch.linalg.cholesky(SPD), {"aten::linalg_cholesky_ex": 72}, UNKNOWN),
    ("cholesky of a batch", lambda: torch.linalg.cholesky(SPD.expand(3, 6, 6)),
     {"aten::linalg_cholesky_ex": 216}, UNKNOWN),
    ("cholesky_solve", lambda: torch.cholesky_solve(T(6, 2), SPD),
     {"aten::_cholesky_solve_helper": 144}, UNKNOWN),
    ("cholesky_inverse", lambda: torch.cholesky_inverse(SPD), {"aten::cholesky_inverse": 144},
     UNKNOWN),
    ("inv", lambda: torch.linalg.inv(SPD), {"aten::linalg_inv_ex": 432}, UNKNOWN),
    ("lu_factor", lambda: torch.linalg.lu_factor(SPD), {"aten::linalg_lu_factor_ex": 144}, UNKNOWN),
    ("lu_factor 8 x 6", lambda: torch.linalg.lu_factor(torch.eye(8, 6)),
     {"aten::linalg_lu_factor_ex": 8 * 36 - 72}, UNKNOWN),
    ("det", lambda: torch.linalg.det(SPD), {"aten::_linalg_det": 144}, UNKNOWN),
    ("solve_triangular", lambda: torch.linalg.solve_triangular(SPD, T(6, 2), upper=True),
     {"aten::linalg_solve_triangular": 72}, UNKNOWN),
    ("qr", lambda: torch.linalg.qr(T(8, 6)), {"aten::linalg_qr": 2 * 432}, UNKNOWN),
    ("qr, R only", lambda: torch.linalg.qr(T(8, 6), mode="r"), {"aten::linalg_qr": 2 * 36 * 6},
     UNKNOWN),
    ("qr, complete", lambda: torch.linalg.qr(T(8, 6), mode="complete"),
     {"aten::linalg_qr": 432 + 4 * 64 * 6 - 4 * 8 * 36 + 288}, UNKNOWN),
    ("eigh", lambda: torch.linalg.eigh(SPD), {"aten::_linalg_eigh": 9 * 216}, UNKNOWN),
    ("eigvalsh", lambda: torch.linalg.eigvalsh(SPD), {"aten::_linalg_eigh": 288}, UNKNOWN),
    ("eig", lambda: torch.linalg.eig(SPD), {"aten::linalg_eig": 25 * 216}, UNKNOWN),
    ("eigvals", lambda: torch.linalg.eigvals(SPD), {"aten::_linalg_eigvals": 10 * 216}, UNKNOWN),
    ("svd", lambda: torch.linalg.svd(T(8, 6), full_matrices=False),
     {"aten::_linalg_svd": 14 * 8 * 36 + 8 * 216}, UNKNOWN),
    ("svdvals", lambda: torch.linalg.svdvals(T(8, 6)),
     {"aten::_linalg_svd": 4 * 8 * 36 - 288}, UNKNOWN),
    ("lstsq", lambda: torch.linalg.lstsq(T(8, 6), T(8, 2)),
     {"aten::linalg_lstsq": 432 + 4 * 8 * 6 * 2 - 2 * 36 * 2 + 36 * 2}, UNKNOWN),
    ("cdist", lambda: torch.cdist(T(4, 3), T(5, 3)), {"aten::_cdist_forward": 3 * 4 * 5 * 3},
     UNKNOWN),
    ("cdist by a product", lambda: torch.cdist(T(40, 3), T(50, 3)),
     {"aten::mm": 2 * 40 * 50 * (3 + 2)}, "FlopCounterMode does not see into _euclidean_dist"),
]
TRANSFORMS = [
    ("fft2", lambda: torch.fft.fft2(T(3, 8, 4, dtype=C64)), {"aten::_fft_c2c": 5 * 96 * 5},
     UNKNOWN),
    ("rfft", lambda: torch.fft.rfft(T(3, 8)), {"aten::_fft_r2c": 5 * 24 * 3 // 2}, UNKNOWN),
    ("irfft", lambda: torch.fft.irfft(T(3, 5, dtype=C64), n=8), {"aten::_fft_c2r": 180}, UNKNOWN),
    ("fft of 6", lambda: torch.fft.fft(T(6, dtype=C64)), {"aten::_fft_c2c": 5 * 6 * 3}, UNKNOWN),
]
NOTHING = [
    ("embedding", lambda: torch.nn.Embedding(10, 4)(torch.tensor([1, 2])), {}, None),
    ("index_select", lambda: T(4, 4).index_select(0, torch.tensor([1])), {}, None),
    ("meta mm", lambda: torch.mm(T(4, 4, device="meta"), T(4, 4, device="meta")), {},
     "FlopCounterMode counts shapes without arithmetic"),
]
CASES = [*VECTORS, *PRODUCTS, *SPARSE, *RECURRENT, *ATTENTION_MODULES, *LINALG, *TRANSFORMS,
         *NOTHING]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, call, by_op, disagrees", CASES, ids=[case[0] for case in CASES])
def test_each_op_counts_what_was_worked_out_by_hand(name, call, by_op, disagrees):
    with account.count() as c:
        call()
    assert c.by_op == by_op
    assert c.executed == c.model == c.lower == sum(by_op.values())
    assert c.uncounted == []
    if disagrees is None:
        with FlopCounterMode(display=False) as theirs:
            call()
        assert theirs.get_total_flops() == c.executed


@pytest.mark.parametrize("call, dtype", [
    (lambda: torch._int_mm(T(32, 32, dtype=INT8), T(32, 32, dtype=INT8)), "int8"),
    (lambda: torch.mm(T(8, 8, dtype=C64), T(8, 8, dtype=C64)), "complex64"),
    (lambda: torch._scaled_mm(T(16, 32).to(F8), T(16, 32).to(F8).t(), scale_a=T(()),
                              scale_b=T(()), out_dtype=BF16), "float8_e4m3fn"),
    (lambda: torch.ao.nn.quantized.dynamic.Linear(32, 16)(T(4, 32)), "int8"),
    (lambda: torch.fft.rfft(T(8)), "float32"),
])
@pytest.mark.filterwarnings("ignore")
def test_the_type_is_the_one_that_the_arithmetic_ran_in(call, dtype):
    with account.count() as c:
        call()
    assert list(c.by_dtype) == [dtype]


def test_the_gradient_of_a_sparse_product_counts_its_elements_as_well():
    weight = T(6, 7, requires_grad=True)
    with account.count() as c:
        torch.sparse.mm(sparse(), weight).sum().backward()
    assert c.by_phase == {"forward": 70, "backward": 70}


def test_two_sparse_factors_are_listed_and_not_guessed():
    with account.count() as c:
        torch.sparse.mm(sparse(), T(6, 7).to_sparse())
    assert c.executed == 0
    (listed,) = c.uncounted
    assert (listed["op"], listed["calls"]) == ("aten::_sparse_sparse_matmul", 1)


def test_bilinear_counts_backward():
    layer = torch.nn.Bilinear(3, 4, 5)
    with account.count() as c:
        layer(T(2, 3), T(2, 4)).sum().backward()
    assert c.by_phase == {"forward": 320, "backward": 240}


def test_nested_tensors_count_their_parts():
    with account.count() as c:
        torch.nn.Linear(4, 5)(torch.nested.nested_tensor([T(2, 4), T(3, 4)], layout=torch.jagged))
    assert c.by_op == {"aten::addmm": 2 * 5 * 4 * 5}
