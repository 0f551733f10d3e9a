"""Trains the linear model of crates/inspect, and measures it on sources that it did not see.

    python train.py --data DIR --program PATH-TO-EXAMPLE-features --out crates/inspect/models

Everything is deterministic: seeds are fixed, one thread, the rows in the order of their files.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import minimize

import rows as data
from rows import FEATURES, FOLDS, SMOOTH, WINDOWS, Counts, Row

SEED = 20261124
CAP = 2000
STEPS = 12
# What each further doubling of a text is allowed where nothing was measured.
LONGER = 0.5
# Ordinary text with words of attacks, or about prompts (a book of them): it measures over-defence and sets no threshold.
HARD = {"promptschat_book", "docs_md/models", "synthetic_mof", "bastioncorpus", "written/user_narrative", "written/user_override", "written/user_multi", "written/doc_en", "written/doc_multi"}


def label(row: Row, channel: str) -> int | None:
    """What a row teaches the head of a channel; None if nothing."""
    if row.channel == channel:
        return row.label
    if channel == "doc" and row.label == 1 and ORDERS:
        return 1  # Measured: teaching direct attacks to the head for documents makes it worse at documents.
    if channel == "user" and row.label == 0:
        return 0  # Users paste documents.
    return None


def training(rows: list[Row], counts: Counts, picked: list[int], channel: str):
    """Windows of the picked rows: (first block, width, label, weight)."""
    rng = np.random.default_rng(SEED)
    groups: dict[tuple, list[int]] = {}
    for index in picked:
        wanted = label(rows[index], channel)
        if wanted is not None:
            groups.setdefault((rows[index].source, wanted), []).append(index)
    out = []
    for (source, wanted), members in sorted(groups.items()):
        members = [members[i] for i in sorted(rng.permutation(len(members))[:CAP])]
        weight = 1.0 / np.sqrt(len(members))
        if source.startswith("written/"):
            weight *= WRITTEN
        for index in members:
            spans = list(data.windows(counts.first, index))
            if wanted == 1:
                spans = attack_windows(rows[index], spans)
            for first, width in spans:
                out.append((first, width, wanted, weight / len(spans) ** 0.5))
    first, width, wanted, weight = map(np.array, zip(*out))
    support = supports(counts, groups)
    for side in (0, 1):
        weight[wanted == side] *= len(weight) / 2 / weight[wanted == side].sum()
    return first, width, wanted, weight, support


def supports(counts: Counts, groups) -> np.ndarray:
    """How far a feature is trusted, from 0 to 1: what only one source has says more about the source than about attacks."""
    seen = np.zeros(FEATURES, dtype=np.float32)
    by_source: dict[str, list[int]] = {}
    for (source, _), members in groups.items():
        by_source.setdefault(source, []).extend(members)
    for members in by_source.values():
        blocks = np.concatenate([np.arange(counts.first[i], counts.first[i + 1]) for i in members])
        mask = np.zeros(counts.matrix.shape[0], dtype=np.float32)
        mask[blocks] = 1
        seen += np.minimum(counts.matrix.T @ mask, 1)
    return np.clip(np.log2(np.maximum(seen, 1)) / SUPPORT, 0, 1).astype(np.float32) if SUPPORT else np.ones(FEATURES, dtype=np.float32)


def attack_windows(row: Row, spans):
    """The windows that hold the order; without knowing where it stands, the large ones at the start."""
    start = spans[0][0]
    large = [span for span in spans if span[1] == max(width for _, width in spans)]
    if row.payload and row.payload in row.text:
        at = len(row.text[: row.text.index(row.payload)].encode()) // 160
        end = at + max(1, len(row.payload.encode()) // 160)
        return [s for s in spans if s[0] - start <= at and s[0] - start + s[1] >= end] or large
    return large[:3]


WRITTEN = 2.0
ORDERS = 0
ALONE = 0.5
SUPPORT = 2.0
L2 = 0.3


def fit(counts: Counts, first, width, wanted, weight, support, l2: float):
    """Logistic regression by L-BFGS over the blocks; windows are sums of blocks."""
    used, places = np.unique(np.concatenate([first + k for k in range(max(WINDOWS))]).clip(max=counts.matrix.shape[0] - 1), return_inverse=True)
    del places
    where = np.full(counts.matrix.shape[0], -1)
    where[used] = np.arange(len(used))
    matrix = counts.matrix[used]
    matrix.data *= support[matrix.indices]
    matrix.eliminate_zeros()
    # Every text once more with its concepts alone, as one in a language that the other features do not know.
    only = matrix[:, data.CONCEPTS :].tocoo()
    only = sparse.csr_matrix((only.data, (only.row, only.col + data.CONCEPTS)), shape=matrix.shape)
    matrix = sparse.vstack([matrix, only]).tocsr()
    index = np.repeat(np.arange(len(first)), width)
    offset = np.concatenate([np.arange(w) for w in width])
    block = where[np.repeat(first, width) + offset]
    total = np.bincount(index, weights=counts.features[used][block], minlength=len(first))
    norm = (1 / np.sqrt(total + SMOOTH)).astype(np.float32)
    gather = sparse.csr_matrix((norm[index], (index, block)), shape=(len(first), len(used)), dtype=np.float32)
    gather = sparse.block_diag([gather, gather]).tocsr()
    wanted, weight = np.concatenate([wanted, wanted]), np.concatenate([weight, weight * ALONE])
    gather_t, matrix_t = gather.T.tocsr(), matrix.T.tocsr()
    sign = np.where(wanted == 1, 1.0, -1.0)

    def loss(parameters):
        w = parameters[:-1].astype(np.float32)
        z = gather @ (matrix @ w) + parameters[-1]
        margin = sign * z
        value = np.sum(weight * np.logaddexp(0, -margin)) + l2 / 2 * float(w.astype(np.float64) @ w)
        slope = (-sign * weight / (1 + np.exp(np.clip(margin, -50, 50)))).astype(np.float32)
        gradient = matrix_t @ (gather_t @ slope)
        return value, np.concatenate([gradient + l2 * w, [slope.sum()]]).astype(np.float64)

    found = minimize(loss, np.zeros(FEATURES + 1), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "maxcor": 6})
    return found.x[:-1].astype(np.float32) * support, float(found.x[-1])


ITERATIONS = 40


def block_sums(counts: Counts, w) -> np.ndarray:
    return (counts.matrix @ w).astype(np.float64)


def worst(sums: np.ndarray, features: np.ndarray, first: np.ndarray, bias: float) -> np.ndarray:
    """For each row the value of its worst window."""
    s, n = np.concatenate([[0], np.cumsum(sums)]), np.concatenate([[0], np.cumsum(features)])
    out = np.full(len(first) - 1, -np.inf)
    for scale, width in enumerate(WINDOWS):
        for row in range(len(first) - 1):
            a, b = first[row], first[row + 1]
            if scale and WINDOWS[scale - 1] >= b - a:
                continue
            k = min(width, b - a)
            lo, hi = s[a : b - k + 1], s[a + k : b + 1]
            value = (hi - lo) / np.sqrt(n[a + k : b + 1] - n[a : b - k + 1] + SMOOTH)
            out[row] = max(out[row], value.max() + bias)
    return out


def rate(values, threshold) -> float:
    return float(np.mean(values > threshold)) if len(values) else float("nan")


def long_documents(rows, counts, sums, features, picked, bias, blocks, rng, amount=300):
    """Ordinary texts of the same source, one behind the other, until there are so many blocks."""
    groups: dict[str, list[int]] = {}
    for index in picked:
        groups.setdefault(rows[index].source, []).append(index)
    names = sorted(name for name, members in groups.items() if len(members) >= 20)
    values = []
    for number in range(amount):
        members = groups[names[number % len(names)]]
        s, n = [], []
        while len(s) < blocks:
            index = members[rng.integers(len(members))]
            s.extend(sums[counts.first[index] : counts.first[index + 1]])
            n.extend(features[counts.first[index] : counts.first[index + 1]])
        values.append(worst(np.array(s[:blocks]), np.array(n[:blocks]), np.array([0, blocks]), bias)[0])
    return np.array(values)


def measure(rows, counts, channel, l2, quick=False):
    """Leaves each fold of sources out once; values of the rows that were left out, and of long documents of them."""
    values = np.full(len(rows), np.nan)
    long: dict[int, list] = {2**step: [] for step in range(STEPS)}
    for number in range(len(FOLDS)):
        held = [i for i, row in enumerate(rows) if data.fold_of(row) == number]
        if not any(rows[i].channel == channel for i in held):
            continue
        kept = [i for i, row in enumerate(rows) if data.fold_of(row) != number and row.source not in DEV]
        w, bias = fit(counts, *training(rows, counts, kept, channel), l2)
        sums = block_sums(counts, w)
        all_values = worst(sums, counts.features, counts.first, bias)
        own = [i for i in held if rows[i].channel == channel]
        values[own] = all_values[own]
        rng = np.random.default_rng(SEED)
        ordinary = [i for i in held if rows[i].label == 0 and rows[i].channel == "doc" and rows[i].source not in HARD]
        if len(ordinary) >= 100 and not quick:
            for blocks in long:
                if blocks <= 256:
                    long[blocks].extend(long_documents(rows, counts, sums, counts.features, ordinary, bias, blocks, rng, 150))
        print("fold", number, channel, len(own), flush=True)
    return values, long


DEV = {"deepset_train", "bastioncorpus", "bipia_attack_train", "bipia_embedded_train", "bipia_ctx_train"}


def measure_written(rows, counts, channel, threshold, steps):
    """Leaves out a quarter of the written text, by blocks of neighbours: sources are known, their rows are not."""
    held = {i for i, row in enumerate(rows) if row.source.startswith("written/") and row.place // 24 % 4 == 1}
    kept = [i for i, row in enumerate(rows) if i not in held and row.source not in DEV]
    w, bias = fit(counts, *training(rows, counts, kept, channel), L2)
    values = worst(block_sums(counts, w), counts.features, counts.first, bias) - allowance(steps, np.diff(counts.first))
    groups: dict[tuple, list] = {}
    for index in sorted(held):
        row = rows[index]
        if row.channel == channel:
            groups.setdefault((row.source, row.label), []).append(values[index])
            if row.lang != "en":
                groups.setdefault(("languages but English", row.label), []).append(values[index])
    lines = [f"## Written text, a quarter left out: {channel}", "", "| source, 1 attack or 0 ordinary | flagged | rows |", "|---|---|---|"]
    return lines + [f"| {source} {side} | {rate(np.array(v), threshold):.3f} | {len(v)} |" for (source, side), v in sorted(groups.items())] + [""]


def threshold_of(rows, values, channel) -> float:
    ordinary = [v for row, v in zip(rows, values) if row.channel == channel and row.label == 0 and row.source not in HARD and not np.isnan(v)]
    return float(np.quantile(ordinary, 0.99))


def calibrate(rows, counts, values, long, channel):
    """Threshold and allowances that agree: 1 % of ordinary text is flagged, and 1 % of long ordinary text."""
    blocks = np.diff(counts.first)
    threshold, steps = threshold_of(rows, values, channel), [0.0] * STEPS
    for _ in range(8):
        steps = allowances(long, threshold)
        threshold = threshold_of(rows, values - allowance(steps, blocks), channel)
    # The shortest texts have no allowance: only the sum of both counts.
    return threshold + steps[0], [step - steps[0] for step in steps]


def summary(rows, values, channel, threshold):
    attacks: dict[str, list] = {}
    hard = []
    for row, value in zip(rows, values):
        if row.channel == channel and not np.isnan(value):
            if row.label == 1:
                attacks.setdefault(row.source, []).append(value > threshold)
            elif row.source in HARD:
                hard.append(value > threshold)
    rates = {source: round(float(np.mean(found)), 2) for source, found in sorted(attacks.items()) if len(found) >= 50}
    return round(float(np.mean(list(rates.values()))), 3), "hard", round(float(np.mean(hard)), 3), rates


def table(rows, values, channel, threshold):
    groups: dict[tuple, list] = {}
    for row, value in zip(rows, values):
        if row.channel == channel and not np.isnan(value):
            groups.setdefault((row.source, row.label), []).append(value)
            if row.source.endswith("multi") or row.source in ("yanismiraoui", "deepset_train"):
                groups.setdefault((f"{row.source}:{row.lang}", row.label), []).append(value)
    return {f"{source} {side}": (round(rate(np.array(v), threshold), 3), len(v)) for (source, side), v in sorted(groups.items())}


def allowances(long, threshold):
    """For texts of 1, 2, 4 … blocks: by how much the worst of so many windows exceeds the threshold by chance."""
    out, last = [], 0.0
    for step in range(STEPS):
        found = long.get(2**step)
        if found:
            last = max(last, float(np.quantile(found, 0.992)) - threshold)
        elif step > 1:
            last += LONGER
        out.append(last)
    return out


def allowance(steps, blocks):
    """As the gate reads them."""
    step = np.ceil(np.log2(np.maximum(blocks, 1))).astype(int)
    return np.array(steps)[np.minimum(step, STEPS - 1)]


def pack(w, bias, threshold, steps):
    """The numbers of a head, and its weights in one byte each; the few largest are cut."""
    scale = float(np.quantile(np.abs(w[w != 0]), 0.9999)) / 127
    small = np.clip(np.round(w / scale), -127, 127).astype(np.int8)
    return struct.pack("<15f", bias, scale, threshold, *steps), small.tobytes()


def read_model(path: Path):
    content, out = path.read_bytes(), {}
    for number, channel in enumerate(("user", "doc")):
        bias, scale, threshold, *steps = struct.unpack_from("<15f", content, 8 + 60 * number)
        weights = np.frombuffer(content, dtype=np.int8, count=FEATURES, offset=128 + FEATURES * number)
        out[channel] = {"weights": weights.astype(np.float32) * scale, "bias": bias, "threshold": threshold, "allowances": steps}
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl, dev.jsonl and written/")
    parser.add_argument("--program", required=True, help="the built example `features` of portcullis-inspect")
    parser.add_argument("--cache", type=Path, help="folder for counts, to spare counting twice")
    parser.add_argument("--out", type=Path, help="folder for linear.bin; without it nothing is written")
    parser.add_argument("--held", type=Path, help="file for the tables of sources left out")
    parser.add_argument("--channel")
    parser.add_argument("--quick", action="store_true", help="no long documents")
    for name, kind in (("l2", float), ("written", float), ("alone", float), ("support", float), ("orders", int), ("iterations", int), ("cap", int)):
        parser.add_argument(f"--{name}", type=kind, default=globals()[name.upper()])
    options = parser.parse_args()
    for name in ("l2", "written", "alone", "support", "orders", "iterations", "cap"):
        globals()[name.upper()] = getattr(options, name)
    rows = data.load(options.data)
    counts = data.cached(rows, options.program, options.cache)
    print(len(rows), "rows", counts.matrix.shape, counts.matrix.nnz, flush=True)
    heads, lines = [], [CARD]
    for channel in [options.channel] if options.channel else ["user", "doc"]:
        values, long = measure(rows, counts, channel, options.l2, options.quick)
        threshold, steps = calibrate(rows, counts, values, long, channel)
        values = values - allowance(steps, np.diff(counts.first))
        print("SUM", channel, L2, WRITTEN, ORDERS, ITERATIONS, ALONE, SUPPORT, CAP, summary(rows, values, channel, threshold))
        lines += report(rows, values, channel, threshold, steps)
        lines += [] if options.quick else measure_written(rows, counts, channel, threshold, steps)
        print("\n".join(lines), flush=True)
        if options.out:
            kept = [i for i, row in enumerate(rows) if row.source not in DEV]
            heads.append(pack(*fit(counts, *training(rows, counts, kept, channel), L2), threshold, steps))
    if options.out:
        content = b"PLIN\x01\0\0\0" + b"".join(head for head, _ in heads) + b"".join(weights for _, weights in heads)
        (options.out / "linear.bin").write_bytes(content)
    if options.held:
        options.held.write_text("\n".join(lines) + "\n", encoding="utf-8")


CARD = """# The linear model

