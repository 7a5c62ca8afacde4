"""Schedules: closed forms, chaining, resuming, errors. (Their sequences are in test_optim_trajectories.)"""

import copy
import math
import warnings

import numpy as np
import pytest

from tinygrad_rnn import optim
from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.optim import lr_scheduler as schedule


def optimizer_with(*rates, **options):
    groups = [{"params": [Tensor(np.ones(2), requires_grad=True)], "lr": lr} for lr in rates]
    return optim.SGD(groups, momentum=0.9, **options)


def rates(scheduler, epochs):
    """The first group's rate in each of the epochs."""
    seen = []
    for _ in range(epochs):
        seen.append(scheduler.optimizer.param_groups[0]["lr"])
        assert scheduler.get_last_lr()[0] == seen[-1]
        scheduler.optimizer.step()
        scheduler.step()
    return seen


def triangle(e):
    """Up in three steps and down in two."""
    return e / 3 if e <= 3 else (5 - e) / 2


CLOSED_FORMS = {
    "LambdaLR": (lambda o: schedule.LambdaLR(o, lambda e: 1 / (1 + e)), lambda e: 1 / (1 + e)),
    "StepLR": (lambda o: schedule.StepLR(o, 4, 0.5), lambda e: 0.5 ** (e // 4)),
    "MultiStepLR": (lambda o: schedule.MultiStepLR(o, [3, 8], 0.1), lambda e: 0.1 ** ((e >= 3) + (e >= 8))),
    "LinearLR": (lambda o: schedule.LinearLR(o, 0.25, 0.75, 10), lambda e: 0.25 + 0.5 * min(e, 10) / 10),
    "MultiplicativeLR": (lambda o: schedule.MultiplicativeLR(o, lambda e: 0.5), lambda e: 0.5**e),
    "ConstantLR": (lambda o: schedule.ConstantLR(o, 0.5, 4), lambda e: 1 if e >= 4 else 0.5),
    "PolynomialLR": (lambda o: schedule.PolynomialLR(o, 8, 2.0), lambda e: max(0, 1 - e / 8) ** 2),
    "CyclicLR": (lambda o: schedule.CyclicLR(o, 0.2, 0.6, 3, 2), lambda e: 1 + 2 * triangle(e % 5)),
    "ChainedScheduler": (
        lambda o: schedule.ChainedScheduler([schedule.ConstantLR(o, 0.5, 4), schedule.ExponentialLR(o, 0.8)]),
        lambda e: (1 if e >= 4 else 0.5) * 0.8**e,
    ),
    "SequentialLR": (
        lambda o: schedule.SequentialLR(
            o, [schedule.ConstantLR(o, 0.5, 9), schedule.ExponentialLR(o, 0.8), schedule.StepLR(o, 2)], [3, 7]
        ),
        lambda e: 0.5 if e < 3 else 0.8 ** (e - 3) if e < 7 else 0.1 ** ((e - 7) // 2),
    ),
    "ExponentialLR": (lambda o: schedule.ExponentialLR(o, 0.8), lambda e: 0.8**e),
    "CosineAnnealingLR": (
        lambda o: schedule.CosineAnnealingLR(o, 6),
        lambda e: (1 + math.cos(math.pi * e / 6)) / 2,
    ),
    "CosineAnnealingWarmRestarts": (
        lambda o: schedule.CosineAnnealingWarmRestarts(o, 6),
        lambda e: (1 + math.cos(math.pi * (e % 6) / 6)) / 2,
    ),
}
RESUMABLE = {
    **{name: make for name, (make, _) in CLOSED_FORMS.items()},
    "OneCycleLR": lambda o: schedule.OneCycleLR(o, 0.5, total_steps=40),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_rates_follow_the_closed_form(name):
    make, closed_form = CLOSED_FORMS[name]
    found = rates(make(optimizer_with(0.2)), 20)
    np.testing.assert_allclose(found, [0.2 * closed_form(e) for e in range(20)], rtol=1e-13, atol=1e-16)


def test_each_group_keeps_the_ratio_of_its_rate():
    optimizer = optimizer_with(0.2, 0.6)
    rates(schedule.CosineAnnealingLR(optimizer, 9), 5)
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert second == pytest.approx(3 * first, rel=1e-14)


def test_lambda_lr_takes_a_function_for_each_group():
    optimizer = optimizer_with(1.0, 1.0)
    rates(schedule.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 2.0**e]), 3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 8.0]


def test_schedules_that_continue_from_the_present_rate_multiply():
    optimizer = optimizer_with(1.0)
    schedulers = [schedule.ExponentialLR(optimizer, 0.5), schedule.StepLR(optimizer, 2, 0.1)]
    for _ in range(4):
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5**4 * 0.1**2)


def test_one_cycle_moves_momentum_against_the_rate():
    optimizer = optimizer_with(0.1)
    scheduler = schedule.OneCycleLR(optimizer, max_lr=1.0, total_steps=20)
    lr, momentum = [], []
    for _ in range(19):
        optimizer.step()
        scheduler.step()
        lr.append(optimizer.param_groups[0]["lr"])
        momentum.append(optimizer.param_groups[0]["momentum"])
    assert np.argmax(lr) == np.argmin(momentum) == 0.3 * 20 - 2
    assert (max(lr), min(momentum), momentum[-1]) == (1.0, 0.85, 0.95)
    assert lr[-1] == pytest.approx(1 / 25 / 1e4)
    assert (np.sign(np.diff(lr)) == -np.sign(np.diff(momentum))).all()


def test_one_cycle_continues_from_the_optimizers_groups():
    def cycle(optimizer, **options):
        return schedule.OneCycleLR(optimizer, max_lr=1.0, total_steps=20, **options)

    whole, optimizer, fresh = rates(cycle(optimizer_with(0.1)), 12), optimizer_with(0.1), optimizer_with(0.1)
    rates(cycle(optimizer), 7)
    fresh.load_state_dict(optimizer.state_dict())
    assert rates(cycle(fresh, last_epoch=6), 5) == whole[7:]


def test_one_cycle_of_adam_moves_its_first_beta_only():
    optimizer = optim.Adam([Tensor(np.ones(1), requires_grad=True)], betas=(0.9, 0.99))
    schedule.OneCycleLR(optimizer, max_lr=1.0, total_steps=20)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.99)


