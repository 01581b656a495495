"""Closed-form tokenizers: codes found by eigenvectors, k-means and counting, without gradients.

Every coder has the same face: ``Coder.fit(batches, bits, generator) -> coder``,
``coder.encode(x) -> codes``, ``coder.decode(codes, length) -> x``, ``coder.books_of(length)``,
which tells the codebook of each token, ``coder.bits`` and ``coder.bits_of(codes)``,
``coder.state()`` and ``Coder.from_state``. Series are float32 ``(n, C, L)`` in scaled units; codes
``(n, tokens)`` count from 0 at each token. ``search`` and ``restore`` of patches and mixtures
do what encoding and decoding do by a fixed sequence of operations, for a graph: unchecked, of the
fitted length.
"""

from twincode.closed_form.beam import beam_search
from twincode.closed_form.books import Book, token_sizes
from twincode.closed_form.components import ComponentCoder
from twincode.closed_form.mixture import MixtureCoder
from twincode.closed_form.patches import PatchCoder

Coder = ComponentCoder | MixtureCoder | PatchCoder

__all__ = [
    "Book", "Coder", "ComponentCoder", "MixtureCoder", "PatchCoder", "beam_search", "token_sizes",
]  # fmt: skip
