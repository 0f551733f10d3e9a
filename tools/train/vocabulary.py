"""Which pieces of the base are kept."""

from collections import Counter

from base import Base, Pieces

FILLING = 1


def keep(base: Base, texts: list[str], size: int) -> list[int]:
    """The numbers of kept pieces: filling, beginning, end, unknown; then in the order of the base.

    What the texts have three times is kept, and every character that the base knows of the scripts of the texts; the rest of
    `size` is filled with the likeliest pieces of all its languages.
    """
    pieces = Pieces(base)
    counts = Counter(piece for text in texts for piece, _ in pieces.cut(text))
    special = [FILLING, base.begin, base.end, base.unknown]
    kept = {piece for piece, count in counts.items() if count >= 3}
    kept |= {i for i, piece in enumerate(base.pieces) if len(piece) == 1 and i < 100_000}
    for piece in sorted(range(len(base.pieces)), key=lambda i: -base.scores[i]):
        if len(kept) >= size:
            break
        if base.pieces[piece]:
            kept.add(piece)
    return special + sorted(kept - set(special))
