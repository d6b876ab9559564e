"""Operations a second, and their share of a device's peak, by hand."""

import json
import re
import sys
from dataclasses import dataclass, field

import harness
import pytest
import torch

import libaccount as account
from libaccount import _rates

H100 = "NVIDIA H100 80GB HBM3"


@dataclass
class Counted:
    executed: int
    model: int
    by_dtype: dict = field(default_factory=dict)


def test_utilisation_sums_over_types():
    totals = Counted(3 * 10**15, 2 * 10**15, {"bfloat16": 10**15, "float8_e4m3fn": 2 * 10**15})
    got = account.rates(totals, 4.0, device=H100)
    assert got.operations_per_second == 0.75e15
    assert got.hfu == pytest.approx((1e15 / 989.4e12 + 2e15 / 1978.9e12) / 4)
    assert got.mfu == pytest.approx(got.hfu * 2 / 3)


def test_float32_is_held_against_what_torch_was_told_to_use():
    totals = Counted(10**12, 10**12, {"float32": 10**12})
    assert account.rates(totals, 1.0, device=H100).hfu == pytest.approx(1 / 67)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        assert account.rates(totals, 1.0, device=H100).hfu == pytest.approx(1 / 494.7)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize(("device", "dtype", "why"), [
    ("cpu", "float32", "no peak is known for cpu"),
    ("NVIDIA A100-SXM4-80GB", "float8_e5m2", "no peak of NVIDIA A100 is known for float8_e5m2"),
])  # fmt: skip
def test_what_is_not_known_is_said(device, dtype, why):
    got = account.rates(Counted(8, 8, {dtype: 8}), 2.0, device=device)
    assert (got.operations_per_second, got.hfu, got.mfu, got.why_unknown) == (4.0, None, None, why)


@pytest.mark.parametrize(("name", "device"), [
    ("NVIDIA H100 PCIe", "NVIDIA H100 PCIe"), ("NVIDIA H100 NVL", "NVIDIA H100 NVL"),
    ("NVIDIA H200", "NVIDIA H100 SXM, H200, GH200"), ("NVIDIA B200", "NVIDIA B200 (HGX)"),
    ("NVIDIA A100 80GB PCIe", "NVIDIA A100"), ("NVIDIA L40S", "NVIDIA L40S"),
    ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
    ("AMD Instinct MI300X", "AMD Instinct MI300X"),
])  # fmt: skip
def test_names_that_torch_gives_are_found(name, device):
    found = next(d for d in _rates._devices() if _rates._matches(d, name))
    assert found["device"] == device
    assert found["source"]


def test_a_file_of_ones_own_goes_before(tmp_path, monkeypatch):
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"devices": [
        {"match": "cpu", "device": "this one", "peaks": {"float32": 1000}}]}))
    monkeypatch.setenv("ACCOUNT_DEVICES", str(path))
    with account.count() as c:
        torch.ones(4, 4) @ torch.ones(4, 4)
    got = account.rates(c, 2.0, device="cpu")
    assert (got.hfu, got.mfu) == (128 / 1000 / 2, 128 / 1000 / 2)
    assert c.seconds > 0
    assert account.rates(c, c.seconds, device="cpu").operations_per_second == 128 / c.seconds


@pytest.mark.parametrize("text", [
    "", "{}", '{"devices": 3}', '{"devices": [{"match": "x|"}]}',
    '{"devices": [{"match": "x", "device": "x", "peaks": {"float32": -1}}]}',
    '{"devices": [{"match": "x", "device": "x", "peaks": {"float32": "fast"}}]}',
])  # fmt: skip
def test_a_file_that_is_none_is_refused_by_name(tmp_path, monkeypatch, text):
    path = tmp_path / "devices.json"
    path.write_text(text)
    monkeypatch.setenv("ACCOUNT_DEVICES", str(path))
    with pytest.raises(account.Error, match=re.escape(f"{path}: it is no table of devices")):
        account.rates(Counted(1, 1), 1.0, device="cpu")
    monkeypatch.setenv("ACCOUNT_DEVICES", str(tmp_path / "nowhere"))
    with pytest.raises(account.Error, match="nowhere: it is no table of devices"):
        account.rates(Counted(1, 1), 1.0, device="cpu")


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_no_time_is_refused(seconds):
    with pytest.raises(account.Error, match="no time to divide by"):
        account.rates(Counted(1, 1), seconds, device="cpu")


def test_a_running_job_says_its_share_of_the_peak(tmp_path):
    command, peak = harness.Account(), 10**11
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"devices": [
        {"match": "cpu|NVIDIA|AMD", "device": "this one", "peaks": {"float32": peak}}]}))
    code = ("import torch, libaccount\nrun = libaccount.start()\n"
            "while True: torch.ones(300, 300) @ torch.ones(300, 300); run.step()")
    words = command.run_command("--run", "rates", "--dir", tmp_path / "account",
                                command=[sys.executable, "-c", code])
    with harness.Job(words, tmp_path / "log", ACCOUNT_DEVICES=str(path)) as job:
        harness.wait_until("a share of the peak", lambda: [
            live for live in command.live(tmp_path / "account") if live["mfu_percent"]])
        (live,) = command.live(tmp_path / "account")
        share = int(live["operations_per_second"]) / peak * 100
        assert float(live["mfu_percent"]) == pytest.approx(share, rel=0.01)
        assert re.search(r" a second, MFU [0-9.]+ %", command("status").stdout)
        harness.wait_until("a line", lambda: re.search(r" a second, MFU [0-9.]+ %", job.output()))
