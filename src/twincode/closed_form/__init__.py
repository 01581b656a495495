"""Closed-form tokenizers: codes found by eigenvectors, k-means and counting, without gradients.

Every coder has the same face: ``Coder.fit(batches, bits, generator) -> coder``,
``coder.encode(x) -> codes``, ``coder.decode(codes) -> x``, ``coder.codebook_sizes``,
``coder.bits``, ``coder.state()`` and ``Coder.from_state``. Series are float32 ``(n, C, L)`` in
scaled units.
"""

from twincode.closed_form.components import ComponentCoder
from twincode.closed_form.mixture import MixtureCoder
from twincode.closed_form.patches import PatchCoder

__all__ = ["ComponentCoder", "MixtureCoder", "PatchCoder"]
