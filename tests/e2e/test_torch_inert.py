"""Counting changes nothing: the same losses to the last bit, and compiled code stays so."""

import subprocess
import sys

import torch

import libaccount as account

TRAIN = """
import sys
if sys.argv[1] == "counted":
    import libaccount
    libaccount.start(dir=sys.argv[2])
import torch
torch.manual_seed(7)
torch.use_deterministic_algorithms(True)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 32),
    torch.nn.Dropout(0.1), torch.nn.GELU(), torch.nn.Linear(32, 10))
opt = torch.optim.AdamW(net.parameters(), lr=1e-2)
for step in range(50):
    x, y = torch.randn(16, 1, 8, 8), torch.randint(10, (16,))
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    print(loss.detach().numpy().tobytes().hex())
for weight in net.parameters():
    print(weight.detach().numpy().tobytes().hex())
if sys.argv[1] == "counted":
    totals = libaccount.start().totals()
    assert totals.steps == 50 and totals.executed > 0, totals
"""


def losses_and_weights(kind, folder):
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, kind, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_losses_and_final_weights_are_bit_equal_with_and_without(tmp_path):
    bare = losses_and_weights("bare", tmp_path)
    assert len(bare) == 50 + 6 == len(set(bare))  # three layers' weights and biases
    assert losses_and_weights("counted", tmp_path) == bare


def test_a_compiled_step_is_counted_like_an_eager_one():
    net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))

    def step(f):
        f(torch.ones(8, 16)).sum().backward()

    with account.count() as eager:
        step(net)
    torch._dynamo.utils.counters.clear()  # other tests' graphs may break
    compiled = torch.compile(net)
    with account.count() as first:  # compiling runs on fake tensors, which count nothing
        step(compiled)
    with account.count() as warm:
        step(compiled)
    assert first.by_phase == warm.by_phase == eager.by_phase
    assert torch._dynamo.utils.counters["graph_break"] == {}