def test_one_cycle_ends_with_an_error():
    scheduler = schedule.OneCycleLR(optimizer_with(0.1), max_lr=1.0, total_steps=3)
    rates(scheduler, 3)
    with pytest.raises(ValueError, match="step 4, but total_steps=3"):
        scheduler.step()


def test_half_a_cosine_may_end_between_two_epochs():
    """`T_max=len(loader) * epochs / accumulated`, say."""
    found = rates(schedule.CosineAnnealingLR(optimizer_with(0.3), 2.5), 7)
    expected = [0.15 * (1 + math.cos(math.pi * e / 2.5)) for e in range(len(found))]
    assert found == pytest.approx(expected)


def test_plateau_waits_for_patience_and_takes_a_tensor():
    optimizer = optimizer_with(1.0)
    scheduler = schedule.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    seen = []
    for metric in [3.0, 2.0, 2.0, 2.0, 2.0, 1.0]:
        scheduler.step(Tensor(np.array(metric)))
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [1, 1, 1, 1, 0.5, 0.5]


def test_plateau_counts_a_metric_that_is_no_number_as_bad():
    optimizer = optimizer_with(1.0)
    scheduler = schedule.ReduceLROnPlateau(optimizer, patience=0)
    for metric in [2.0, math.nan]:
        scheduler.step(metric)
    assert scheduler.get_last_lr() == [0.1]
    assert scheduler.best == 2.0


