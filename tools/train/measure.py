"""Measures the committed model as the gate runs it, and writes its card.

    python measure.py --data DIR --program PATH-TO-EXAMPLE-features --card crates/inspect/models/linear.md --held held.md
"""

import argparse
import base64
import codecs
import json
import subprocess
from pathlib import Path

import numpy as np

import rows as data
import train

LEET = str.maketrans("aeiost", "431057")
ALIKE = str.maketrans("aeopcxyiAEOPCXTHKMB", "аеорсхуіАЕОРСХТНКМВ")


def spaced(text):
    return " ".join(text)


def half(text):
    rng = np.random.default_rng(7)
    return "".join(c.translate(ALIKE) if rng.random() < 0.5 else c for c in text)


DISGUISES = {
    "none": lambda t: t,
    "zero-width joiners": "\u200d".join,
    "homoglyphs (half)": half,
    "letters spaced": spaced,
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "tag block": lambda t: "Hi. " + "".join(chr(0xE0000 + ord(c)) for c in t if c.isascii()),
    "leet": lambda t: t.translate(LEET),
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "hex": lambda t: t.encode().hex(),
    "rot13": lambda t: codecs.encode(t, "rot13"),
    "reversed": lambda t: t[::-1],
    "percent": lambda t: "".join(f"%{b:02x}" for b in t.encode()),
    "HTML entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "\\u escapes": lambda t: "".join(f"\\u{ord(c):04x}" for c in t if ord(c) < 0x10000),
    "upper case": str.upper,
}


def score(program, texts):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    out = subprocess.run([program, "score"], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def share(answers, channel):
    return float(np.mean([a[f"{channel}_attack"] for a in answers])) if answers else float("nan")


def disguises(program, attacks, ordinary, model):
    """Recall of attacks and flags of ordinary text in each disguise, as written and normalised."""
    out = []
    for name, disguise in DISGUISES.items():
        hidden, calm = [disguise(t) for t in attacks], [disguise(t) for t in ordinary]
        raw = raw_flags(program, hidden, model)
        out.append((name, raw, share(score(program, hidden), "user"), share(score(program, calm), "user")))
    return out


def raw_flags(program, texts, model):
    counts = data.count(texts, program, "raw")
    values = train.worst(train.block_sums(counts, model["weights"]), counts.features, counts.first, model["bias"])
    blocks = np.diff(counts.first)
    return float(np.mean(values - train.allowance(model["allowances"], blocks) > model["threshold"]))


def agree(program, texts, model):
    """The gate and this program must read the weights alike."""
    counts = data.count(texts, program)
    values = train.worst(train.block_sums(counts, model["weights"]), counts.features, counts.first, model["bias"])
    values -= train.allowance(model["allowances"], np.diff(counts.first))
    theirs = np.array([answer["user"] for answer in score(program, texts)])
    assert np.abs(1 / (1 + np.exp(-values)) - theirs).max() < 1e-3


def long_texts(rows, length, amount, rng):
    """Ordinary documents of one source, one behind the other."""
    groups = {}
    for row in rows:
        if row.channel == "doc" and row.label == 0 and row.source not in train.HARD | train.DEV:
            groups.setdefault(row.source, []).append(row.text)
    names = sorted(groups)
    for number in range(amount):
        texts, text = groups[names[number % len(names)]], ""
        while len(text) < length:
            text += texts[rng.integers(len(texts))] + "\n\n"
        yield text[:length]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--held", type=Path, help="what train.py wrote of sources left out")
    parser.add_argument("--card", type=Path)
    options = parser.parse_args()
    rows, program = data.load(options.data), options.program
    model = train.read_model(options.model)["user"]
    lines = []
    agree(program, [row.text for row in rows if "<" not in row.text and "[" not in row.text][::600][:100], model)

    groups = {}
    for row in rows:
        if row.source in train.DEV:
            groups.setdefault((row.channel, row.source, row.label), []).append(row.text)
    lines += ["## Development set", "", "Never trained on. Every other source was.", "", "| channel | source | rows | flagged |", "|---|---|---|---|"]
    for (channel, source, label), texts in sorted(groups.items()):
        side = "attacks" if label else "ordinary"
        lines.append(f"| {channel} | {source}, {side} | {len(texts)} | {share(score(program, texts), channel):.2f} |")

    attacks = [t for (c, _, label), texts in sorted(groups.items()) if c == "user" and label for t in texts]
    attacks = [t for t in attacks if t.isascii() and len(t) > 20][:150]
    ordinary = [row.text for row in rows if row.channel == "user" and row.label == 0 and row.source in ("deepset_train", "clinc150", "banking77") and row.text.isascii()]
    ordinary = ordinary[:: max(1, len(ordinary) // 150)]
    lines += ["", "## Disguises", "", "Attacks of the development set (English, user channel): recall as written and normalised; ordinary text flagged.", ""]
    lines += ["| disguise | raw | normalised | ordinary flagged |", "|---|---|---|---|"]
    for name, raw, found, flagged in disguises(program, attacks, ordinary, model):
        lines.append(f"| {name} | {raw:.2f} | {found:.2f} | {flagged:.3f} |")

    lines += ["", "## Long ordinary documents", "", "Flagged, of 500 for each length; sources of the training set.", "", "| characters | user | doc |", "|---|---|---|"]
    rng = np.random.default_rng(train.SEED)
    for length in (2000, 4000, 8000, 16000):
        answers = score(program, list(long_texts(rows, length, 500, rng)))
        lines.append(f"| {length} | {share(answers, 'user'):.3f} | {share(answers, 'doc'):.3f} |")

    text = "\n".join(lines) + "\n"
    if options.held:
        text = options.held.read_text(encoding="utf-8") + "\n" + text
    print(text)
    if options.card:
        options.card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
