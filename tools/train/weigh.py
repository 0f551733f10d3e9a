"""Sets the thresholds of the encoder on rows that it never saw, writes the file of weights, and measures it.

    python weigh.py --data DIR --rows tools/train/written --base e5-small-q4.bin --weights WORK/encoder.pt \\
        --encoder PATH-TO-EXAMPLE-encoder --features PATH-TO-EXAMPLE-features --out crates/inspect/models

All values are those of the gate's own arithmetic, in 8 bits.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import torch

import base as bases
import export
import measure
import windows
from encoder import FROZEN, LAYERS, SEED

STEPS = export.STEPS
# Rows measured of one source, channel and label.
CAP = 300
# Ordinary prompts with words of attacks, or written beside an attack: they measure over-defence and set no threshold.
# Written documents do: there are few others, and they are what documents are like.
HARD = {"synthetic_mof", "promptschat_book", "docs_md/models", "bastioncorpus"}


def is_hard(row):
    return row.source in HARD or (row.source.startswith("written/") and row.channel == "user")


def values(texts, program, weights):
    """For each text the values of its windows: user, document."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    out = subprocess.run([program, "values", str(weights)], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [np.array(json.loads(line)) for line in out.splitlines()]


def step(count):
    return min(int(np.ceil(np.log2(max(count, 1)))), STEPS - 1)


def long(documents, count, amount, rng):
    """The worst of so many windows of long ordinary documents that follow one another."""
    out = []
    for number in range(amount):
        document = documents[number % len(documents)]
        start = rng.integers(max(1, len(document) - count + 1))
        out.append(document[start : start + count].max())
    return np.array(out)


def calibrate(rows, found, documents, channel):
    """A threshold where 1 % of ordinary text is flagged, and what long ordinary text is allowed so that this holds there."""
    head, rng = ("user", "doc").index(channel), np.random.default_rng(SEED)
    ordinary = [(row, value) for row, value in zip(rows, found) if row.label == 0 and not is_hard(row)]
    own = [(row, value[:, head]) for row, value in ordinary if row.channel == channel]
    documents = [value[:, head] for value in documents]
    allowances = [0.0] * STEPS
    threshold = 0.0
    for _ in range(6):
        worst = [value.max() - allowances[step(len(value))] for _, value in own]
        weights = {}
        for row, _ in own:
            weights[row.source] = weights.get(row.source, 0) + 1
        threshold = quantile(worst, [1 / weights[row.source] ** 0.5 for row, _ in own], 0.99)
        last = 0.0
        for number in range(1, STEPS):
            if number <= 6:
                last = max(last, float(np.quantile(long(documents, 2**number, 1200, rng), 0.993)) - threshold)
            else:
                last += 0.25
            allowances[number] = last
    return threshold, allowances


def quantile(values, weights, share):
    order = np.argsort(values)
    total = np.cumsum(np.array(weights)[order])
    return float(np.array(values)[order][np.searchsorted(total, share * total[-1])])


def auc(attacks, ordinary):
    both = np.concatenate([attacks, ordinary])
    rank = both.argsort().argsort()[: len(attacks)] + 1
    return (rank.sum() - len(attacks) * (len(attacks) + 1) / 2) / (len(attacks) * len(ordinary))


def table(rows, worst, head, linear, channel):
    """By source: flagged by the encoder, by the linear model, by either."""
    groups = {}
    for row, value, other in zip(rows, worst, linear):
        if row.channel != channel:
            continue
        names = [row.source]
        if row.source.startswith("written/"):
            names += ["written, English" if row.lang == "en" else "written, other languages"]
        if row.source in ("deepset_train", "yanismiraoui"):
            names += [f"{row.source}:{row.lang}"]
        for name in names:
            groups.setdefault((name, row.label), []).append((value > head[0], other))
    lines = ["| source, 1 attack or 0 ordinary | encoder | linear | either | rows |", "|---|---|---|---|---|"]
    for (name, label), found in sorted(groups.items()):
        a, b = np.array(found).T
        lines.append(f"| {name} {label} | {a.mean():.3f} | {b.mean():.3f} | {(a | b).mean():.3f} | {len(found)} |")
    return lines


