"""Trains a LoRA adapter on the lines of a text with TRL's SFTTrainer. Knows no libaccount.

    account run -- torchrun --standalone --nproc-per-node 2 example_lora.py TEXT --output OUT
"""

import argparse
import json
import pathlib
import time

import torch
from datasets import Dataset
from peft import LoraConfig
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Losses(TrainerCallback):
    """Every logged loss, with all its digits, as a line a step."""

    def __init__(self, path: pathlib.Path, pause: float) -> None:
        self.path, self.pause = path, pause

    def on_log(self, args, state, control, logs, **kwargs):
        if state.is_world_process_zero and "loss" in logs:
            with self.path.open("a") as file:
                file.write(json.dumps([state.global_step, logs["loss"]]) + "\n")

    def on_step_end(self, args, state, control, **kwargs):
        time.sleep(self.pause)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte."""
    alphabet = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a step, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=257, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, bos_token_id=0, eos_token_id=0,
        pad_token_id=0, attn_implementation="eager"))
    lines = [line for line in args.text.read_text().splitlines() if len(line) > 20]
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(args.output), max_steps=10, use_cpu=True, disable_tqdm=True, bf16=False,
            per_device_train_batch_size=2, logging_steps=1, save_steps=4, max_length=64,
            learning_rate=1e-3, report_to="none"),
        train_dataset=Dataset.from_dict({"text": lines}),
        peft_config=LoraConfig(r=4, target_modules=["q_proj", "v_proj"]),
        processing_class=byte_tokenizer(),
        callbacks=[Losses(args.output / "losses.jsonl", args.pause)],
    )
    trainer.train()
    trainer.save_model(args.output / "final")


if __name__ == "__main__":
    main()
