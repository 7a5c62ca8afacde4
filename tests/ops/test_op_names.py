"""What there is: functions, methods and operations in place by PyTorch's names, and their types."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops

CREATION = """
    tensor from_numpy zeros ones full empty arange linspace eye zeros_like ones_like full_like rand
    randn randint randperm normal multinomial bernoulli manual_seed set_default_dtype
"""
BOTH = """
    add sub mul div pow neg abs exp expm1 log log1p log2 sqrt rsqrt square reciprocal sin cos tanh
    sigmoid sign floor ceil round clamp maximum minimum logaddexp lerp where xlogy eq ne lt le gt ge
    logical_and logical_or logical_not logical_xor isnan isfinite allclose sum mean prod var std
    amax amin max min argmax argmin logsumexp norm cumsum cumprod all any sort argsort topk reshape
    flatten ravel transpose t permute movedim squeeze unsqueeze broadcast_to tile split chunk unbind
    select narrow flip roll tril triu diagonal index_select gather scatter scatter_add index_add
    take_along_dim masked_fill masked_select matmul mm bmm mv dot outer inner addmm baddbmm trace
    addcmul addcdiv clamp_min clamp_max median unique bincount
"""
FUNCTIONS = "cat stack hstack vstack einsum tensordot meshgrid"
METHODS = (
    "view expand expand_as repeat T mT item tolist size dim numel float double long int bool to cpu type_as "
    "is_contiguous ger"
)
IN_PLACE = """
    add sub mul div pow neg abs exp expm1 log log1p log2 sqrt rsqrt square reciprocal sin cos tanh
    sigmoid sign floor ceil round clamp lerp xlogy zero fill copy uniform normal bernoulli random
    masked_fill scatter scatter_add index_add cumsum cumprod tril triu squeeze unsqueeze transpose t
    relu requires_grad detach addcmul addcdiv clamp_min clamp_max floor_divide remainder bitwise_and
    bitwise_or bitwise_xor bitwise_not logical_and logical_or logical_xor logical_not
"""


@pytest.mark.parametrize("name", [*CREATION.split(), *BOTH.split(), *FUNCTIONS.split()])
def test_there_is_a_function(name):
    assert callable(getattr(tg, name))


@pytest.mark.parametrize(
    "name", [*BOTH.split(), *METHODS.split(), *(f"{name}_" for name in IN_PLACE.split())]
)
def test_there_is_a_method(name):
    assert hasattr(tg.Tensor, name)


def test_what_is_published_is_described_and_called_by_its_name():
    for name in ops.__all__:
        function = getattr(tg, name)
        assert function.__name__ == name and function.__doc__.strip()
        inspect.signature(function)


def test_function_and_method_are_the_same():
    for name in BOTH.split():
        if name not in ("where", "broadcast_to"):  # which take their arguments in another form
            assert getattr(tg.Tensor, name) is getattr(tg, name), name


def test_numpys_names_of_arguments_are_known():
    x = tg.arange(6.0).reshape(2, 3)
    assert x.sum(axis=0).tolist() == tg.sum(x, dim=0).tolist()
    assert x.mean(axis=1, keepdims=True).shape == tg.mean(input=x, dim=1, keepdim=True).shape == (2, 1)
    assert tg.cat([x, x], axis=1).shape == tg.cat(tensors=[x, x], dim=-1).shape == (2, 6)
    assert (
        x.permute(dims=(1, 0)).shape == x.reshape(shape=(3, 2)).shape == tg.zeros(size=(3, 2)).shape == (3, 2)
    )
    assert x.expand(size=(2, 2, 3)).shape == (2, 2, 3) and x.flip(dims=[0])[0, 0] == 3
    assert tg.maximum(input=x, other=x).equal(x)


def test_the_types_of_the_methods_are_up_to_date():
    script = Path(__file__).parents[2] / "tools" / "names.py"
    if not script.exists():
        pytest.skip("not a checkout: tools/names.py is not here")
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
