"""Unusual calls of modules, packing, data loaders and the graph give what PyTorch gives, or an error."""

from __future__ import annotations

import collections
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")

MODULES = """
    m = nn.LSTM(2, 3, 2, bidirectional=True); [n for n, _ in m.named_parameters(prefix="a")]
    m = nn.Module(); m.register_buffer("a", 3)
    m = nn.Module(); m.register_parameter("a", L.zeros(1))
    m = nn.Module(); m.a = nn.Parameter(L.zeros(1)); m.a = L.zeros(1); 0
    m = nn.Module(); m.a = nn.Parameter(L.zeros(1)); del m.a; m.a = L.zeros(1); list(m.state_dict())
    m = nn.Module(); m.a = nn.Parameter(L.zeros(1)); m.a = None; (m.a, list(m.state_dict()))
    m = nn.Module(); m.register_buffer("a", L.zeros(1)); m.a = L.ones(1); (m.a, list(m.state_dict()))
    m = nn.Module(); m.l = nn.Linear(1, 1); m.l = None; (m.l, [n for n, _ in m.named_modules()])
    m = nn.Module(); m.l = nn.Linear(1, 1); m.l = 3; 0
    m = nn.Sequential(nn.Linear(2, 3), nn.Tanh()); m.get_submodule("2")
    m = nn.Sequential(nn.Linear(2, 3), nn.Tanh()); m.get_parameter("0.foo")
    m = nn.Sequential(nn.Linear(2, 3), nn.Tanh()); m.get_buffer("0.weight")
    m = nn.Linear(2, 3); m.load_state_dict({"weight": L.zeros(3, 2)})
    m = nn.Linear(2, 3); m.load_state_dict({"weight": L.zeros(2, 2), "bias": L.zeros(3)}, strict=False)
    m = nn.Linear(2, 3); m.load_state_dict([1])
    m = nn.Linear(2, 3, dtype=L.float64); m.weight.dtype == L.float64
    m = nn.Linear(2, 3).double(); (m.weight.data.zero_(), m.weight.dtype == L.float64)
    m = nn.Linear(2, 3).to(dtype=L.float64); m.weight.dtype == L.float64
    m = nn.Linear(2, 3).to("cpu", L.float64); m.weight.dtype == L.float64
    m = nn.Linear(2, 3).to(L.int64); 0
    m = nn.Linear(2, 3).type(L.float64); m.weight.dtype == L.float64
    m = nn.Linear(2, 3); m.requires_grad_(False); [p.requires_grad for p in m.parameters()]
    m = nn.Linear(2, 3); m.train(1)
    m = nn.Linear(2, 3).eval(); m.training
    m = nn.Linear(2, 3); m.foo
    m = nn.Module(); m(3)
    m = nn.Module(); m.add_module("a", 3)
    m = nn.Sequential(nn.Linear(2, 2)); m[3]
    m = nn.Sequential(nn.Linear(2, 2)) + nn.Sequential(nn.ReLU()); str(m)
    m = nn.Sequential(nn.Linear(2, 2), nn.ReLU()); m.pop(0); str(m)
    m = nn.Sequential(nn.Linear(2, 2), nn.ReLU()); m[0] = nn.Tanh(); str(m)
    m = nn.ModuleList([nn.Linear(1, 1)] * 3); str(m)
    m = nn.ModuleList([nn.Linear(1, 1)]); m(1)
    m = nn.ModuleDict([["a", nn.Linear(1, 1)]]); str(m)
    nn.Parameter(L.zeros(2).long())
    nn.Parameter(L.zeros(2).long(), requires_grad=False).dtype == L.int64
    nn.Parameter([1.0])
    m = nn.Linear(2, 3, bias=False); (m.bias, str(m), list(m.state_dict()))
    nn.Linear(0, 3)(L.zeros(2, 0))
    nn.Linear(-1, 3)
    nn.Linear(2, 0)(L.zeros(1, 2)).shape
    nn.Linear(2, 3)(L.zeros(1, 3))
    nn.Linear(2, 3)(L.zeros(2)).shape
    m = nn.Embedding(4, 2); m(L.tensor([4]))
    m = nn.Embedding(4, 2); m(L.tensor([-1]))
    m = nn.Embedding(4, 2); m(L.tensor([1.]))
    m = nn.Embedding(4, 2, padding_idx=-1); (m.padding_idx, m.weight[-1])
    m = nn.Embedding(4, 2, padding_idx=4); 0
    m = nn.Embedding(4, 2); m(L.tensor([], dtype=L.long)).shape
    m = nn.Embedding(4, 2); m(L.tensor([1], dtype=L.int32)).shape
    m = nn.Embedding(4, 2); m(L.tensor([1], dtype=L.uint8)).shape
    m = nn.LayerNorm(3); (str(m), m(L.arange(6.).view(2, 3)))
    m = nn.LayerNorm(3, bias=False); (m.bias, list(m.state_dict()))
    m = nn.LayerNorm(3); m(L.zeros(2, 2))
    m = nn.BatchNorm1d(3); m(L.zeros(1, 3))
    m = nn.BatchNorm1d(3); m(L.zeros(4, 2))
    m = nn.BatchNorm1d(2); m(L.arange(12.).view(2, 2, 3)); (m.running_mean, m.running_var)
    m = nn.Dropout(0.5); (str(m), nn.Dropout(1.0)(L.ones(3)))
    nn.Dropout(1.5)
    nn.Flatten()(L.zeros(2, 3, 4)).shape
    nn.Flatten(0, 1)(L.zeros(2, 3, 4)).shape
    nn.Unflatten(1, (3, 1))(L.zeros(2, 3)).shape
    nn.Identity(3, x=4)(L.ones(1))
    nn.Softmax()(L.zeros(2, 3))
    nn.LogSoftmax(-1)(L.zeros(2, 3))
    nn.PReLU(2)(L.tensor([[-1., -2.]]))
    nn.CrossEntropyLoss(weight=L.tensor([1., 2.]), reduction="none")(L.zeros(2, 2), L.tensor([0, 1]))
    str(nn.CrossEntropyLoss(weight=L.tensor([1., 2.])))
    list(nn.CrossEntropyLoss(weight=L.tensor([1., 2.])).state_dict())
    nn.NLLLoss(reduce=False)(L.zeros(2, 2), L.tensor([0, 1]))
    nn.MSELoss(reduction="avg")(L.zeros(2), L.zeros(2))
    nn.BCEWithLogitsLoss(pos_weight=L.tensor([2.]))(L.zeros(2, 1), L.ones(2, 1))
    m = nn.GRU(2, 3); [w.shape for ws in m.all_weights for w in ws]
    m = nn.RNN(2, 3, 1, "relu"); m.nonlinearity
    m = nn.RNN(2, 3, nonlinearity="gelu"); 0
    nn.LSTM(2, 3, dropout=1.5)
    nn.LSTM(2, 0)
    nn.LSTM(0, 2)
    nn.LSTM(2, 3, 0)
    nn.LSTM(2, 3, proj_size=3)
    nn.GRU(2, 3, proj_size=1)
    nn.LSTM(2, 3, num_layers=2.0)
    m = nn.LSTM(2, 3); m(L.zeros(4, 1, 3))
    m = nn.LSTM(2, 3); m(L.zeros(4, 1, 2), L.zeros(1, 1, 3))
    m = nn.LSTM(2, 3); m(L.zeros(4, 1, 2), (L.zeros(1, 2, 3), L.zeros(1, 2, 3)))
    m = nn.LSTM(2, 3); m(L.zeros(4, 1, 2), (L.zeros(1, 3), L.zeros(1, 3)))
    m = nn.GRU(2, 3); m(L.zeros(4, 1, 2), L.zeros(1, 3))
    m = nn.GRU(2, 3); m(L.zeros(4, 2), L.zeros(1, 1, 3))
    m = nn.GRU(2, 3); m(L.zeros(2))
    m = nn.GRU(2, 3); [x.shape for x in m(L.zeros(4, 0, 2))]
    m = nn.GRUCell(2, 3); m(L.zeros(1, 3))
    m = nn.GRUCell(2, 3); m(L.zeros(1, 2), L.zeros(2, 3))
    m = nn.GRUCell(2, 3); (m(L.zeros(2)).shape, m(L.zeros(0, 2)).shape)
    m = nn.LSTMCell(2, 3); m(L.zeros(1, 2), L.zeros(1, 3))
    m = nn.LSTMCell(2, 3); [x.shape for x in m(L.zeros(1, 2))]
"""

