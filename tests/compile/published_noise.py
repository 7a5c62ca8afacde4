"""Choices, noise and words: top k, straight-through, dropout, sampling, embeddings."""

from __future__ import annotations

from typing import Any

from published_cells import Sized, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Step

F = nn.functional


@published
class TopKGated(Sized):
    """The k largest of tanh(W x + U h) are kept, the others are 0 (Makhzani & Frey 2014)."""

    def __init__(self, D: int, H: int, k: int = 2) -> None:
        super().__init__(D, H)
        self.W, self.U, self.k = nn.Linear(D, H), nn.Linear(H, H), k

    def step(self, x: Any, h: Any) -> Any:
        n = tg.tanh(self.W(x) + self.U(h))
        values, indices = n.topk(self.k, dim=-1)
        return tg.zeros_like(n).scatter(-1, indices, values) + h * 0.5


@published
class KthThreshold(Sized):
    """The same by a threshold: n where n >= its second largest value."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.rnn = nn.RNNCell(D, H)

    def step(self, x: Any, h: Any) -> Any:
        n = self.rnn(x, h)
        threshold = n.topk(2, dim=1)[0][:, -1:]
        return n.masked_fill(n < threshold, 0.0) + h / 2


@published
class ArgmaxState(Sized):
    """The state is one-hot, the gradient that of the softmax: straight-through (Bengio et al. 2013)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.logits = nn.Linear(D + H, H)

    def step(self, x: Any, h: Any) -> Any:
        soft = F.softmax(self.logits(tg.cat([x, h], dim=-1)), dim=-1)
        hard = F.one_hot(soft.argmax(dim=-1), self.hidden_size).to(soft.dtype)
        return hard - soft.detach() + soft


@published
class GumbelState(Sized):
    """s' ~ Gumbel-softmax(W [x, s]) (Jang et al. 2017), the mean in evaluation."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.logits = nn.Linear(D + H, H)

    def step(self, x: Any, s: Any) -> Any:
        logits = self.logits(tg.cat([x, s], dim=-1))
        return F.gumbel_softmax(logits, tau=0.7, hard=False) if self.training else F.softmax(logits / 0.7, -1)


@published
class VariationalRNN(Sized):
    """z ~ N(μ(h), σ(h)), h' = GRU([x, z], h), y = KL (Chung et al. 2015, eq. 5-11, the prior alone)."""

    def __init__(self, D: int, H: int, Z: int = 2) -> None:
        super().__init__(D, H)
        self.prior, self.enc, self.rnn = nn.Linear(H, 2 * Z), nn.Linear(D + H, 2 * Z), nn.GRUCell(D + Z, H)

    def reparameterized_sample(self, mean: Any, std: Any) -> Any:
        if not self.training:
            return mean
        eps = tg.randn_like(std)
        return eps.mul(std).add(mean)

    def step(self, x: Any, h: Any) -> Any:
        prior_mean, prior_std = self.prior(h).chunk(2, -1)
        enc_mean, enc_std = self.enc(tg.cat([x, h], 1)).chunk(2, -1)
        prior_std, enc_std = F.softplus(prior_std) + 0.1, F.softplus(enc_std) + 0.1
        z = self.reparameterized_sample(enc_mean, enc_std)
        kld = 2 * tg.log(prior_std) - 2 * tg.log(enc_std)
        kld = kld + (enc_std.pow(2) + (enc_mean - prior_mean).pow(2)) / prior_std.pow(2) - 1
        return Step(0.5 * tg.sum(kld, dim=1, keepdim=True), self.rnn(tg.cat([x, z], 1), h))


@published
class NoisyDropoutRNN(Sized):
    """nn.Dropout on the input and the state, Gaussian noise on the pre-activation
    (Zaremba et al. 2014; Noh et al. 2017).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.net = nn.Sequential(nn.Dropout(0.4), nn.Linear(D + H, H))
        self.drop_h = nn.Dropout(p=0.2)

    def step(self, x: Any, h: Any) -> Any:
        a = self.net(tg.cat([x, self.drop_h(h)], dim=1))
        if self.training:
            a = a + 0.1 * tg.randn(a.shape[0], a.shape[1], dtype=a.dtype)
        return tg.tanh(a)


@published
class VariationalDropoutRNN(Sized):
    """One mask a sequence, carried as a state (Gal & Ghahramani 2016, eq. 7), made where it is still 0."""

    def __init__(self, D: int, H: int, p: float = 0.25) -> None:
        super().__init__(D, H)
        self.rnn, self.p = nn.RNNCell(D, H, nonlinearity="relu"), p

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, self.hidden_size)

    def step(self, x: Any, state: Any) -> Any:
        h, mask = state
        if not self.training:
            return self.rnn(x, h), mask
        drawn = (tg.rand_like(h) > self.p).to(h.dtype) / (1 - self.p)
        mask = tg.where(mask == 0, drawn, mask)
        return self.rnn(x, h * mask), mask


@published
class WordLM(Sized):
    """Embedding in `project`, tied output weights (Press & Wolf 2017); inputs are words, numbers (T, B)."""

    vocabulary = 6

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.embedding, self.rnn = nn.Embedding(self.vocabulary, H), nn.RNNCell(H, H)
        self.decoder = nn.Linear(H, self.vocabulary)
        self.decoder.weight = self.embedding.weight

    def draw_inputs(self, T: int, B: int, numbers: Any) -> Any:
        return tg.tensor(numbers.integers(0, self.vocabulary, (T, B)))

    def project(self, xs: Any) -> Any:
        return self.embedding(xs)

    def step(self, e: Any, h: Any) -> Any:
        h = self.rnn(e, h)
        return Step(F.log_softmax(self.decoder(h), dim=-1), h)
