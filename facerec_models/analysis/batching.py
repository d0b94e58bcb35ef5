"""Batches of few different sizes.

On a CPU, torch's oneDNN compiles a kernel for each layer and each size of a batch, and keeps a thousand of them. Where every
count of faces makes a batch of its own size, memory grows with the length of a video: by 18 MiB for each hundred sizes of MTCNN's
R-Net, 27 MiB for O-Net, 24 MiB for the 32 sizes of the packaged embedder (torch 2.14.1, AVX2). OpenVINO compiles the whole network
for each size. Batches of 2^n items are few, and none computes what nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterator


def split(count: int, largest: int, *, in_powers: bool) -> Iterator[slice]:
    """Divide items into batches.

    Parameters
    ----------
    count : int
        Number of items.
    largest : int
        Most items in a batch, at least 1.
    in_powers : bool
        Whether all batches have 2^n items, as suits a CPU; or else are as large as may be, as suits an accelerator.

    Yields
    ------
    slice
        Of the items, in their order and without gaps.

    Examples
    --------
    >>> [(part.start, part.stop) for part in split(13, 8, in_powers=True)]
    [(0, 8), (8, 12), (12, 13)]
    """
    if largest < 1:
        raise ValueError(f"a batch has at least one item, not {largest}")
    start = 0
    while start < count:
        size = min(largest, count - start)
        if in_powers:
            size = 1 << (size.bit_length() - 1)
        yield slice(start, start + size)
        start += size