PARAMETERS = """
    nn.init.xavier_uniform_(L.zeros(3))
    nn.init.xavier_uniform_(L.zeros(3, 0)).shape
    nn.init.kaiming_normal_(L.zeros(3, 2), mode="fan_up")
    nn.init.kaiming_normal_(L.zeros(3, 2), nonlinearity="foo")
    nn.init.orthogonal_(L.zeros(3))
    (lambda w: w @ w.t())(nn.init.orthogonal_(L.zeros(2, 3, dtype=L.float64), gain=2.))
    (lambda w: w.t() @ w)(nn.init.orthogonal_(L.zeros(4, 2, dtype=L.float64)))
    nn.init.eye_(L.zeros(2, 3))
    nn.init.eye_(L.zeros(2))
    nn.init.constant_(L.zeros(2), 3.5)
    nn.init.ones_(L.zeros(2, requires_grad=True))
    nn.init.sparse_(L.zeros(4, 3), 0.5).eq(0).sum(0)
    nn.init.sparse_(L.zeros(4), 0.5)
    nn.init.uniform_(L.zeros(3), 2., 2.)
    nn.init.normal_(L.zeros(3), 2., 0.)
    nn.init.normal_(L.zeros(3), 2., -1.)
    nn.init.calculate_gain("leaky_relu", 0.3)
    nn.init.calculate_gain("gelu")
    nn.init._calculate_fan_in_and_fan_out(L.zeros(2, 3, 4))
    nn.utils.clip_grad_norm_([], 1.)
    nn.utils.parameters_to_vector(nn.Linear(2, 1).parameters()).shape
    m = nn.Linear(2, 1); nn.utils.vector_to_parameters(L.arange(3.), m.parameters()); (m.weight, m.bias)
    m = nn.Linear(2, 1); nn.utils.vector_to_parameters(L.arange(2.), m.parameters())
"""