Logistic regression over hashed words, characters and concepts, two heads (user, document), one byte a weight. Made by
`tools/train` from public prompts under permissive licences and from text written for it; the text itself is not here.
Defence in depth: what it finds is likely an attack, what it does not find may still be one.

It is the cheap tier. It reads words, not meaning: an order in words that no source had, in a language that
`concepts.txt` does not hold well, or one that looks like an ordinary sentence of a document passes. In long texts it
finds less, because the allowance for their length is large.

Every threshold is set where 1 % of ordinary text is flagged, on sources that were left out of training. Sets that are
reserved for judging were neither trained on nor looked at.
"""


def report(rows, values, channel, threshold, steps):
    lines = [f"## Sources left out: {channel}", "", f"Threshold {threshold:.3f} (logit). Each source was scored by a model that never saw it.", ""]
    mean, _, hard, _ = summary(rows, values, channel, threshold)
    lines += [f"Attacks found, mean over sources with 50 or more: {mean:.2f}. Ordinary text with words of attacks flagged: {hard:.3f}.", ""]
    lines += ["| source, 1 attack or 0 ordinary | flagged | rows |", "|---|---|---|"]
    lines += [f"| {name} | {flagged:.3f} | {amount} |" for name, (flagged, amount) in table(rows, values, channel, threshold).items()]
    lines += ["", "| up to blocks of 160 bytes | allowance |", "|---|---|"]
    lines += [f"| {2**step} | {allowed:.3f} |" for step, allowed in enumerate(steps)]
    return lines + [""]


if __name__ == "__main__":
    main()