def languages(rows, worst, head, channel):
    groups = {}
    for row, value in zip(rows, worst):
        if row.channel == channel and row.source.startswith("written/"):
            groups.setdefault(row.lang, ([], []))[1 - row.label].append(value > head[0])
    lines = ["| language | attacks found | of | ordinary flagged | of |", "|---|---|---|---|---|"]
    for lang, (attacks, ordinary) in sorted(groups.items()):
        mean = lambda flags: f"{np.mean(flags):.2f}" if flags else "-"
        lines.append(f"| {lang} | {mean(attacks)} | {len(attacks)} | {mean(ordinary)} | {len(ordinary)} |")
    return lines


def worst_of(found, head, number):
    return np.array([value[:, number].max() - head[1][step(len(value))] for value in found])


def flags(texts, program, weights, head, number):
    return worst_of(values(texts, program, weights), head, number) > head[0]


CARD = """# The encoder

The lower six layers of multilingual-e5-small over a vocabulary of 36,000 pieces, two heads (user, document) over mean and maximum of a
window of 96 pieces. The lower three layers and the pieces are the base's own, in 4 bits; the upper three were trained and have 8. Made by
`tools/train` from public prompts under permissive licences and from text written for it; the text itself of the public prompts is not here.
Defence in depth: what it finds is likely an attack, what it does not find may still be one.

It was trained on {windows} on one shared core: three rounds, two of them before the last rows were written. More rounds, all layers and more
documents are what it lacks most. It is weak at orders in documents that look like the document's own sentences, and business letters are
what it takes for orders most often.

Sources named below were left out of training whole (`HELD` in `windows.py`), or a quarter of them by blocks of neighbours (`written/…`); the
development set is among them. One threshold for each channel, where 1 % of ordinary text of these sources is flagged, each source with the
root of its rows; prompts that were written beside an attack, or are about attacks, set no threshold and are what is most often flagged
wrongly. Thresholds were set on the same rows that are shown, so that the figures are slightly kind. The linear model beside it was trained on
all but the development set (bastioncorpus, deepset_train, bipia_*): elsewhere its column is no measure of it, see `linear.md` for that. Sets
that are reserved for judging were neither trained on nor looked at.

## Time

One core of a busy machine with AVX-512 (VNNI), least of 40: {times}. A window that overlaps the last by 16 pieces begins every 80.
20 ms for 256 pieces would take half of the layers; a linear probe of the base's layers (written prompts, recall at 2 % false positives, a
quarter left out / trained on English alone and asked in other languages) was 0.30 / 0.06 at the third, 0.40 / 0.20 at the fourth,
0.63 / 0.43 at the sixth, 0.44 / 0.31 at the twelfth.
"""