PACKING = """
    u.pack_padded_sequence(L.arange(12.).view(3, 2, 2), [2, 3])
    u.pack_padded_sequence(L.arange(12.).view(3, 2, 2), [3, 2, 1])
    u.pack_padded_sequence(L.arange(12.).view(3, 2, 2), [3, -1])
    u.pack_padded_sequence(L.arange(12.).view(3, 2, 2), [])
    p = u.pack_sequence([L.arange(3), L.arange(2)]); (p, u.pad_packed_sequence(p))
    u.pack_sequence([L.arange(2), L.arange(3)])
    u.pack_sequence([])
    u.pad_sequence([L.arange(3.), L.arange(2.)], padding_value=9.)
    u.pad_sequence([L.arange(3.), L.arange(2.)], padding_side="up")
    u.pad_sequence([L.ones(3, 2), L.ones(2, 3)])
    u.pad_sequence([])
    u.pad_sequence((x for x in [L.arange(3), L.arange(2)]))
    u.pad_sequence([L.arange(3), L.arange(0)], True)
    u.pad_sequence(L.arange(6.).view(2, 3), batch_first=True)
    u.pad_packed_sequence(L.zeros(2))
"""

DATA = """
    [b for b in D.DataLoader(L.arange(7), batch_size=3)]
    [b for b in D.DataLoader(L.arange(7), batch_size=3, drop_last=True)]
    [b for b in D.DataLoader([1, 2, 3], batch_size=None)]
    [b for b in D.DataLoader([(1, "a"), (2, "b")], batch_size=2)]
    [b for b in D.DataLoader(np.arange(4.), batch_size=2)]
    [b for b in D.DataLoader([np.zeros(2), np.ones(2)], batch_size=2)]
    [b for b in D.DataLoader([np.float32(1), np.float32(2)], batch_size=2)]
    [b for b in D.DataLoader([True, False], batch_size=2)]
    [b for b in D.DataLoader([None, None], batch_size=2)]
    [b for b in D.DataLoader([L.zeros(2), L.zeros(3)], batch_size=2)]
    [b for b in D.DataLoader([(1, 2), (1,)], batch_size=2)]
    [b for b in D.DataLoader(range(4), batch_size=2, collate_fn=lambda b: b)]
    [b for b in D.DataLoader(range(4), batch_size=2, sampler=[3, 1, 0, 2])]
    [b for b in D.DataLoader(range(4), batch_sampler=[[3, 1], [0]])]
    D.DataLoader(range(4), sampler=[0], shuffle=True)
    D.DataLoader(range(4), batch_sampler=[[0]], batch_size=2)
    D.DataLoader(range(4), batch_sampler=[[0]], shuffle=True)
    D.DataLoader(range(4), batch_size=0)
    D.DataLoader(range(4), batch_size=-1)
    D.DataLoader(range(4), batch_size=None, drop_last=True)
    D.DataLoader(range(4), num_workers=-1)
    D.DataLoader(range(4), timeout=-1)
    D.DataLoader(range(4), num_workers=0, prefetch_factor=2)
    D.DataLoader(range(4), persistent_workers=True)
    D.DataLoader([], shuffle=True)
    list(D.DataLoader([], batch_size=2))
    sorted(int(x) for b in D.DataLoader(range(9), 4, True) for x in b)
    d = D.DataLoader(range(4), 2); d.batch_size = 3; 0
    it = iter(D.DataLoader(range(4), 2)); (next(it), next(it), len(it)); next(it)
    D.TensorDataset(L.arange(4), L.arange(3))
    D.TensorDataset(L.arange(4))[4]
    s = D.Subset(range(10), [3, 5]); (len(s), s[1], list(s), s.indices)
    [len(x) for x in D.random_split(range(10), [.5, .25, .25])]
    D.random_split(range(10), [7, 2])
    D.random_split(range(10), [.7, .7])
    c = D.ConcatDataset([range(3), range(5)]); c[8]
    c = D.ConcatDataset([]); 0
    (D.TensorDataset(L.arange(2)) + D.TensorDataset(L.arange(3)))[3]
    list(D.BatchSampler(D.SequentialSampler(range(5)), 2, False))
    list(D.BatchSampler(D.SequentialSampler(range(5)), 2, True))
    D.BatchSampler(range(5), 0, True)
    D.BatchSampler(range(5), 2, 1)
    D.RandomSampler(range(5), num_samples=0)
    D.RandomSampler(range(5), replacement=1)
    list(D.WeightedRandomSampler([0, 0, 1.], 4))
    list(D.WeightedRandomSampler([0, 1., 1.], 2, replacement=False)) != []
    D.WeightedRandomSampler([1.], 0)
    sorted(D.SubsetRandomSampler([4, 2]))
    D.default_collate([1, 2, 3])
    D.default_collate([1.5, 2])
    D.default_collate(["a", "b"])
    D.default_collate([b"a", b"b"])
    D.default_collate([[1, 2], [3, 4]])
    D.default_collate([(1, 2), (3, 4)])
    D.default_collate([{"a": 1}, {"a": 2}])
    D.default_collate([object(), object()])
    D.default_collate([L.zeros(1, requires_grad=True)] * 2)
    D.default_collate([__import__("collections").namedtuple("P", "x y")(1, 2)] * 2).x
    D.default_collate([])
    D.default_collate([np.array(["a"]), np.array(["b"])])
    D.Dataset()[0]
    len(D.Dataset())
"""

