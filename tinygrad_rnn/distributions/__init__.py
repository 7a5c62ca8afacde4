"""Probability distributions, by PyTorch's names: densities, samples, entropies, divergences.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.distributions import Normal, kl_divergence
    >>> q = Normal(tg.tensor([0.5, 1.0]), 2.0)
    >>> q.sample((3,)).shape, q.log_prob(tg.tensor([0.5, 1.0])).shape
    ((3, 2), (2,))
    >>> kl_divergence(q, Normal(0.0, 1.0))
    tensor([0.9319, 1.3069])

A distribution has a `batch_shape`, of independent distributions side by side, and an `event_shape`, of one
draw: `sample(s)` is s + batch_shape + event_shape, and `log_prob` of that is s + batch_shape. `sample`
carries no gradient; `rsample`, where there is one, is a differentiable function of the parameters and of
noise that does not depend on them (Kingma and Welling, 2014). All noise is drawn from the package's
generator. Arguments are checked if `validate_args` is True, as it is by default unless Python runs with -O.
"""

from .compound import Independent, MixtureSameFamily
from .constraints import Constraint
from .continuous import Exponential, Laplace, Normal, Uniform
from .discrete import Bernoulli, Categorical
from .distribution import Distribution
from .gamma import Beta, StudentT
from .kl import kl_divergence, register_kl

__all__ = [
    "Bernoulli",
    "Beta",
    "Categorical",
    "Constraint",
    "Distribution",
    "Exponential",
    "Independent",
    "Laplace",
    "MixtureSameFamily",
    "Normal",
    "StudentT",
    "Uniform",
    "kl_divergence",
    "register_kl",
]
