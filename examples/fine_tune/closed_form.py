"""How many operations a fine-tune of a Llama-like model takes, on paper.

Reads the model's config.json and the training plan and nothing else: no torch, no libaccount, no
measurement. A fused multiply-add is two operations. Only matrix products are counted, as
libaccount's `executed` figure counts them; norms, activations, rotary angles, softmax and the
optimizer contain none.

    python closed_form.py DATA/model/config.json --ranks 2 --steps 16 --batch 4 --length 128 \
        --held-out 8 --evaluations 3
"""

import argparse
import json
import pathlib
from collections import Counter
from dataclasses import dataclass

# Matrix products inside attention, each 2 * batch * heads * length^2 * head size. The fused
# backward computes the scores again, since the forward did not keep them (Dao 2022, algorithm 4).
FORWARD_PRODUCTS = 2  # scores, output
EXPLICIT_BACKWARD_PRODUCTS = 4  # of each product, one for either factor
FUSED_BACKWARD_PRODUCTS = EXPLICIT_BACKWARD_PRODUCTS + 1


@dataclass(frozen=True)
class Llama:
    """The sizes that decide the count; names as in config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int

    @staticmethod
    def read(path: pathlib.Path) -> "Llama":
        config = json.loads(path.read_text())
        return Llama(**{name: config[name] for name in Llama.__dataclass_fields__})

    def matrix_parameters(self) -> int:
        """Elements of all matrices that every token is multiplied by, the LM head included."""
        queries = self.num_attention_heads * self.head_dim
        keys = self.num_key_value_heads * self.head_dim
        attention = self.hidden_size * (2 * queries + 2 * keys)  # q and o, k and v
        mlp = 3 * self.hidden_size * self.intermediate_size  # gate, up, down
        return self.num_hidden_layers * (attention + mlp) + self.hidden_size * self.vocab_size

    def attention_product(self, sequences: int, length: int) -> int:
        heads = self.num_hidden_layers * self.num_attention_heads
        return 2 * sequences * heads * length**2 * self.head_dim

    def forward(self, sequences: int, length: int, attention: str = "sdpa") -> Counter:
        op = {"sdpa": "aten::_scaled_dot_product_flash_attention_for_cpu", "eager": "aten::bmm"}
        return Counter({
            "aten::mm": 2 * sequences * length * self.matrix_parameters(),
            op[attention]: FORWARD_PRODUCTS * self.attention_product(sequences, length),
        })

    def backward(self, sequences: int, length: int, attention: str = "sdpa") -> Counter:
        """Each matrix product has two: the gradient of its input and that of its weight."""
        product = self.attention_product(sequences, length)
        operations = Counter({"aten::mm": 2 * self.forward(sequences, length)["aten::mm"]})
        if attention == "sdpa":
            op = "aten::_scaled_dot_product_flash_attention_for_cpu_backward"
            operations[op] = FUSED_BACKWARD_PRODUCTS * product
        else:
            operations["aten::bmm"] = EXPLICIT_BACKWARD_PRODUCTS * product
        return operations


def fine_tune(model: Llama, plan: argparse.Namespace) -> dict:
    """The whole job, over all ranks: its total and four ways to divide it."""

    def times(count: int, operations: Counter) -> Counter:
        return Counter({op: plan.ranks * count * n for op, n in operations.items()})

    forward = times(plan.steps, model.forward(plan.batch, plan.length))
    backward = times(plan.steps, model.backward(plan.batch, plan.length))
    evaluate = times(plan.evaluations, model.forward(plan.held_out, plan.length))
    by_op = forward + backward + evaluate
    return {
        "operations": by_op.total(),
        "by_op": dict(by_op),
        "by_phase": {"forward": (forward + evaluate).total(), "backward": backward.total()},
        "by_category": {
            "unassigned": (forward + backward).total(), "evaluate": evaluate.total(),
        },
        "by_rank": {str(rank): by_op.total() // plan.ranks for rank in range(plan.ranks)},
    }


def add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4, help="sequences a rank and step")
    parser.add_argument("--length", type=int, default=128, help="tokens a sequence")
    parser.add_argument("--held-out", type=int, default=8, help="sequences a rank and evaluation")
    parser.add_argument("--evaluations", type=int, default=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=pathlib.Path)
    add_plan(parser)
    args = parser.parse_args()
    print(json.dumps(fine_tune(Llama.read(args.config), args), indent=2))


if __name__ == "__main__":
    main()