@pytest.mark.parametrize("name", RESUMABLE)
@pytest.mark.parametrize("stop", [1, 7, 13])
def test_a_resumed_schedule_equals_the_one_that_never_stopped(name, stop):
    whole = rates(RESUMABLE[name](optimizer_with(0.3)), 20)
    scheduler = RESUMABLE[name](optimizer_with(0.3))
    rates(scheduler, stop)
    saved = copy.deepcopy((scheduler.optimizer.state_dict(), scheduler.state_dict()))
    again = RESUMABLE[name](optimizer_with(0.3))
    again.optimizer.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert rates(again, 20 - stop) == whole[stop:]


@pytest.mark.parametrize("name", ["StepLR", "MultiStepLR", "LinearLR", "ExponentialLR", "CosineAnnealingLR"])
def test_last_epoch_continues_from_the_optimizers_rate(name):
    make, closed_form = CLOSED_FORMS[name]
    optimizer = optimizer_with(0.3)
    rates(make(optimizer), 7)
    fresh = optimizer_with(0.3)
    fresh.load_state_dict(optimizer.state_dict())
    if name == "StepLR":
        scheduler = schedule.StepLR(fresh, 4, 0.5, last_epoch=6)
    elif name == "MultiStepLR":
        scheduler = schedule.MultiStepLR(fresh, [3, 8], 0.1, last_epoch=6)
    elif name == "LinearLR":
        scheduler = schedule.LinearLR(fresh, 0.25, 0.75, 10, last_epoch=6)
    elif name == "ExponentialLR":
        scheduler = schedule.ExponentialLR(fresh, 0.8, last_epoch=6)
    else:
        scheduler = schedule.CosineAnnealingLR(fresh, 6, last_epoch=6)
    np.testing.assert_allclose(rates(scheduler, 5), [0.3 * closed_form(e) for e in range(7, 12)], rtol=1e-12)


def test_plateau_resumes():
    metrics = [3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 1.9, 2.0, 2.0, 2.0]

    def run(scheduler, metrics):
        for metric in metrics:
            scheduler.step(metric)
        return scheduler

    def make():
        return schedule.ReduceLROnPlateau(optimizer_with(1.0), patience=1, cooldown=1)

    whole, first, second = run(make(), metrics), run(make(), metrics[:5]), make()
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert run(second, metrics[5:]).state_dict() == whole.state_dict()


def test_functions_are_not_part_of_the_state_but_attributes_of_callables_are():
    class Decay:
        def __init__(self, base):
            self.base = base

        def __call__(self, epoch):
            return self.base**epoch

    scheduler = schedule.LambdaLR(optimizer_with(1.0, 1.0, 1.0), [Decay(0.5), lambda e: 1.0, abs])
    saved = scheduler.state_dict()
    assert saved["lr_lambdas"] == [{"base": 0.5}, None, None]
    again = schedule.LambdaLR(optimizer_with(1.0, 1.0, 1.0), [Decay(0.9), lambda e: 1.0, abs])
    again.load_state_dict(saved)
    again.optimizer.step()
    again.step()
    assert again.get_last_lr() == [0.5, 1.0, 1.0]


def test_a_schedule_of_ones_own_defines_get_lr():
    class InverseRoot(schedule.LRScheduler):
        def get_lr(self):
            return [lr / math.sqrt(1 + self.last_epoch) for lr in self.base_lrs]

    assert rates(InverseRoot(optimizer_with(1.0)), 4) == [1 / math.sqrt(e) for e in range(1, 5)]
    with pytest.raises(NotImplementedError, match=r"LRScheduler: define get_lr\(\)"):
        schedule.LRScheduler(optimizer_with(1.0))