def main():
    parser = argparse.ArgumentParser()
    for name in ("data", "base", "weights", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rows", type=Path, nargs="*", default=[])
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--windows", default="21,000 windows", help="what it was trained on, for the card")
    parser.add_argument("--features", required=True)
    options = parser.parse_args()
    base, saved = bases.read(options.base), torch.load(options.weights)
    path = options.out / "encoder.bin"
    write = lambda heads: export.write(path, base, saved["kept"], saved["net"], LAYERS, FROZEN, heads)
    write([[0.0] * (1 + STEPS)] * 2)
    rows, rng = [row for row in windows.load(options.data, options.rows) if windows.held(row)], np.random.default_rng(SEED)
    groups = {}
    for row in rows:
        groups.setdefault((row.source, row.channel, row.label), []).append(row)
    rows = [row for _, found in sorted(groups.items()) for row in (found if found[0].source.startswith("written/") else [found[i] for i in sorted(rng.permutation(len(found))[:CAP])])]
    print(len(rows), "rows", flush=True)
    found = values([row.text[:20000] for row in rows], options.encoder, path)
    scored = measure.score(options.features, [row.text for row in rows])
    documents = [row for row in rows if row.channel == "doc" and not row.label and not is_hard(row)]
    documented = values(joined(documents, 18000, 72, np.random.default_rng(SEED + 1)), options.encoder, path)
    heads = [calibrate(rows, found, documented, channel) for channel in ("user", "doc")]
    write([[threshold, *allowances] for threshold, allowances in heads])
    times = subprocess.run([options.encoder, "time", str(path)], stdout=subprocess.PIPE, check=True, text=True).stdout
    times = "; ".join(line.strip().split(" ms,")[0].replace(": least", " in") + " ms" for line in times.splitlines())
    lines = CARD.format(windows=options.windows, times=times).splitlines() + [""]
    for number, channel in enumerate(("user", "doc")):
        head = heads[number]
        worst = worst_of(found, head, number)
        linear = [answer[f"{channel}_attack"] for answer in scored]
        of = lambda label, test: np.array([value for row, value in zip(rows, worst) if row.channel == channel and row.label == label and test(row)])
        attacks, ordinary = of(1, lambda row: True), of(0, lambda row: True)
        pooled = float(np.quantile(ordinary, 0.99))
        lines += [f"## Sources left out: {channel}", "", f"Threshold {head[0]:.3f} (logit). All rows: AUC {auc(attacks, ordinary):.3f}; recall where 1 % of all ordinary rows, hard ones included, are flagged: {np.mean(attacks > pooled):.2f}.", ""]
        lines += table(rows, worst, head, linear, channel) + [""]
        lines += [f"### Written text by language: {channel}", ""] + languages(rows, worst, head, channel) + [""]
        lines += ["| up to windows | allowance |", "|---|---|"] + [f"| {2**n} | {value:.3f} |" for n, value in enumerate(head[1])] + [""]
        print("\n".join(lines), flush=True)
        (options.out / "encoder.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # Everything below is counted again from texts.
    attacks = [row.text for row in rows if row.channel == "user" and row.label and row.source in ("deepset_train", "bastioncorpus") and row.text.isascii() and len(row.text) > 20][:100]
    calm = [row.text for row in rows if row.channel == "user" and not row.label and row.source in ("deepset_train", "banking77") and row.text.isascii()][::4][:100]
    lines += ["## Disguises", "", f"{len(attacks)} attacks of the development set (English, user), {len(calm)} ordinary texts.", "", "| disguise | attacks found | ordinary flagged |", "|---|---|---|"]
    for name, disguise in measure.DISGUISES.items():
        one, two = (flags([disguise(text) for text in texts], options.encoder, path, heads[0], 0).mean() for texts in (attacks, calm))
        lines.append(f"| {name} | {one:.2f} | {two:.2f} |")
    lines += ["", "## Long ordinary documents", "", "Ordinary documents of left-out sources, one behind the other; others than those that set the allowances, of the same texts.", "", "| characters | user | doc | documents |", "|---|---|---|---|"]
    texts = {}
    for length, amount in ((2000, 100), (4000, 100), (16000, 72)):
        texts[length] = joined(documents, length, amount, rng)
        both = values(texts[length], options.encoder, path)
        lines.append(f"| {length} | " + " | ".join(f"{(worst_of(both, heads[n], n) > heads[n][0]).mean():.3f}" for n in (0, 1)) + f" | {amount} |")
    orders = [row.payload for row in rows if row.channel == "doc" and row.label and row.payload and len(row.payload) > 30][:60]
    if orders:
        lines += ["", "## Where an order stands", "", f"{len(orders)} orders of left-out rows in ordinary documents of left-out sources: found.", "", "| characters | start | middle | end |", "|---|---|---|---|"]
        for length in (2000, 4000):
            cells = []
            for share in (0, 0.5, 1):
                hidden = []
                for text, order in zip(texts[length], orders):
                    at = text.rfind("\n", 0, int(len(text) * share) + 1) if 0 < share < 1 else int(len(text) * share)
                    hidden.append(text[: max(at, 0)] + "\n" + order + "\n" + text[max(at, 0) :])
                cells.append(f"{flags(hidden, options.encoder, path, heads[1], 1).mean():.2f}")
            lines.append(f"| {length} | " + " | ".join(cells) + " |")
    print("\n".join(lines), flush=True)
    (options.out / "encoder.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def joined(rows, length, amount, rng):
    groups = {}
    for row in rows:
        groups.setdefault(row.source, []).append(row.text)
    names = sorted(name for name, texts in groups.items() if len(texts) >= 30)
    out = []
    for number in range(amount):
        texts, text = groups[names[number % len(names)]], ""
        while len(text) < length:
            text += texts[rng.integers(len(texts))] + "\n\n"
        out.append(text[:length])
    return out


if __name__ == "__main__":
    main()