GRAPH = """
    x = L.ones(2, requires_grad=True); y = x * 2; y.backward(L.ones(2)); x.grad
    x = L.ones(2, requires_grad=True); (x * 2).backward()
    x = L.ones(2, requires_grad=True); y = (x * x).sum(); y.backward(); y.backward()
    x = L.ones(2); x.sum().backward()
    x = L.ones(2, requires_grad=True); y = x * 2; y.backward(L.ones(3))
    x = L.ones(2, requires_grad=True); L.autograd.grad(x * 2, x)
    x = L.ones(2, requires_grad=True); L.autograd.backward([x.sum(), (x * x).sum()]); x.grad
    x = L.ones(2, requires_grad=True); y = x * 2; y.backward(L.ones(2), inputs=[x]); x.grad
    x = L.ones(2, requires_grad=True); y = x.detach(); y[0] = 5; x
    x = L.ones(2, requires_grad=True); x.grad = L.ones(3); 0
    x = L.ones(2, requires_grad=True); x.grad = 1; 0
    x = L.ones(2); x.register_hook(lambda g: g)
    x = L.ones(2, requires_grad=True); y = x * 2; y.requires_grad_(False)
    x = L.ones(2, requires_grad=True); y = x * 2; y.detach_(); (y.requires_grad, y.is_leaf)
    x = L.ones(2, requires_grad=True); y = x.clone(); y[0] = 3; (y * y).sum().backward(); x.grad
    F_ = L.autograd.functional; F_.jacobian(lambda x: x ** 2, L.tensor([1., 2.]))
    F_ = L.autograd.functional; F_.hessian(lambda x: (x ** 3).sum(), L.tensor([1., 2.]))
    F_ = L.autograd.functional; F_.vjp(lambda x: x ** 2, L.tensor([1., 2.]), L.tensor([1., 0.]))
    F_ = L.autograd.functional; F_.jvp(lambda x: x ** 2, L.tensor([1., 2.]), L.tensor([1., 0.]))
    F_ = L.autograd.functional; F_.hvp(lambda x: (x ** 3).sum(), L.tensor([1., 2.]), L.tensor([1., 0.]))
    F_ = L.autograd.functional; F_.jacobian(lambda x: L.ones(2), L.tensor([1., 2.]), strict=True)
    L.autograd.gradcheck(lambda x: x ** 2, (L.ones(2, dtype=L.float64, requires_grad=True),))
    L.autograd.gradcheck(lambda x: x ** 2, (L.ones(2, dtype=L.float64),))
    x = L.arange(6).view(2, 3); [r.tolist() for r in x] + [2 in x, 9 in x] + x.tolist()
    x = L.zeros(2, 3); x.numpy()[0, 0] = 5; x
    x = L.zeros(2, requires_grad=True); x.numpy()
    x = L.zeros(2, requires_grad=True); np.asarray(x)
    x = L.tensor([1., 2.]); (np.float32(3) * L.tensor(2.), L.tensor(2.) * np.float32(3), x.numpy() * 2)
    x = L.tensor([1., 2.], requires_grad=True); y = x.tolist(); y
    x = L.ones(2, 2); x.data = L.zeros(3); (x, x.shape)
    x = L.ones(2, requires_grad=True); x.data = L.zeros(3); x
    x = L.ones(2); x.requires_grad = True; (x * 2).sum().backward(); x.grad
    x = L.ones(2, requires_grad=True); x += 1; 0
    x = L.ones(2, requires_grad=True); x[0] = 1; 0
    x = L.ones(2, requires_grad=True); x.data[0] = 5; x
"""


