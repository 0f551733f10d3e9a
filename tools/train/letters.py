"""Writes models/letters.bin: how usual each pair of letters is, for crates/inspect/src/normal/letters.rs.

    python letters.py --data DIR --out crates/inspect/models
"""

import argparse
import collections
import math
import re
import unicodedata
from pathlib import Path

import rows as data

SIGNS = " abcdefghijklmnopqrstuvwxyz"
LATIN = {"en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "tr", "id", "vi"}
CODE = {"docs_md", "bfcl_fn", "gpteacher_code"}
RARE = 2e-5


def words(text):
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return re.findall("[a-z]+", plain)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    counts: dict[str, collections.Counter] = {}
    for row in data.load(options.data):
        if row.label == 0 and row.lang in LATIN and row.source not in CODE | {"deepset_train", "bastioncorpus", "bipia_ctx_train"}:
            counter = counts.setdefault(row.lang, collections.Counter())
            for word in words(row.text):
                counter.update(a + b for a, b in zip(" " + word, word + " "))
    pairs = collections.Counter()
    for language, counter in counts.items():
        total = counter.total()
        for pair, amount in counter.items():
            pairs[pair] += (0.5 if language == "en" else 0.5 / (len(counts) - 1)) * amount / total
    first = collections.Counter()
    for pair, amount in pairs.items():
        first[pair[0]] += amount
    out = bytearray()
    for a in SIGNS:
        for b in SIGNS:
            chance = 1 / 27 if a + b == "  " else (pairs[a + b] + RARE * first[a]) / (first[a] * (1 + 27 * RARE))
            out.append(max(-127, min(127, round(8 * math.log(chance * 27)))) & 255)
    (options.out / "letters.bin").write_bytes(bytes(out))


if __name__ == "__main__":
    main()
