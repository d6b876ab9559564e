"""What a script of one's own says in one line, and what generating counts as."""

import subprocess
import sys

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import libaccount

SCRIPT = """
import sys
import libaccount
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
data = [{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 8
def trainer(**words):
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2))
    return Trainer(model=model, train_dataset=data, args=TrainingArguments(
        sys.argv[1], max_steps=3, use_cpu=True, save_strategy="no", disable_tqdm=True, **words))
"""


def run(code: str, *words: object) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT + code, *map(str, words)], text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("code", [
    "trainer(report_to='libaccount').train()",
    "t = trainer(); libaccount.attach(t); libaccount.attach(t); t.train()",
    "from libaccount.integrations.huggingface import Callback\n"
    "t = trainer(); t.add_callback(Callback()); t.train()",
], ids=["report_to", "attach", "callback"])
def test_one_line_counts_the_trainers_steps(code, account, tmp_path):
    said = run(code + "\nt = libaccount.start().totals()\nprint(t.steps, *t.by_category)",
               tmp_path / "out")
    assert said == "3 train"


def test_a_trainer_that_is_not_attached_is_left_alone(tmp_path):
    said = run("trainer(report_to='none').train()\nprint(libaccount._run.current())",
               tmp_path / "out")
    assert said == "None"


def test_generating_is_told_apart():
    from libaccount.integrations import huggingface

    huggingface._wrap_saves()
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2))

    def by_category(inside: str | None) -> list[str]:
        with libaccount.count() as c:
            if inside is None:
                model.generate(torch.ones(1, 3, dtype=torch.long), max_new_tokens=2)
            else:
                with libaccount.category(inside):
                    model.generate(torch.ones(1, 3, dtype=torch.long), max_new_tokens=2)
        return list(c.by_category)

    assert by_category(None) == ["generate"]
    assert by_category("train") == ["rollout"]
    assert by_category("evaluate") == ["evaluate"]
