"""Layers: functions with parameters of their own, initialised as PyTorch does.

B sequences, D inputs, K outputs; `device` can only be the processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from ..engine.tensor import Tensor
from ..ops import empty
from . import functional as F
from . import init
from .functional.basic import refuse_embedding_options, row_of
from .module import Module
from .parameter import Parameter

E = TypeVar("E", bound="Embedding")


def blank(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """A parameter of the given shape, to be initialised."""
    return Parameter(empty(*shape, device=device, dtype=dtype))


class Linear(Module):
    """y = x Wᵀ + b: (*, D) -> (*, K), `weight` (K, D) and `bias` (K).

    Both start uniform within ±1/√D.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = blank(out_features, in_features, device=device, dtype=dtype)
        self.register_parameter("bias", blank(out_features, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            _uniform(self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """x Wᵀ + b"""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )


def _uniform(tensor: Tensor, n: int) -> None:
    """Uniform within ±1/√n."""
    bound = 1 / math.sqrt(n) if n else 0
    init.uniform_(tensor, -bound, bound)


class Bilinear(Module):
    """y_k = x₁ᵀ W_k x₂ + b_k: (*, D₁), (*, D₂) -> (*, K), `weight` (K, D₁, D₂) and `bias` (K).

    Both start uniform within ±1/√D₁.
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = blank(out_features, in1_features, in2_features, device=device, dtype=dtype)
        self.register_parameter("bias", blank(out_features, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values."""
        for p in self.parameters():
            _uniform(p, self.in1_features)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """x₁ᵀ W x₂ + b"""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        features = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """The rows of `weight` (N, D) at given indices: (*) -> (*, D).

    Row `padding_idx` starts as zeros and gets no gradient; the others start normal.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Embedding(5, 2, padding_idx=0)(tg.tensor([0, 0]))
    tensor([[0., 0.],
            [0., 0.]], grad_fn=<where>)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        refuse_embedding_options(max_norm, norm_type, scale_grad_by_freq, sparse)
        self.max_norm, self.norm_type = max_norm, norm_type  # which old programs hand on to F.embedding
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else row_of(padding_idx, num_embeddings)
        if _weight is None:
            self.weight = blank(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.reset_parameters()
        elif _weight.shape != (num_embeddings, embedding_dim):
            raise ValueError(f"Embedding: weight {_weight.shape} is not {(num_embeddings, embedding_dim)}")
        else:
            self.weight = Parameter(_weight)
        self.weight.requires_grad_(not _freeze)

    def reset_parameters(self) -> None:
        """Draw initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            init.zeros_(self.weight.detach()[self.padding_idx])

    @classmethod
    def from_pretrained(
        cls: type[E], embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, **options: Any
    ) -> E:
        """An embedding with the given (N, D) rows, whose memory it shares; `freeze=False` trains it."""
        if embeddings.ndim != 2:
            raise ValueError(f"from_pretrained: embeddings must be (N, D), got shape {embeddings.shape}")
        rows, size = embeddings.shape
        return cls(rows, size, padding_idx, _weight=embeddings, _freeze=freeze, **options)

    def forward(self, input: Tensor) -> Tensor:
        """The rows at `input`."""
        options = self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        return F.embedding(input, self.weight, self.padding_idx, *options)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """In training, each number becomes 0 with probability p, and x / (1 - p) otherwise; else x itself."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be a probability, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x with numbers dropped, in training."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """In training, each channel of (B, C, L), or (C, L), becomes 0 with probability p, else x / (1 - p).

    Args:
        p: the probability of a channel to be zeroed.
        inplace: write the result into the input.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Dropout1d(0.5).eval()(tg.ones(2, 1)).tolist()
    [[1.0], [1.0]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x with channels dropped, in training."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """`Dropout1d` for images (B, C, H, W): one draw for each channel of each image.

    Args:
        p: the probability of a channel to be zeroed.
        inplace: write the result into the input.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Dropout2d(1.0)(tg.ones(1, 1, 1, 2)).tolist()
    [[[[0.0, 0.0]]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x with channels dropped, in training."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Identity(Module):
    """y = x. Any arguments are allowed, so that it can stand in for another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """x"""
        return input


class Flatten(Module):
    """Dimensions start_dim … end_dim made one; by default all but the first."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """x in its new shape."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension `dim` split into several, of sizes `unflattened_size` (one may be -1)."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """x in its new shape."""
        dim = self.dim % input.ndim
        return input.reshape(*input.shape[:dim], *self.unflattened_size, *input.shape[dim + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class CosineSimilarity(Module):
    """x₁·x₂ / (max(‖x₁‖, ε) max(‖x₂‖, ε)) along `dim`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The cosine of the angle between x₁ and x₂."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """‖x₁ - x₂ + ε‖ₚ along the last dimension."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The distance of x₁ and x₂."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
