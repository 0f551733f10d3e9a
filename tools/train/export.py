"""Writes the weights as the gate reads them: crates/inspect/src/encoder/file.rs."""

import struct
from pathlib import Path

import numpy as np

from base import Base

MAGIC = b"PENC\x01\0\0\0"
STEPS = 12
PLACES = 160
OPEN = [0.0] * (1 + STEPS)


def floats(values) -> bytes:
    return np.asarray(values, dtype="<f4").tobytes()


def write(path: Path, base: Base, kept: list[int], net: dict, layers: int, frozen: int, heads=(OPEN, OPEN)):
    """`heads` has for each channel its threshold and allowances."""
    net = {name: value.float().numpy() for name, value in net.items()}
    inner = net["inner.weight"].shape[0]
    out = [MAGIC, struct.pack("<8I", base.hidden, base.inner, base.heads, layers, frozen, PLACES, len(kept), inner)]
    out.append(floats([base.epsilon, float(base.scores.min()) - 10]))
    out += [floats(head) for head in heads]
    out.append(struct.pack("<I", len(base.alike)))
    for character, other in base.alike.items():
        other = other.encode()
        out.append(struct.pack("<II", ord(character), len(other)) + other)
    texts = [b""] * 4 + [base.pieces[piece].encode() for piece in kept[4:]]
    out += [bytes(map(len, texts)), floats(base.scores[kept]), b"".join(texts)]
    out.append(base.rows[kept].tobytes())
    out.append(floats(net["places"][:PLACES]))
    out.append(floats(net["norm.weight"]) + floats(net["norm.bias"]))
    for layer in range(layers):
        get = lambda name: net[f"layers.{layer}.{name}"]

        def linear(*names):
            if layer < frozen:
                out.extend(base.packed[f"l{layer}.{name}.w"].tobytes() for name in names)
            else:
                weight = np.concatenate([get(f"{name}.weight") for name in names])
                scale = np.abs(weight).max(1) / 127
                small = np.clip(np.round(weight / scale[:, None]), -127, 127).astype(np.int8)
                out.append(floats(scale) + small.tobytes())
            out.extend(floats(get(f"{name}.bias")) for name in names)

        def norm(name):
            out.append(floats(get(f"{name}.weight")) + floats(get(f"{name}.bias")))

        linear("q", "k", "v"), linear("ao"), norm("aln"), linear("fi"), linear("fo"), norm("oln")
    for name in ("inner", "heads"):
        out.append(floats(net[f"{name}.weight"]) + floats(net[f"{name}.bias"]))
    path.write_bytes(b"".join(out))