def test_a_step_before_the_optimizers_first_is_warned_of():
    with pytest.warns(UserWarning, match="before optimizer.step"):
        schedule.StepLR(optimizer_with(0.1), 2).step()
    optimizer = optimizer_with(0.1)
    scheduler = schedule.StepLR(optimizer, 2)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: schedule.StepLR([o], 2), TypeError, "expected an Optimizer, got list"),
        (lambda o: schedule.StepLR(o, 0), ValueError, "step_size=0"),
        (lambda o: schedule.StepLR(o, 2.5), TypeError, "step_size=2.5: must be an integer"),
        (lambda o: schedule.StepLR(o, 2, last_epoch=3), KeyError, "initial_lr"),
        (lambda o: schedule.LambdaLR(o, [abs, abs]), ValueError, "lr_lambda: 2 values for 1 parameter group"),
        (lambda o: schedule.LinearLR(o, start_factor=0), ValueError, "start_factor=0"),
        (lambda o: schedule.LinearLR(o, end_factor=1.5), ValueError, "end_factor=1.5"),
        (lambda o: schedule.CosineAnnealingLR(o, 0), ValueError, "T_max=0"),
        (lambda o: schedule.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0=0"),
        (lambda o: schedule.CosineAnnealingWarmRestarts(o, 2, 0), ValueError, "T_mult=0"),
        (lambda o: schedule.OneCycleLR(o, 0.1), ValueError, "give total_steps"),
        (lambda o: schedule.OneCycleLR(o, 0.1, epochs=3, steps_per_epoch=0), ValueError, "steps_per_epoch=0"),
        (lambda o: schedule.OneCycleLR(o, 0.1, 10, pct_start=1.1), ValueError, "pct_start=1.1"),
        (lambda o: schedule.OneCycleLR(o, 0.1, 10, anneal_strategy="step"), ValueError, "'step'"),
        (lambda o: schedule.OneCycleLR(o, [0.1, 0.2], 10), ValueError, "max_lr: 2 values for 1"),
        (lambda o: schedule.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor=1.0"),
        (lambda o: schedule.ReduceLROnPlateau(o, mode="least"), ValueError, "mode='least'"),
        (lambda o: schedule.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode='x'"),
        (lambda o: schedule.ReduceLROnPlateau(o, min_lr=[0, 0]), ValueError, "min_lr: 2 values for 1"),
        (lambda o: schedule.StepLR(o, 2).step(3), NotImplementedError, r"step\(epoch=3\)"),
        (lambda o: schedule.ReduceLROnPlateau(o).step(1.0, 3), NotImplementedError, r"step\(epoch=3\)"),
        (lambda o: schedule.CosineAnnealingWarmRestarts(o, 2).step(-1), ValueError, "epoch=-1"),
        (lambda o: schedule.StepLR(o, 2).load_state_dict({"gamma": 1}), ValueError, "lacks .*step_size"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make(optimizer_with(0.1))


def test_cycling_a_momentum_that_is_not_there_is_refused():
    optimizer = optim.Adagrad([Tensor(np.ones(1), requires_grad=True)])
    with pytest.raises(ValueError, match="Adagrad has no momentum"):
        schedule.OneCycleLR(optimizer, 0.1, 10)


def test_a_group_added_later_is_reported():
    optimizer = optimizer_with(0.1)
    scheduler = schedule.LambdaLR(optimizer, lambda e: 1.0)
    optimizer.add_param_group({"params": [Tensor(np.ones(1), requires_grad=True)]})
    optimizer.step()
    with pytest.raises(ValueError, match="made for 1 parameter groups, now there are 2"):
        scheduler.step()


@pytest.mark.parametrize("name", ["MultiplicativeLR", "LambdaLR", "CyclicLR"])
def test_a_callable_object_is_part_of_the_state_and_a_function_is_not(name):
    class Scale:
        def __init__(self, q):
            self.q = q

        def __call__(self, x):
            return self.q**x

    def make(function):
        o = optimizer_with(0.2)
        if name == "CyclicLR":
            return schedule.CyclicLR(o, 0.1, 0.3, 4, scale_fn=function)
        return getattr(schedule, name)(o, function)

    def next_rates(saved, loaded):
        loaded.load_state_dict(copy.deepcopy(saved.state_dict()))
        for scheduler in (saved, loaded):
            scheduler.optimizer.step()
            scheduler.step()
        return saved.get_last_lr(), loaded.get_last_lr()

    same = next_rates(make(Scale(0.5)), make(Scale(0.9)))
    assert same[0] == same[1]
    different = next_rates(make(lambda x: 0.5), make(lambda x: 0.25))
    assert different[0] != different[1]


def test_a_sequence_may_contain_a_chain():
    o = optimizer_with(1.0)
    warm = schedule.ChainedScheduler([schedule.ConstantLR(o, 0.5, 2), schedule.ExponentialLR(o, 0.5)])
    late = schedule.ChainedScheduler([schedule.ConstantLR(o, 0.1, 2), schedule.ExponentialLR(o, 0.1)], o)
    found = rates(schedule.SequentialLR(o, [warm, late], [3]), 6)
    np.testing.assert_allclose(found, [0.5, 0.25, 0.25, 0.1, 0.01, 0.01])


def test_a_sequence_may_begin_warm_restarts_late():
    o = optimizer_with(1.0)
    late = schedule.CosineAnnealingWarmRestarts(o, 2)
    found = rates(schedule.SequentialLR(o, [schedule.ConstantLR(o, 0.25, 9), late], [3]), 7)
    np.testing.assert_allclose(found, [0.25, 0.25, 0.25, 1, 0.5, 1, 0.5])


def test_a_cycle_goes_on_from_an_epoch():
    def cycle(o, **options):
        return schedule.CyclicLR(o, 0.1, 0.7, 3, **options)

    whole, o = rates(cycle(optimizer_with(0.3)), 12), optimizer_with(0.3)
    o.param_groups[0]["initial_lr"] = 0.3
    np.testing.assert_allclose(rates(cycle(o, last_epoch=4), 7)[1:], whole[6:])


def test_bad_compositions_and_cycles_are_refused():
    o, other = optimizer_with(0.1), optimizer_with(0.1)
    one = schedule.ExponentialLR(o, 0.5)
    plateau = schedule.ReduceLROnPlateau(o)
    for make, error, message in [
        (lambda: schedule.ChainedScheduler([]), ValueError, "schedulers is empty"),
        (lambda: schedule.ChainedScheduler([one, 3]), TypeError, r"schedulers\[1\] must be .* got int"),
        (lambda: schedule.SequentialLR(o, [one, plateau], [2]), TypeError, "got ReduceLROnPlateau"),
        (lambda: schedule.ChainedScheduler([one], other), ValueError, r"schedulers\[0\] belongs to another"),
        (lambda: schedule.SequentialLR(o, [one], [2]), ValueError, r"milestones=\[2\]: must be 0 epochs"),
        (lambda: schedule.SequentialLR(o, [one] * 3, [4, 2]), ValueError, "must be 2 epochs in rising order"),
        (lambda: schedule.ChainedScheduler([one]).step(3), NotImplementedError, "epoch=3"),
        (lambda: schedule.SequentialLR(o, [one], []).step(3), NotImplementedError, "epoch=3"),
        (
            lambda: schedule.SequentialLR(o, [one], []).load_state_dict({"_schedulers": []}),
            ValueError,
            "0 schedulers were saved, here are 1",
        ),
        (lambda: schedule.ConstantLR(o, 0), ValueError, "factor=0: must be greater than 0 and at most 1"),
        (lambda: schedule.PolynomialLR(o, 0), ValueError, "total_iters=0"),
        (lambda: schedule.CyclicLR(o, 0.1, 1, mode="square"), ValueError, "mode='square': must be one of"),
        (lambda: schedule.CyclicLR(o, 0.1, 1, scale_mode="epochs"), ValueError, "scale_mode='epochs'"),
        (lambda: schedule.CyclicLR(o, 0.1, 1, 0), ValueError, "step_size_up=0: must be positive"),
        (lambda: schedule.CyclicLR(o, 0.1, 1, 1, 0), ValueError, "step_size_down=0: must be positive"),
        (lambda: schedule.CyclicLR(o, [0.1, 0.2], 1), ValueError, "base_lr: 2 values for 1 parameter groups"),
        (
            lambda: schedule.CyclicLR(optim.Adagrad([Tensor(np.ones(1))]), 0.1, 1),
            ValueError,
            "cycle_momentum=True: Adagrad has no momentum",
        ),
    ]:
        with pytest.raises(error, match=message):
            make()
