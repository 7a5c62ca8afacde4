"""Modules, optimizers and tensors go through `pickle`, into other processes, and through what rests on it."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, pickling


def there_and_back(obj: Any) -> Any:
    return pickle.loads(pickle.dumps(obj))


class Tagged(tg.Tensor):
    """A tensor class of a program's own, with another constructor."""

    def __init__(self, name: str) -> None:
        super().__init__(np.zeros(2))
        self.name = name


class Tied(nn.Module):
    """An encoder and a decoder with one weight, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3)
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("scale", tg.tensor(2.0), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.decoder(self.encoder(x)) * self.scale


# --- tensors


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64, tg.int64, tg.bool])
def test_values_dtype_and_the_wish_for_a_gradient_are_kept(protocol: int, dtype: Any) -> None:
    t = tg.arange(6).reshape(2, 3).to(dtype).t()
    t.requires_grad_(t.is_floating_point())
    t.note = "kept"
    twin = pickle.loads(pickle.dumps(t, protocol))
    assert type(twin) is tg.Tensor and twin.is_leaf and twin.note == "kept"
    assert (twin.dtype, twin.requires_grad, twin.tolist()) == (t.dtype, t.requires_grad, t.tolist())


def test_a_parameter_and_a_class_of_ones_own_keep_their_class() -> None:
    p, tagged = there_and_back([nn.Parameter(tg.ones(2), requires_grad=False), Tagged("a")])
    assert type(p) is nn.Parameter and not p.requires_grad
    assert type(tagged) is Tagged and tagged.name == "a" and tagged.tolist() == [0, 0]


def test_gradient_and_hooks_of_a_tensor_stay_behind() -> None:
    p = nn.Parameter(tg.ones(2))
    p.sum().backward()
    assert there_and_back(p).grad is None
    p.register_hook(lambda g: 5 * g)
    with pytest.warns(UserWarning, match="hooks of a tensor are not pickled"):
        twin = there_and_back(p)
    twin.sum().backward()
    assert twin.grad.tolist() == [1, 1]


def test_a_tensor_with_a_graph_is_refused_and_its_values_are_not() -> None:
    y = nn.Parameter(tg.ones(2, 3)) * 2
    with pytest.raises(RuntimeError, match=r"of shape \(2, 3\) .* graph along; pickle t.detach\(\) instead"):
        pickle.dumps({"y": y})
    assert there_and_back(y.detach()).tolist() == y.tolist()


def test_memory_that_cannot_be_written_is_copied() -> None:
    fixed = np.ones(3)
    fixed.flags.writeable = False
    t = pickling.rebuild(tg.Tensor, fixed, False, {})
    t.add_(1)
    assert t.tolist() == [2, 2, 2] and fixed.tolist() == [1, 1, 1]


@pytest.mark.parametrize("make", [tg.ones, lambda n: nn.Parameter(tg.ones(n)), lambda n: Tagged("a")])
def test_a_shallow_copy_is_another_leaf_over_the_same_memory(make: Any) -> None:
    t = make(2)
    t.note = []
    twin = copy.copy(t)
    assert twin is not t and type(twin) is type(t)
    assert twin.note is t.note and twin.requires_grad == t.requires_grad
    with tg.no_grad():
        twin.fill_(7)
    assert t.tolist() == [7, 7]


def test_a_shallow_copy_of_a_result_is_a_leaf() -> None:
    y = nn.Parameter(tg.ones(2)) * 3
    twin = copy.copy(y)
    assert (twin.is_leaf, twin.requires_grad, twin.tolist()) == (True, True, [3, 3])


# --- modules and optimizers

MODULES = [
    lambda: nn.LSTM(3, 3, num_layers=2, bidirectional=True, dropout=0.25),
    lambda: nn.GRU(3, 2, bias=False),
    lambda: nn.RNN(3, 2, nonlinearity="relu"),
    lambda: nn.Recurrent(nn.GRUCell(3, 4)),
    lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.PReLU(), nn.Dropout(0.5)),
    lambda: nn.ModuleList([nn.ModuleDict({"a": nn.Linear(3, 1)})])[0]["a"],
    Tied,
]


@pytest.mark.parametrize("make", MODULES)
def test_a_module_computes_the_same_afterwards(make: Any) -> None:
    module = make().eval()
    twin = there_and_back(module)
    x = tg.randn(5, 1, 3)
    for a, b in zip(outputs(module(x)), outputs(twin(x)), strict=True):
        assert tg.equal(a, b)
    assert repr(twin) == repr(module) and not twin.training
    assert list(twin.state_dict()) == list(module.state_dict())


def outputs(result: Any) -> list[Any]:
    if isinstance(result, tuple):
        return [t for part in result for t in outputs(part)]
    return [result]


def test_shared_parameters_stay_shared() -> None:
    twin = there_and_back(Tied())
    assert twin.encoder.weight is twin.decoder.weight
    assert len(list(twin.parameters())) == 3 and "scale" not in twin.state_dict()
    a, b = there_and_back((twin, twin.encoder))
    assert a.encoder is b


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam", "LBFGS"]
)
def test_training_goes_on_in_the_copy_as_in_the_original(name: str) -> None:
    model = nn.Linear(3, 2)
    optimizer = getattr(optim, name)(model.parameters(), lr=0.05)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    x = tg.randn(4, 3)
    train(model, optimizer, scheduler, x)
    twin = there_and_back((model, optimizer, scheduler))
    assert twin[1].param_groups[0]["params"][0] is twin[0].weight and twin[2].optimizer is twin[1]
    for run in ((model, optimizer, scheduler), twin):
        train(*run, x)
    assert tg.equal(model.weight, twin[0].weight) and tg.equal(model.bias, twin[0].bias)


def train(model: Any, optimizer: Any, scheduler: Any, x: Any) -> None:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = (model(x) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
        scheduler.step()


# --- hooks of modules


def double(module: Any, args: Any, output: Any) -> Any:
    return output * 2


def triple(module: Any, args: Any, output: Any) -> Any:
    return output * 3


def test_hooks_that_can_be_pickled_come_along_and_others_say_so() -> None:
    net = nn.Linear(2, 1)
    handle = net.register_forward_hook(double)
    twin, twins_handle = there_and_back((net, handle))
    x = tg.ones(1, 2)
    assert tg.equal(twin(x), net(x))
    twins_handle.remove()
    assert tg.equal(twin(x) * 2, net(x))
    net.register_forward_hook(lambda module, args, output: output)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(net)


def test_a_new_hook_never_takes_the_place_of_one_that_was_pickled() -> None:
    net = nn.Linear(2, 1)
    handle = net.register_forward_hook(double)
    after = net._hooks.after
    after[handle.id + 1] = after.pop(handle.id)  # as numbered by another process, which had counted on
    net.register_forward_hook(triple)
    assert len(after) == 2
    x = tg.ones(1, 2)
    assert tg.allclose(net(x), net.forward(x) * 6)


# --- other processes


def squared_norm(module: Any) -> float:
    return sum(float((p**2).sum()) for p in module.parameters())


def test_a_module_goes_to_another_process_and_comes_back() -> None:
    net = Tied()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(squared_norm, (net,)) == squared_norm(net)
        twin = pool.apply(nn.Module.double, (net,))
    assert twin.encoder.weight.dtype == tg.float64 and twin.encoder.weight is twin.decoder.weight


def test_joblib_hashes_dumps_and_sends_modules(tmp_path: Any) -> None:
    joblib = pytest.importorskip("joblib")
    net = nn.Linear(400, 400)  # large enough to be sent through a file, mapped and read-only
    assert joblib.hash(net) == joblib.hash(copy.deepcopy(net))
    joblib.dump(net, tmp_path / "net")
    assert tg.equal(joblib.load(tmp_path / "net").weight, net.weight)
    with joblib.Parallel(n_jobs=2, max_nbytes=1000, timeout=120) as parallel:
        twins = parallel(joblib.delayed(there_and_back)(net) for _ in range(2))
    for twin in twins:
        optim.SGD(twin.parameters(), lr=1.0).zero_grad()
        with tg.no_grad():
            twin.weight.zero_()
    assert twins[0].weight.tolist() != net.weight.tolist()


def test_scikit_learn_clones_estimators_that_hold_modules() -> None:
    base = pytest.importorskip("sklearn.base")
    selection = pytest.importorskip("sklearn.model_selection")

    class Ridge(base.RegressorMixin, base.BaseEstimator):
        def __init__(self, net: Any = None, steps: int = 1) -> None:
            self.net, self.steps = net, steps

        def fit(self, X: Any, y: Any) -> Any:
            self.net_ = copy.deepcopy(self.net)
            optimizer = optim.SGD(self.net_.parameters(), lr=0.1)
            for _ in range(self.steps):
                optimizer.zero_grad()
                ((self.net_(tg.tensor(X)).squeeze(1) - tg.tensor(y)) ** 2).mean().backward()
                optimizer.step()
            return self

        def predict(self, X: Any) -> Any:
            return self.net_(tg.tensor(X)).detach().numpy()[:, 0]

    X = np.linspace(-1, 1, 30)[:, None].repeat(2, 1)
    search = selection.GridSearchCV(Ridge(nn.Linear(2, 1).double()), {"steps": [1, 60]}, cv=2, n_jobs=2)
    search.fit(X, X.sum(1))
    assert search.best_params_ == {"steps": 60}
    assert base.clone(search.best_estimator_).net is not search.best_estimator_.net
