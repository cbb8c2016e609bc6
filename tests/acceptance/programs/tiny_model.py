"""Writes a tiny Llama that a real engine can serve: tiny_model.py DIR. Runs in the engine's environment.

The next token depends on the last one alone, by a table we choose, but for one fork. The engine's own text, tool
calls, finish reasons and token counts are thereby known, without any downloaded weights.
After `<say>` comes SENTENCE, one token a word. When tools are offered and none has answered yet, the template writes
`<use NAME>` for the first of them, and a call of it comes with the arguments of CALLS: the attention, which looks at
all tokens alike, tells the fork after `<tool_call>` which NAME stands in the prompt. Every other token leads to a fixed
other one: endless noise.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

# é is two bytes and so two tokens: the engine's stream is cut inside a character.
SENTENCE = [" In", " the", " caf", "Ã", "©", " a", " tiny", " engine", " answers"]
CALLS = {
    "get_weather": {"location": "Paris"},
    "magic_function": {"input": 3},
    "magic_function_no_args": {},
    "greeting_generator": {"answer_style": "Pirate"},
    "unicode_customer": {"customer_name": "你好啊集团 こんにちは株式会社", "description": "A technology company."},
    "Joke": {"setup": "Why do cats purr?", "punchline": "They idle."},
    "JokeDict": {"setup": "Why do dogs bark?", "punchline": "They ping."},
}
BEFORE_CALL, AFTER_CALL = "<tool_call>", "</tool_call>"
MARKS = ["<s>", "</s>", "<say>", *(f"<use {name}>" for name in CALLS)]
WIDTH, HEADS, INNER = 320, 4, 64
FORK = 1 / 64  # small enough that the attention decides nothing but a tie
TEMPLATE = (
    "{% set answered = messages[-1]['role'] == 'tool' %}"
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] or '' }}"
    "{% for tool_call in m.tool_calls or [] %}<tool_call>{{ tool_call.name }}</tool_call>{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}"
    "{% if tools and not answered %}<use {{ tools[0].function.name }}>{% else %}<say>{% endif %}{% endif %}"
)


def call_of(name: str) -> list[str]:
    """The tokens between BEFORE_CALL and AFTER_CALL."""
    arguments = json.dumps(CALLS[name], ensure_ascii=False)
    return [f'{{"name": "{name}", "arguments": ', f"{arguments}}}"]


def tokenizer(folder: Path) -> dict[str, int]:
    """Bytes, and the words above as tokens of their own; returns token -> id."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS])
    words = [*SENTENCE, BEFORE_CALL, AFTER_CALL, *(word for name in CALLS for word in call_of(name))]
    made.add_tokens([AddedToken(word, special=False, normalized=False) for word in words if word not in alphabet])
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return made.get_vocab()


def successors(ids: dict[str, int]) -> list[int]:
    """For each token the one that follows it."""
    letters = [ids[chr(code)] for code in range(ord("a"), ord("z") + 1)]
    follows = [letters[(token * 7 + 3) % len(letters)] for token in range(WIDTH)]
    calls = [[*call_of(name), AFTER_CALL, "</s>"] for name in CALLS]
    for chain in (["<say>", *SENTENCE, "</s>"], *([f"<use {name}>", BEFORE_CALL] for name in CALLS), *calls):
        for here, there in pairwise(chain):
            follows[ids[here]] = ids[there]
    return follows


def weights(follows: list[int], ids: dict[str, int]) -> dict[str, np.ndarray]:
    head = np.zeros((WIDTH, WIDTH), np.float32)
    for here, there in enumerate(follows):
        head[there, here] = 1.0
    head[:, ids[BEFORE_CALL]] = 0.0
    values = np.zeros((WIDTH, WIDTH), np.float32)
    for number, name in enumerate(CALLS, 1):
        # No token has so high an id: these dimensions are free to say which tool was offered.
        values[WIDTH - number, ids[f"<use {name}>"]] = FORK
        opening = ids[call_of(name)[0]]
        head[opening, ids[BEFORE_CALL]] = head[opening, WIDTH - number] = 1.0
    layer = "model.layers.0"
    found = {
        "model.embed_tokens.weight": np.eye(WIDTH, dtype=np.float32),
        "model.norm.weight": np.ones(WIDTH, np.float32),
        "lm_head.weight": head,
        f"{layer}.input_layernorm.weight": np.ones(WIDTH, np.float32),
        f"{layer}.post_attention_layernorm.weight": np.ones(WIDTH, np.float32),
        f"{layer}.mlp.gate_proj.weight": np.zeros((INNER, WIDTH), np.float32),
        f"{layer}.mlp.up_proj.weight": np.zeros((INNER, WIDTH), np.float32),
        f"{layer}.mlp.down_proj.weight": np.zeros((WIDTH, INNER), np.float32),
    }
    for part in ("q_proj", "k_proj"):
        found[f"{layer}.self_attn.{part}.weight"] = np.zeros((WIDTH, WIDTH), np.float32)
    found[f"{layer}.self_attn.v_proj.weight"] = values
    found[f"{layer}.self_attn.o_proj.weight"] = np.eye(WIDTH, dtype=np.float32)
    return found


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ids = tokenizer(folder)
    assert len(ids) <= WIDTH - len(CALLS)
    save_file(weights(successors(ids), ids), str(folder / "model.safetensors"), metadata={"format": "mlx"})
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": WIDTH,
        "num_hidden_layers": 1,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "rms_norm_eps": 1e-5,
        "vocab_size": WIDTH,
        "max_position_embeddings": 4096,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": ids["<s>"],
        "eos_token_id": ids["</s>"],
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
