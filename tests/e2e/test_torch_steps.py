"""Where a step ends, and what start() gives and refuses."""

import json
import pathlib
import warnings

import harness
import pytest
import torch

import libaccount as account

GEMM = 2 * 4 * 8 * 8


@pytest.fixture(name="account_command")
def _account_command():
    return harness.Account()


@pytest.fixture
def run(tmp_path):
    with account.start(model="acme/tiny", dir=tmp_path / "runs") as run:
        yield run


def train(net, opt, steps=1):
    for _ in range(steps):
        opt.zero_grad()
        net(torch.ones(4, 8)).sum().backward()
        opt.step()


def linear():
    net = torch.nn.Linear(8, 8, bias=False)
    return net, torch.optim.SGD(net.parameters(), lr=0.01)


def test_the_outermost_of_engines_has_the_step(run):
    class Engine:
        pass

    outer, inner = Engine(), Engine()
    with run._hook.step_of(outer) as owns:
        assert owns
        for engine in (outer, inner):  # a subclass that calls its base's step, and another engine
            with run._hook.step_of(engine) as inner_owns:
                assert not inner_owns
    assert run.totals().steps == 1
    with pytest.raises(ValueError, match="not this time"), run._hook.step_of(outer):
        raise ValueError("not this time")
    assert run.totals().steps == 1
    with run._hook.step_of(outer) as owns:
        assert owns
    assert run.totals().steps == 2


def test_each_optimizer_step_closes_one(run):
    train(*linear(), steps=5)
    assert run.totals().steps == 5
    assert run.totals().executed == 5 * 2 * GEMM


def test_the_first_optimizer_that_steps_owns_the_steps(run):
    first, second = linear(), linear()
    for _ in range(3):
        train(*first)
        train(*second)
        train(*second)
    assert run.totals().steps == 3


def test_an_optimizer_made_anew_takes_over(run):
    train(*linear(), steps=2)
    train(*linear(), steps=2)
    assert run.totals().steps == 4


def test_calling_step_turns_the_hook_off_for_good(run):
    net, opt = linear()
    train(net, opt, steps=2)
    run.step()
    train(net, opt, steps=4)
    assert run.totals().steps == 3


def test_an_optimizer_inside_backward_closes_the_step_when_backward_ends(run):
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    seen = []
    for p in net.parameters():
        opt = torch.optim.SGD([p], lr=0.01)

        def update(p, opt=opt):
            opt.step()
            p.grad = None
            seen.append(run.totals().steps)

        p.register_post_accumulate_grad_hook(update)
    for done in range(3):
        net(torch.ones(4, 8)).sum().backward()
        assert set(seen) == {done}  # still the old step while backward ran
        assert run.totals().steps == done + 1
        seen.clear()


def test_totals_hold_every_breakdown(run):
    with account.category("train"):
        train(*linear())
    t = run.totals()
    assert t.executed == t.model == t.lower == 2 * GEMM <= t.upper
    assert t.by_op == {"aten::mm": 2 * GEMM}
    assert t.by_phase == {"forward": GEMM, "backward": GEMM}
    assert t.by_dtype == {"float32": 2 * GEMM}
    assert t.by_category == {"train": 2 * GEMM}


def test_what_could_not_be_counted_is_listed_here_and_in_the_evidence(run, account_command):
    sparse = torch.eye(4).to_sparse()
    reason = "the work of two sparse factors is not in their shapes"
    for _ in range(2):
        torch.mm(sparse, sparse)
    (listed,) = run.totals().uncounted
    bound = 2 * (4 * 16 * 16 + 64 * (16 + 16 + 4 + 4))  # two [4,4] with 4 elements stored, twice
    assert listed == {"op": "aten::mm", "calls": 2, "reason": reason, "bound": bound}
    assert run.totals().upper == bound
    run.finish()
    (recorded,) = account_command.verify(run.directory)["uncounted"]
    assert (recorded["op"], recorded["reason"]) == ("aten::mm", reason)


def test_starting_again_returns_the_same_run(run):
    assert account.start() is run
    assert account.start(run=run.id) is run
    with pytest.raises(account.Error, match="already takes part in run"):
        account.start(run="another")


def test_a_finished_run_stays_finished_and_can_be_read(run):
    train(*linear())
    run.finish()
    run.finish()
    assert run.totals().steps == 1
    train(*linear())
    assert run.totals().steps == 1
    assert pathlib.Path(run.directory).is_dir()


def test_transcripts_hold_the_shapes_of_recorded_steps(run):
    train(*linear(), steps=2)
    run.finish()
    rows = [
        json.loads(line)
        for file in pathlib.Path(run.directory).rglob("transcripts/*")
        for line in file.read_text().splitlines()
    ]
    calls = [row for row in rows if row.get("op") == "aten::mm"]
    assert {row["phase"] for row in calls} == {"forward", "backward"}
    forward = next(row for row in calls if row["phase"] == "forward")
    assert forward["arguments"] == {"self": [4, 8], "mat2": [8, 8]}
    assert forward["dtype"] == "float32"
    assert int(forward["executed"]) == GEMM * forward["calls"]


@pytest.mark.parametrize("later", ["cost", "price"])
def test_what_is_not_supported_yet_is_refused_never_ignored(later):
    with pytest.raises(account.Error, match=rf"start\({later}=...\) is not supported"):
        account.start(**{later: "something"})


def test_settings_that_cannot_be_kept_are_refused():
    with pytest.raises(account.Error, match="setting"):
        account.start(setting="lock")  # there is nobody to obey
    with pytest.raises(account.Error, match="'loose' is no setting"):
        account.start(setting="loose")


def test_a_state_is_a_function_and_not_what_one_returns(tmp_path):
    with pytest.raises(account.Error, match=r"start\(state=...\) is a function"):
        account.start(dir=tmp_path, state={"step": 1})
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_fails_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(account.Error, match="file"):
        account.start(dir=tmp_path / "file" / "runs")
    with account.count() as c:  # and nothing else is the worse for it
        torch.ones(4, 8) @ torch.ones(8, 8)
    assert c.executed == GEMM


def test_off_counts_nothing_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCOUNT", "off")
    with account.start(dir=tmp_path / "runs") as run:
        train(*linear())
        run.step()
        assert not run.counting
        assert run.totals().executed == 0
    assert not (tmp_path / "runs").exists()


def test_nothing_warns(recwarn, run):
    warnings.simplefilter("always")
    train(*linear())
    assert [str(w.message) for w in recwarn] == []
