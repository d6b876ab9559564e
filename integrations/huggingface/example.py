"""Trains a small Llama on the bytes of a text with Transformers' Trainer. Knows no libaccount.

    account run -- torchrun --standalone --nproc-per-node 2 example.py TEXT --output OUT
"""

import argparse
import json
import pathlib
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

LENGTH = 32


class Sequences(torch.utils.data.Dataset):
    def __init__(self, text: bytes) -> None:
        self.tokens = torch.tensor(list(text)).split(LENGTH)[:-1]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--base", help="a model that from_pretrained() knows")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a step, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    torch.manual_seed(0)
    if args.base:
        model = LlamaForCausalLM.from_pretrained(args.base, attn_implementation="eager")
    else:
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=256, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, attention_dropout=0.1,
            attn_implementation="eager"))
    data = Sequences(args.text.read_bytes())
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.output), max_steps=args.steps, use_cpu=True, disable_tqdm=True,
            per_device_train_batch_size=2, gradient_accumulation_steps=2, logging_steps=1,
            save_steps=5, save_total_limit=1, eval_strategy="steps", eval_steps=6, seed=1),
        train_dataset=torch.utils.data.Subset(data, range(200)),
        eval_dataset=torch.utils.data.Subset(data, range(200, 208)),
        callbacks=[Losses(args.output / "losses.jsonl", args.pause)],
    )
    trainer.train()
    trainer.save_model(args.output / "final")


if __name__ == "__main__":
    main()