def flat(x):
    """The tensors, numbers and texts in nested containers, in order."""
    if isinstance(x, dict):
        return [part for key, value in x.items() for part in (key, *flat(value))]
    if isinstance(x, (list, tuple)):
        return [part for value in x for part in flat(value)]
    if isinstance(x, (tg.Tensor, torch.Tensor)):
        return [np.array(x.detach().numpy())]
    return [x]


def outcome(lib, program):
    """What the last statement of a program gives, or the error of any."""
    names = {"L": lib, "nn": lib.nn, "u": lib.nn.utils.rnn, "D": lib.utils.data}
    names |= {"F_": lib.autograd.functional, "nan": float("nan"), "np": np, "collections": collections}
    *statements, last = program.split("; ")
    try:
        exec("; ".join(statements), names)
        return flat(eval(last, names))
    except Exception as error:
        return error


def assert_same(found, expected):
    if isinstance(expected, np.ndarray):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6)
    elif isinstance(expected, (str, bool, int)) or expected is None:
        assert found == expected
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, nan_ok=True)


PROGRAMS = "".join([MODULES, PARAMETERS, PACKING, DATA, GRAPH]).strip()


@pytest.mark.parametrize("program", [line.strip() for line in PROGRAMS.splitlines() if line])
def test_the_answer_is_pytorchs(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, expected = outcome(tg, program), outcome(torch, program)
    assert not isinstance(expected, (NameError, SyntaxError)), f"the program is wrong: {expected}"
    assert isinstance(found, Exception) == isinstance(expected, Exception), (found, expected)
    if not isinstance(expected, Exception):
        assert len(found) == len(expected)
        for a, b in zip(found, expected):
            assert_same(a, b)
