"""Compiled code counts what the same code counts without the compiler."""

import json
import os
import subprocess
import sys

import harness
import pytest

JOB = str(harness.JOBS / "compiled_modes.py")
FORWARD = 2 * 4 * 8 * 16 + 2 * 4 * 16 * 4
FIRST = 2 * 4 * 8 * 16  # what early stop leaves of a recomputation: all but the last product
STEP = {"forward": FORWARD, "backward": 2 * FORWARD}
AGAIN = STEP | {"recompute": FIRST}


def run(*modes: str, cache: object) -> dict:
    environment = os.environ | harness.QUIET_MACHINE | {"TORCHINDUCTOR_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-W", "ignore", JOB, *modes], env=environment,
                          capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


MODES = {
    "default": [STEP],
    "dynamic": [{phase: n * batch // 4 for phase, n in STEP.items()} for batch in (4, 6, 10)],
    "reduce-overhead": [STEP],
    "max-autotune": [STEP],
    "cpp_wrapper": [STEP],
    "aot_eager": [STEP],
    "moved nodes": [{"forward": 2 * 2 * 4 * 8 * 16, "backward": 2 * 2 * 2 * 4 * 8 * 16}],
    "grad inside": [STEP],
    "graph break": [STEP],
    "checkpoint eager": [AGAIN],
    "checkpoint inside": [AGAIN],
    # All of a compiled function is computed again.
    "checkpoint outside": [STEP | {"recompute": FORWARD}],
    "compiled autograd": [STEP],
    "inference": [{"forward": FORWARD}],
    "frozen": [{"forward": FORWARD}],
    "package": [{"forward": FORWARD}, {"forward": FORWARD * 6 // 4}],
    # 2*3 heads, 16*16 pairs of width 8; backward has the scores again
    "attention": [{"forward": 2 * 6 * 256 * 16, "backward": 2 * 6 * 256 * 40}],
    "attention again": [{"forward": 2 * 6 * 256 * 16, "recompute": 2 * 6 * 256 * 16,
                         "backward": 2 * 6 * 256 * 40}],
    "attention eager": [{"forward": 2 * 6 * 256 * 16, "backward": 2 * 6 * 256 * 40}],
    # An opaque op: what it runs counts, beside the product behind it.
    "custom op": [{"forward": 2 * 4 * 8 * 8 + 2 * 4 * 8 * 2}],
    "flex": [{"forward": 2 * 2 * 128 * 128 * 32}],
    "flex masked": [{"forward": 2 * 2 * 256 * 256 * 32}, {"forward": 2 * 2 * 200 * 200 * 32},
                    {"forward": 2 * 2 * 256 * 256 * 32}],
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("inductor")


CACHED = ["default", "dynamic", "checkpoint inside"]


@pytest.fixture(scope="module")
def counts(cache, tmp_path_factory) -> dict:
    others = [mode for mode in [*MODES, "opaque backend"] if mode not in CACHED]
    return (run(*CACHED, cache=cache)["modes"]
            | run(*others, cache=tmp_path_factory.mktemp("others"))["modes"])


@pytest.mark.parametrize("mode", MODES)
def test_a_compiled_step_counts_as_worked_out_by_hand(counts, mode):
    assert [step["by_phase"] for step in counts[mode]] == MODES[mode]
    for step in counts[mode]:
        assert step["executed"] == sum(step["by_phase"].values())
        opaque = ["account_test::twice"] if mode == "custom op" else []
        assert [entry["op"] for entry in step["uncounted"]] == opaque
        assert set(step["by_dtype"]) == {"float32"}


@pytest.mark.parametrize("mode", ["checkpoint inside", "checkpoint outside", "checkpoint eager"])
def test_a_compiled_recomputation_is_no_part_of_the_model(counts, mode):
    (step,) = counts[mode]
    assert step["model"] == step["executed"] - step["by_phase"]["recompute"]


def test_compiled_attention_says_what_a_mask_leaves(counts):
    (compiled,), (eager,) = counts["attention"], counts["attention eager"]
    assert compiled | {"audited": None} == eager | {"audited": None}
    assert compiled["lower"] == 2 * 6 * (16 * 17 // 2) * (16 + 40)


def test_compiled_flex_attention_says_which_blocks_a_mask_leaves(counts):
    (unmasked,) = counts["flex"]
    assert unmasked["lower"] == unmasked["executed"]
    causal, short, by_head = counts["flex masked"]
    assert causal["lower"] == 2 * 2 * (3 * 128 * 128) * 32
    assert short["lower"] == short["executed"], "blocks at the end count as if they were whole"
    assert by_head["lower"] == 2 * (3 + 1) * 128 * 128 * 32


def test_an_unknown_backend_is_listed(counts):
    (step,) = counts["opaque backend"]
    assert step["executed"] == 0
    (listed,) = step["uncounted"]
    assert (listed["op"], listed["calls"]) == ("compiled region", 1)
    assert "opaque_backend" in listed["reason"]


def test_a_second_process_that_compiles_nothing_counts_the_same(counts, cache):
    again = run("cold", *CACHED, cache=cache)
    assert again["compiled"] == 0, "everything came from the cache"
    assert again["modes"] == {mode: counts[mode] for mode in CACHED}


# Of [4,8] by 8-16-4 with a ReLU between, backward included: a ReLU, the loss, the ReLU's gradient
# (in compiled code a comparison and a choice), and the gradients of the biases; outside of the
# graph those of the parameters and of the input are added up.
RELU, LOSS, BIASES, ADDED = 4 * 16, 4 * 4, 4 * 16 + 4 * 4, 8 * 16 + 16 + 16 * 4 + 4 + 4 * 8
AUDITED = RELU + LOSS + 2 * RELU + BIASES + ADDED
SCORES = 6 * 16 * 16  # each scaled, masked and normalised: 9


@pytest.mark.parametrize(("mode", "by_hand"), [
    ("default", [AUDITED]),
    ("dynamic", [(AUDITED - ADDED) * batch // 4 + ADDED + 8 * (batch - 4) for batch in (4, 6, 10)]),
    ("reduce-overhead", [AUDITED]),
    ("max-autotune", [AUDITED]),
    ("cpp_wrapper", [AUDITED]),
    ("graph break", [AUDITED]),
    ("aot_eager", [AUDITED - RELU]),  # the ReLU's gradient is one op
    ("checkpoint inside", [AUDITED + RELU]),
    ("checkpoint outside", [AUDITED + RELU]),
    ("inference", [RELU]),
    ("frozen", [RELU]),
    ("package", [RELU, RELU * 6 // 4]),
])
def test_pointwise_work_of_a_compiled_step_is_audited(counts, mode, by_hand):
    assert [sum(step["audited"].values()) for step in counts[mode]] == by_hand


def test_scores_of_compiled_attention_are_audited(counts):
    (compiled,), (eager,) = counts["attention"], counts["attention eager"]
    fused = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert compiled["audited"][fused] == eager["audited"][fused] == 9 * SCORES
    assert sum(compiled["audited"].values()) == sum(eager["audited"].values())
    for step, tokens in zip(counts["flex masked"][:2], (256, 200), strict=True):
        scores = 2 * tokens * tokens
        # The mask's comparison, i >= j + 128 * h, of each score.
        assert step["audited"]["higher_order::flex_attention"] == 9 * scores
        assert step["audited"]["aten::ge"] == scores


WITHOUT_US = """
import torch
f = torch.compile(torch.nn.Linear(8, 16))
f(torch.ones(4, 8, requires_grad=True)).sum().backward()
"""


def test_what_was_compiled_without_us_is_compiled_anew_and_counted(tmp_path):
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", WITHOUT_US], env=environment, check=True, timeout=600)
    counted = """
import libaccount
with libaccount.count() as c:
""" + "".join(f"    {line}\n" for line in WITHOUT_US.strip().splitlines()) + "print(c.by_phase)\n"
    done = subprocess.run([sys.executable, "-c", counted], env=environment, check=True,
                          capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == str({"backward": 2 * 1024, "forward": 1024})


INERT = """
import sys, torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))
step = torch.compile(net)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
x, y = torch.randn(32, 16), torch.randint(4, (32,))
if sys.argv[1] == "on":
    import libaccount
    counting = libaccount.count()
    counting.__enter__()
losses = []
for _ in range(50):
    loss = torch.nn.functional.cross_entropy(step(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item().hex())
from torch._dynamo.utils import counters
print(losses, dict(counters["frames"]), dict(counters["stats"]), len(counters["recompiles"]))
if sys.argv[1] == "on":
    assert counting.executed > 0
"""


def test_losses_frames_and_recompilations_are_the_same_with_and_without(tmp_path):
    outputs = [subprocess.run([sys.executable, "-c", INERT, switch], check=True, text=True,
                              env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / switch)},
                              capture_output=True, timeout=600).stdout
               for switch in ("off", "on")]
    assert outputs[0] == outputs[1]
    assert outputs[0].count("0x") == 50
