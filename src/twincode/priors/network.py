"""The network that the trained priors share: tokens in, log probabilities of tokens out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twincode.errors import TwincodeError
from twincode.nets import Transformer, sinusoid
from twincode.nets.transformer import Cache
from twincode.priors.grids import Grids
from twincode.priors.prior import NetworkSettings


class TokenNetwork(nn.Module):
    """A transformer over tokens, a class in front of them.

    What goes in at a place is the sum of embeddings of a code or the mask, of the codebook and the
    row of the place, and sinusoids of its column's centre in time, so that coarse and fine grids
    line up. What comes out are logits (B, n, K) over the codes of the place's codebook, those that
    it has not minus infinity: a linear map that starts at 0, and a bias a place and class, which
    starts at the log frequencies of train. Places stand in the order ``order`` (N,) of those of
    ``grids``.
    """

    def __init__(
        self, settings: NetworkSettings, grids: Grids, classes: int, order: Tensor
    ) -> None:
        super().__init__()
        d, K = settings.model_width, grids.largest_codebook
        total = grids.layout.codebook_size
        places = grids.places()
        self.codes = nn.Embedding(total + 1, d)
        self.classes = nn.Embedding(classes + 1, d)
        self.books = nn.Embedding(len(grids.layout.grids), d)
        self.rows = nn.Embedding(grids.height, d)
        self.transformer = Transformer(d, settings.layers, settings.heads, settings.feedforward * d)
        self.weight = nn.Parameter(torch.zeros(total, d))
        self.bias = nn.Parameter(torch.zeros(classes + 1, len(order), K))
        self.mask = total
        centre = (places.start + places.end)[order] / 2
        # Of places from 0 to K - 1 the row of the weight that belongs to each; past its size any.
        codes = places.offset[order][:, None] + torch.arange(K)
        self.offset: Tensor
        self.book: Tensor
        self.row: Tensor
        self.time: Tensor
        self.outputs: Tensor
        self.impossible: Tensor
        self._fixed("offset", places.offset[order])
        self._fixed("book", places.book[order])
        self._fixed("row", places.row[order])
        # Kept with the weights, which have learnt what these numbers mean.
        self.register_buffer("time", sinusoid(centre, d, max(grids.layout.widths)))
        self._fixed("outputs", codes.clamp(max=total - 1))
        self._fixed("impossible", torch.arange(K) >= places.size[order][:, None])
        self._ragged = bool(self.impossible.any())

    def start(self, log_frequencies: Tensor) -> None:
        """Let the biases be log frequencies (classes + 1, N, K), places in the network's order."""
        with torch.no_grad():
            self.bias.copy_(torch.where(self.impossible, 0.0, log_frequencies))

    @torch.no_grad()
    def embed_codes(self, codebooks: Sequence[Tensor]) -> None:
        """Let the embeddings of codes begin as the vectors (K_i, D_i) that they stand for.

        The vectors of a codebook are centred and scaled to the variance 1 that embeddings have
        otherwise; of another width, they are mapped by a random orthogonal matrix. Raises
        TwincodeError where codes have no vectors.
        """
        d, total = self.codes.embedding_dim, self.mask
        if sum(map(len, codebooks)) != total:
            raise TwincodeError(
                "the codes of this model are no vectors; leave embedding_init at random"
            )
        found = []
        for vectors in codebooks:
            vectors = vectors.to(self.codes.weight)
            if (D := vectors.shape[1]) != d:
                square = torch.linalg.qr(torch.randn(max(D, d), max(D, d))).Q
                vectors = vectors @ square[:D, :d].to(vectors)
            vectors = vectors - vectors.mean(0)
            found.append(vectors / vectors.std(correction=0).clamp(min=1e-12))
        self.codes.weight[:total] = torch.cat(found)

    def content(self, tokens: Tensor, first: int = 0) -> Tensor:
        """What stands at places from ``first`` on, where tokens (B, n) do."""
        return tokens + self.offset[first : first + tokens.shape[1]]

    def forward(self, content: Tensor, y: Tensor, first: int, causal: bool = False) -> Tensor:
        """Logits (B, n - first, K) at the places from ``first`` on of content (B, n)."""
        x = self._embed(content, 0)
        x = torch.cat([self.classes(y)[:, None], x], dim=1)
        hidden = self.transformer(x, causal)[:, 1 + first :]
        return self.logits(hidden, y, first)

    def begin(self, y: Tensor) -> Cache:
        """The cache of a causal pass in which only the class has been seen."""
        x = self.classes(y)[:, None]
        cache = self.transformer.cache(x, 1 + len(self.book))
        self.transformer.step(x, 0, cache)
        return cache

    def step(self, content: Tensor, y: Tensor, place: int, cache: Cache) -> Tensor:
        """Logits (B, K) at one place, of its content (B,): what ``forward`` with ``causal`` gives.

        Places are to be taken in their order, with the labels y (B,) that the cache began with.
        """
        x = self._embed(content[:, None], place)
        return self.logits(self.transformer.step(x, 1 + place, cache), y, place)[:, 0]

    def logits(self, hidden: Tensor, y: Tensor, first: int) -> Tensor:
        """Logits (B, n, K) of what the transformer leaves at places from ``first`` on."""
        here = slice(first, first + hidden.shape[1])
        books = self.outputs[here]
        if not self._ragged and bool((self.book[here] == self.book[first]).all()):
            logits = F.linear(hidden, self.weight[books[0]])
        else:
            logits = torch.einsum("bnd,nkd->bnk", hidden, self.weight[books])
        logits = logits + self.bias[:, here][y]
        return logits.masked_fill(self.impossible[here], -torch.inf) if self._ragged else logits

    def _embed(self, content: Tensor, first: int) -> Tensor:
        here = slice(first, first + content.shape[1])
        place = self.books(self.book[here]) + self.rows(self.row[here]) + self.time[here]
        return self.codes(content) + place

    def _fixed(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)
