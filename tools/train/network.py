"""The encoder: the lower layers of the base, and two heads over the mean and the maximum of the last one."""

import torch
from torch import nn
from torch.nn import functional as F

from base import Base, open_blocks


class Layer(nn.Module):
    def __init__(self, base: Base, index: int):
        super().__init__()
        self.heads = base.heads
        get = lambda name: torch.tensor(base.tensors[f"l{index}.{name}"])
        for name in ("q", "k", "v", "ao", "fi", "fo"):
            weight = get(f"{name}.w")
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight.data, linear.bias.data = weight, get(f"{name}.b")
            setattr(self, name, linear)
        for name in ("aln", "oln"):
            norm = nn.LayerNorm(base.hidden, eps=base.epsilon)
            norm.weight.data, norm.bias.data = get(f"{name}.w"), get(f"{name}.b")
            setattr(self, name, norm)

    def forward(self, x, mask, drop: float = 0.0):
        rows, length, hidden = x.shape
        split = lambda y: y.view(rows, length, self.heads, hidden // self.heads).transpose(1, 2)
        seen = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(x)), split(self.v(x)), mask[:, None, None])
        x = self.aln(x + F.dropout(self.ao(seen.transpose(1, 2).reshape(rows, length, hidden)), drop, self.training))
        return self.oln(x + F.dropout(self.fo(F.gelu(self.fi(x))), drop, self.training))


class Encoder(nn.Module):
    """Takes pieces by their number in the kept vocabulary; 0 is the filling behind shorter texts."""

    def __init__(self, base: Base, kept, layers: int):
        super().__init__()
        words = torch.tensor(open_blocks(base.rows[list(kept)]))
        self.words = nn.Parameter(words, requires_grad=False)
        self.places = nn.Parameter(torch.tensor(base.tensors["emb.pos"][:160]) + torch.tensor(base.tensors["emb.type"])[: base.hidden], requires_grad=False)
        self.norm = nn.LayerNorm(base.hidden, eps=base.epsilon)
        self.norm.weight.data, self.norm.bias.data = torch.tensor(base.tensors["emb.ln.w"]), torch.tensor(base.tensors["emb.ln.b"])
        self.layers = nn.ModuleList(Layer(base, index) for index in range(layers))
        self.inner = nn.Linear(2 * base.hidden, 128)
        self.heads = nn.Linear(128, 2)

    def embed(self, pieces):
        return self.norm(self.words[pieces] + self.places[: pieces.shape[1]])

    def through(self, x, mask, start: int, stop: int | None = None, drop: float = 0.0):
        for layer in self.layers[start:stop]:
            x = layer(x, mask, drop)
        return x

    def judge(self, x, mask, drop: float = 0.0):
        weight = mask.to(x.dtype)[..., None]
        mean = (x * weight).sum(1) / weight.sum(1)
        most = x.masked_fill(~mask[..., None], -1e4).amax(1)
        return self.heads(F.dropout(F.relu(self.inner(torch.cat([mean, most], 1))), drop, self.training))

    def forward(self, pieces):
        mask = pieces != 0
        return self.judge(self.through(self.embed(pieces), mask, 0), mask)
