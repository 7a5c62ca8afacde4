"""Operations on tensors, by PyTorch's names.

Read `elementwise.py` first: it shows the form of a primitive and its rules. Then `index.py`, `shape.py`,
`reduce.py`, `linalg.py`; `inputs.py`, `create.py`, `inplace.py` and `protocol.py` hold no rules.
"""

from ..engine.tensor import method
from . import inplace as inplace  # attaches methods
from . import protocol as protocol  # attaches methods
from .create import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .index import *  # noqa: F403
from .inputs import OPERATIONS, publish
from .inputs import clone as clone
from .linalg import *  # noqa: F403
from .reduce import *  # noqa: F403
from .shape import *  # noqa: F403

FUNCTIONS = """
    arange as_tensor empty empty_like eye from_numpy full full_like linspace normal ones ones_like rand
    rand_like randint randn randn_like randperm tensor zeros zeros_like
    broadcast_to cat einsum hstack meshgrid stack tensordot vstack where
"""
METHODS = """
    add addcdiv addcmul allclose bernoulli clamp clamp_max clamp_min div equal isclose lerp multinomial pow
    reciprocal round rsqrt square sub xlogy
    all amax amin any argmax argmin argsort bincount cumprod cumsum logsumexp max mean median min norm prod
    sort std sum topk unique var
    chunk clone contiguous diag diagonal expand expand_as flatten flip movedim narrow permute ravel repeat
    repeat_interleave reshape roll select split squeeze t tile transpose tril triu unbind unsqueeze view
    view_as
    gather index_add index_select masked_fill masked_select nonzero scatter scatter_add take_along_dim
    addmm baddbmm bmm dot inner matmul mm mv outer trace
"""  # functions that are methods too, as are the rows of elementwise.py
OTHER_NAMES = {
    "clip": "clamp", "broadcast_to": "expand", "divide": "div", "ger": "outer", "moveaxis": "movedim",
    "subtract": "sub", "swapaxes": "transpose", "true_divide": "div",
}  # fmt: skip

for _name in FUNCTIONS.split() + METHODS.split():
    publish(globals()[_name])
for _name in METHODS.split():
    method(_name)(OPERATIONS[_name])
for _other, _name in OTHER_NAMES.items():
    method(_other)(OPERATIONS[_name])

globals().update(OPERATIONS)
__all__ = sorted(OPERATIONS)
