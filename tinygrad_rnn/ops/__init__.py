"""Operations on tensors, by PyTorch's names.

Read `elementwise.py` first: it shows the form of a primitive and its rules. Then `index.py`, `shape.py`,
`reduce.py`, `linalg.py`; `inputs.py`, `create.py`, `inplace.py` and `protocol.py` hold no rules.
"""

from . import inplace as inplace  # attaches methods
from . import protocol as protocol  # attaches methods
from .create import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .index import *  # noqa: F403
from .inputs import clone as clone
from .linalg import *  # noqa: F403
from .reduce import *  # noqa: F403
from .shape import *  # noqa: F403

__all__ = """
    arange as_tensor bernoulli empty empty_like eye from_numpy full full_like linspace multinomial normal ones ones_like
    rand rand_like randint randn randn_like randperm tensor zeros zeros_like

    abs add allclose bitwise_and bitwise_not bitwise_or bitwise_xor ceil clamp cos div eq equal erf exp expm1 floor ge gt
    isclose isfinite isinf isnan le lerp log log1p log2 logaddexp logical_and logical_not logical_or logical_xor lt
    maximum minimum mul ne neg pow reciprocal relu remainder round rsqrt sigmoid sign sin sqrt square sub tanh where xlogy

    all amax amin any argmax argmin argsort cumprod cumsum logsumexp max mean min norm prod sort std sum topk var

    broadcast_to cat chunk clone diag diagonal expand expand_as flatten flip hstack movedim narrow permute ravel repeat
    repeat_interleave reshape roll select split squeeze stack t tile transpose tril triu unbind unsqueeze view view_as
    vstack

    gather index_add index_select masked_fill masked_select nonzero scatter scatter_add take_along_dim

    addmm baddbmm bmm dot einsum inner matmul mm mv outer tensordot trace
""".split()
