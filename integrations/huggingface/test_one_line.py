"""What a script of one's own says in one line, and what generating counts as."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import torch
from authority import Authority
from transformers import LlamaConfig, LlamaForCausalLM

import libaccount

SCRIPT = """
import sys
import libaccount
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
data = [{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 8
def trainer(callbacks=None, **words):
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2))
    return Trainer(model=model, train_dataset=data, callbacks=callbacks, args=TrainingArguments(
        sys.argv[1], max_steps=3, use_cpu=True, save_strategy="no", disable_tqdm=True, **words))
"""


def run(code: str, *words: object, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT + code, *map(str, words)], text=True,
                          capture_output=True, timeout=120, check=False,
                          env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("code", [
    "trainer(report_to='libaccount').train()",
    "t = trainer(); libaccount.attach(t); libaccount.attach(t); t.train()",
    "from libaccount.integrations.huggingface import Callback\n"
    "t = trainer(); t.add_callback(Callback()); t.train()",
], ids=["report_to", "attach", "callback"])
def test_one_line_counts_the_trainers_steps(code, account, tmp_path):
    said = run(code + "\nt = libaccount.start().totals()\n"
               "print(t.steps, t.samples, t.tokens, *t.by_category)", tmp_path / "out")
    assert said == "3 24 192 train"  # steps, rows of 8 tokens


def test_a_job_that_says_what_it_takes_in_is_not_doubled(account, tmp_path):
    said = run("from transformers import TrainerCallback\n"
               "class Says(TrainerCallback):\n"
               "    def on_step_end(self, *_, **__): libaccount.start().processed(tokens=150)\n"
               "t = trainer(callbacks=[Says()]); libaccount.attach(t); t.train()\n"
               "t = libaccount.start().totals()\nprint(t.samples, t.tokens)", tmp_path / "out")
    assert said == "0 450"


def test_batches_that_ranks_share_and_batches_of_no_tensors_are_not_guessed():
    from types import SimpleNamespace

    from libaccount.integrations._shared import offer, size_of

    pair = (torch.ones(4, 8), torch.ones(4))
    assert size_of(pair) == size_of({"image": pair[0], "label": pair[1]}) == (4, 0)
    assert size_of({"input_ids": torch.ones(2, 8), "pixels": torch.ones(5, 3)}) == (2, 16)
    for unknown in ([{"prompt": "a"}], (torch.ones(4), torch.ones(5)), torch.tensor(1.0), None,
                    {"input_ids": [[1, 2]]}, {}):
        assert size_of(unknown) == (0, 0)

    said = []
    run = SimpleNamespace(_offer_intake=lambda *size: said.append(size))
    offer(run, "transformers", (1, 2), lambda: False)
    offer(run, "transformers", (1, 2), lambda: True)
    offer(run, "transformers", (1, 2), lambda: 1 // 0)
    assert said == [("transformers", 1, 2)]


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


def record_of(account, folder: pathlib.Path) -> dict:
    return json.loads(account("verify", folder, "--json").stdout)


def test_a_card_that_is_written_anew_says_it_again(account, tmp_path):
    run("t = trainer(report_to='libaccount'); t.train(); t.save_model()\n"
        "t.create_model_card(model_name='llama')\nprint()", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert "llama" in card and card.count("## Training compute") == 1
    assert record_of(account, tmp_path / "out")["weights_checked"] is True


def test_an_adapter_and_what_it_is_merged_into_have_unknown_parents(account, tmp_path):
    run("from peft import LoraConfig, get_peft_model\n"
        "t = trainer(report_to='libaccount')\n"
        "lora = LoraConfig(target_modules=['q_proj'])\n"
        "t.model = t.model_wrapped = get_peft_model(t.model, lora)\n"
        "t.train()\n"
        "t.model.save_pretrained(sys.argv[1] + '/adapter')\n"
        "t.model.merge_and_unload().save_pretrained(sys.argv[1] + '/merged')\nprint()",
        tmp_path / "out")
    for name, kind in (("adapter", "adapter"), ("merged", "fine-tune")):
        shown = record_of(account, tmp_path / "out" / name)
        assert shown["kind"] == kind and shown["sums"]["complete"] is False


def test_what_goes_on_from_an_unknown_checkpoint_has_an_unknown_parent(account, tmp_path):
    run("t = trainer(report_to='none'); t.args.save_strategy = 'steps'; t.args.save_steps = 1\n"
        "t.args.max_steps = 1; t.train()\nprint()", tmp_path / "before")
    code = ("t = trainer(report_to='libaccount'); t.model.config._name_or_path = sys.argv[2]\n"
            "t.train(resume_from_checkpoint=sys.argv[3] if len(sys.argv) > 3 else None)\n"
            "t.model.save_pretrained(sys.argv[1] + '/final')\nprint()")
    run(code, tmp_path / "base", "")
    base = tmp_path / "base" / "final"
    account("record", next((tmp_path / "account").iterdir()), "--weights", base, "--kind",
            "pretraining")
    run(code, tmp_path / "one", base)
    assert record_of(account, tmp_path / "one/final")["sums"]["complete"] is True
    run(code, tmp_path / "two", base, tmp_path / "before/checkpoint-1")
    assert record_of(account, tmp_path / "two/final")["sums"]["complete"] is False


def test_a_name_on_the_hub_is_found_in_the_cache(tmp_path):
    copy = tmp_path / "hub/models--acme--base"
    (copy / "refs").mkdir(parents=True)
    (copy / "refs/main").write_text("a" * 40)
    (copy / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (copy / "snapshots" / ("a" * 40) / "config.json").write_text("{}")
    said = run("from libaccount.integrations.huggingface import _folders_of_origin\n"
               "from types import SimpleNamespace as N\n"
               "for name in ('acme/base', 'acme/other', ''):\n"
               "    print(*_folders_of_origin(N(config=N(_name_or_path=name))), end=' ')",
               tmp_path / "out", HF_HOME=str(tmp_path))
    assert said.split() == [str(copy / "snapshots" / ("a" * 40))]


def test_half_a_checkpoint_is_removed_and_a_whole_one_kept(tmp_path):
    run("from libaccount.integrations.huggingface import _save_checkpoint\n"
        "from libaccount._errors import ExportDenied\n"
        "from pathlib import Path\n"
        "t = trainer(report_to='libaccount')\n"
        "def half(trainer):\n"
        "    folder = Path(sys.argv[1], f'checkpoint-{t.state.global_step}')\n"
        "    folder.mkdir(parents=True, exist_ok=True)\n"
        "    (folder / 'config.json').write_text('{}')\n"
        "    raise ExportDenied('an order stands')\n"
        "Path(sys.argv[1], 'checkpoint-0').mkdir(parents=True)\n"
        "for t.state.global_step in (0, 1):\n"
        "    _save_checkpoint(half, t)\nprint()", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint-0"]


def test_while_an_order_stands_no_way_of_a_framework_leaves_a_file(account, tmp_path):
    authority = Authority(account, tmp_path)
    authority.stop("all")
    said = run(
        "try: libaccount.start(authority=sys.argv[2])\n"
        "except SystemExit: pass\n"
        "from accelerate import Accelerator\n"
        "from peft import LoraConfig, get_peft_model\n"
        "t = trainer(report_to='none')\n"
        "a = Accelerator(cpu=True)\n"
        "adapter = get_peft_model(t.model, LoraConfig(target_modules=['q_proj']))\n"
        "for way in (t.model.save_pretrained, t.save_model, adapter.save_pretrained,\n"
        "            a.save_state, lambda folder: a.save_model(t.model, folder)):\n"
        "    try: way(sys.argv[1] + '/saved')\n"
        "    except libaccount.ExportDenied: print(end='refused ')\n"
        "print()", tmp_path / "out", authority.path)
    assert said.split() == ["refused"] * 5
    assert not (tmp_path / "out/saved").exists()
