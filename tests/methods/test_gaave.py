"""GAAVE: splitting, vulnerability, thresholds and Eq. 5, one by one."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmfer.methods.gaave import attack as attack_module
from mmfer.methods.gaave.annotation import combine_annotators, decide, predict_classes
from mmfer.methods.gaave.attack import PGD, attack_steps, log_odds_against
from mmfer.methods.gaave.splitting import (
    HeadTail,
    draw_of_each_class,
    plain_subset,
    proportional_draw,
    refactor,
    split_head_tail,
)
from mmfer.methods.gaave.thresholds import find_threshold, separation
from mmfer.registry import TASK_UTILS

RAFDB = [1290, 281, 717, 4772, 1982, 705, 2524]
FERPLUS = [10179, 7507, 3545, 3487, 2446, 179, 648, 162]
LONG_TAIL = [int(5000 * 50 ** (-k / 9)) for k in range(10)]


# -- Dataset Splitting --------------------------------------------------------
@pytest.mark.parametrize(
    'counts, heads',
    [(RAFDB, {0, 3, 4, 6}), (FERPLUS, {0, 1, 2, 3, 4}), (LONG_TAIL, set(range(5)))],
)
@pytest.mark.parametrize('cut', ['balanced', 'two_means'])
def test_split_of_known_data_sets(counts, heads, cut):
    split = split_head_tail(counts, cut)
    assert set(split.head.tolist()) == heads
    assert set(split.tail.tolist()) == set(range(len(counts))) - heads
    for classes in split:
        sizes = np.asarray(counts)[classes]
        assert (np.diff(sizes) <= 0).all()


def test_balanced_cut_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = np.sort(rng.integers(1, 1000, rng.integers(2, 12)))[::-1]
        split = split_head_tail(counts, min_imbalance=0)

        def worst(cut, counts=counts):
            head, tail = list(counts[:cut]), list(counts[cut:])
            if sum(tail) > max(head):
                return np.inf
            both = [*head, sum(tail)]
            return max(max(both) / min(both), max(tail) / min(tail))

        best = min(worst(cut) for cut in range(1, len(counts)))
        if np.isfinite(best):
            assert worst(len(split.head)) == best


def test_two_means_cut_is_the_best_partition():
    """Of all partitions, not of the contiguous ones only."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = rng.integers(1, 1000, 7)
        logs = np.log(counts)
        split = split_head_tail(counts, 'two_means', min_imbalance=0)

        def cost(head, logs=logs):
            mask = np.isin(range(7), head)
            return sum(
                ((part - part.mean()) ** 2).sum() for part in (logs[mask], logs[~mask])
            )

        best = min(
            cost(head)
            for size in range(1, 7)
            for head in itertools.combinations(range(7), size)
        )
        assert cost(split.head) == pytest.approx(best)


def test_no_split():
    for counts in ([50, 50, 50], [60, 50, 41], [0, 7, 0], [5]):
        split = split_head_tail(counts)
        assert not len(split.tail)
        assert set(split.head.tolist()) == set(np.flatnonzero(counts))


def test_two_classes_and_empty_classes():
    split = split_head_tail([10, 100])
    assert split.head.tolist() == [1] and split.tail.tolist() == [0]
    split = split_head_tail([10, 0, 100])
    assert split.head.tolist() == [2] and split.tail.tolist() == [0]


def test_given_split():
    split = split_head_tail([50, 60, 0, 50], head=[3, 1])
    assert split.head.tolist() == [1, 3] and split.tail.tolist() == [0]
    for head in ([0, 1, 3], [0, 0], [2], [7], []):
        with pytest.raises(ValueError, match='head'):
            split_head_tail([50, 60, 0, 50], head=head)


# -- Subset Refactoring -------------------------------------------------------
def test_draw_keeps_the_shares():
    rng = np.random.default_rng(0)
    for size in (0, 1, 5, 99, 100, 400):
        labels = rng.choice(4, 400, p=[0.6, 0.3, 0.09, 0.01])
        drawn = proportional_draw(labels, size, seed=1)
        assert len(drawn) == len(set(drawn.tolist())) == size
        assert (np.diff(drawn) > 0).all()
        exact = np.bincount(labels, minlength=4) * size / 400
        got = np.bincount(labels[drawn], minlength=4)
        assert (np.abs(got - exact) < 1).all()
        # Hamilton's method: the fractions that are rounded up are largest.
        up, down = got > exact, got < exact
        if up.any() and down.any():
            assert (exact % 1)[up].min() >= (exact % 1)[down].max()
        assert (drawn == proportional_draw(labels, size, seed=1)).all()
    others = proportional_draw(labels, 99, seed=2)
    assert set(others.tolist()) != set(proportional_draw(labels, 99, seed=1).tolist())


def test_draw_of_each_class_leaves_some():
    labels = np.repeat(np.arange(4), [1, 9, 10, 57])
    drawn = draw_of_each_class(labels, 0.1, seed=0)
    assert np.bincount(labels[drawn], minlength=4).tolist() == [0, 0, 1, 5]
    assert len(set(drawn.tolist())) == 6 and (np.diff(drawn) > 0).all()
    assert (drawn == draw_of_each_class(labels, 0.1, seed=0)).all()
    assert not len(draw_of_each_class(labels[:5], 0.1, seed=0))


def test_refactored_subsets():
    rng = np.random.default_rng(0)
    labels = rng.choice(5, 1000, p=[0.04, 0.4, 0.06, 0.4, 0.1])
    ids = rng.permutation(5000)[:1000]
    split = HeadTail(np.array([3, 1]), np.array([4, 2, 0]))
    head, tail = refactor(ids, labels, split, seed=0)
    of = dict(zip(ids.tolist(), labels.tolist()))

    assert sorted(head.sample_ids.tolist()) == sorted(ids.tolist())
    assert (head.num_classes, tail.num_classes) == (3, 4)
    assert head.has_extra and tail.has_extra
    for subset, classes in ((head, [3, 1]), (tail, [4, 2, 0])):
        assert (np.diff(subset.sample_ids) > 0).all()
        for i, local, native in zip(subset.sample_ids, subset.labels, subset.native):
            assert native == (of[i] in classes)
            assert local == (classes.index(of[i]) if native else len(classes))
    # Every sample is native to exactly one.
    native = np.concatenate([s.sample_ids[s.native] for s in (head, tail)])
    assert sorted(native.tolist()) == sorted(ids.tolist())
    # The extra class of the tail-set is as large as its largest class.
    sizes = np.bincount(tail.labels)
    assert sizes[3] == sizes[:3].max()
    extra = [of[i] for i in tail.sample_ids[~tail.native]]
    share = (labels == 3).sum() / np.isin(labels, [1, 3]).sum()
    assert abs(extra.count(3) - share * len(extra)) < 1
    again = refactor(ids, labels, split, seed=0)[1]
    assert (again.sample_ids == tail.sample_ids).all()


def test_refactoring_what_is_left_of_a_set():
    """After cleaning: classes that lost all samples keep their places."""
    split = HeadTail(np.array([0, 1]), np.array([2, 3]))
    labels = np.array([0, 0, 0, 2])
    head, tail = refactor(np.arange(4), labels, split, seed=0)
    assert head.labels.tolist() == [0, 0, 0, 2] and head.num_classes == 3
    assert tail.num_classes == 3 and sorted(tail.labels.tolist()) == [0, 2]
    head, tail = refactor(np.arange(3), labels[:3], split, seed=0)
    assert head.num_classes == 3 and not len(tail.labels)


def test_plain_subset():
    labels = np.array([4, 1, 4, 0])
    subset = plain_subset(np.array([9, 3, 5, 7]), labels, np.array([4, 0, 1]))
    assert subset.sample_ids.tolist() == [3, 5, 7, 9]
    assert subset.labels.tolist() == [2, 0, 1, 0]
    assert subset.native.all() and not subset.has_extra


# -- vulnerability ------------------------------------------------------------
def make_network(dtype=torch.float64, classes=4):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(144, classes),
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.05, 0.2)
    return network.to(dtype).eval()


def make_images(number, dtype=torch.float64):
    torch.manual_seed(1)
    return torch.randint(0, 256, (number, 1, 12, 12)).to(dtype) / 255


def confident_labels(network, images):
    """The prediction, but for every fifth image another class."""
    with torch.no_grad():
        labels = network(images).argmax(1)
    labels[::5] = (labels[::5] + 1) % 4
    return labels


def reference_steps(network, image, label, attack, recross):
    """Eqs. 2 and 3 for one image, with the cross-entropy, step by step."""
    x0 = image.double()
    x = x0.clone()
    right = []
    for _ in range(attack.steps + 1):
        x.requires_grad_()
        logits = network(x[None])
        right.append(int(logits.argmax()) == int(label))
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, label[None]), x)
        with torch.no_grad():
            x = x + attack.step_size * torch.sign(gradient)
            x = torch.maximum(
                torch.minimum(x, x0 + attack.epsilon), x0 - attack.epsilon
            )
            x = torch.clamp(x, 0, 1)
    if recross:
        return sum(right)
    return right.index(False) if False in right else len(right)


def in_batches(images, labels, size, order=None):
    order = torch.arange(len(labels)) if order is None else order
    for part in order.split(size):
        yield part, images[part], labels[part]


def steps_by_id(ids, counts, probability):
    assert len(set(ids.tolist())) == len(ids)
    return counts[ids.argsort()].tolist()


@pytest.mark.parametrize('recross', [False, True])
@pytest.mark.parametrize(
    'epsilon, step_size', [(0.03, None), (0.2, 0.05), (0.02, 0.02)]
)
def test_steps_equal_a_plain_loop(epsilon, step_size, recross):
    network = make_network()
    images = make_images(60)
    labels = confident_labels(network, images)
    attack = PGD(epsilon, step_size)
    expected = [
        reference_steps(network, image, label, attack, recross)
        for image, label in zip(images, labels)
    ]
    assert len(set(expected)) > 2 and 0 in expected
    got = attack_steps(network, in_batches(images, labels, 7), attack, 16, recross)
    assert steps_by_id(*got) == expected
    scores = network(images).softmax(1)[torch.arange(60), labels]
    assert torch.allclose(
        got.probability[got.sample_ids.argsort()], scores.detach(), rtol=0, atol=1e-6
    )


def test_probabilities_tell_certain_predictions_apart():
    """In float32 they are all 1."""
    logits = torch.tensor([[20.0, 0, 0], [25.0, 0, 0], [30.0, 0, 0]])
    assert (logits.softmax(1)[:, 0] == 1).all()
    images = torch.arange(3.0).view(3, 1, 1, 1) / 3

    def predict(x):
        return logits[(3 * x[:, 0, 0, 0]).round().long()] + 0 * x.sum()

    found = attack_steps(
        predict, in_batches(images, torch.zeros(3).long(), 3), PGD(1e-9), 3
    )
    values = found.probability[found.sample_ids.argsort()].tolist()
    assert values[0] < values[1] < values[2] < 1


def test_steps_depend_on_the_image_alone():
    """Not on the batch size, the order or the neighbours; in float32."""
    network = make_network(torch.float32)
    images = make_images(60, torch.float32)
    labels = confident_labels(network, images)
    attack = PGD(0.03)
    expected = steps_by_id(
        *attack_steps(network, in_batches(images, labels, 60), attack, 16)
    )
    assert len(set(expected)) > 2
    order = torch.randperm(60)
    for read, size in ((1, 16), (25, 16), (60, 1), (60, 7), (60, 100)):
        got = steps_by_id(
            *attack_steps(
                network, in_batches(images, labels, read, order), attack, size
            )
        )
        assert got == expected, (read, size)
    half = steps_by_id(
        *attack_steps(network, in_batches(images[:30], labels[:30], 30), attack, 16)
    )
    assert half == expected[:30]


def test_attack_leaves_the_network_alone():
    network = make_network(torch.float32)
    images = make_images(20, torch.float32)
    labels = confident_labels(network, images)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    original = images.clone()
    attack_steps(network, in_batches(images, labels, 20), PGD(0.1), 8)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(images, original)


def test_passes_are_full_and_few():
    """Images that crossed make room: passes = steps made / batch size."""
    network = make_network()
    images = make_images(100)
    labels = confident_labels(network, images)
    sizes = []

    def predict(x):
        assert 0 <= x.min() and x.max() <= 1
        sizes.append(len(x))
        return network(x)

    attack = PGD(0.03)
    _, counts, _ = attack_steps(predict, in_batches(images, labels, 9), attack, 10)
    needed = counts.clamp_max(attack.steps).add(1).sum().item()
    assert set(sizes) == {10}
    assert needed / 10 <= len(sizes) < needed / 10 + attack.steps + 1
    assert len(sizes) < 100 / 10 * (attack.steps + 1)


def test_few_reads_and_no_needless_gradient(monkeypatch):
    """The host reads after several passes; the last look needs no gradient."""
    network = make_network()
    images = make_images(200)
    labels = confident_labels(network, images)
    attack, events = PGD(0.03), []

    def predict(x):
        events.append('gradient' if x.requires_grad else 'look')
        return network(x)

    read = attack_module._remove_finished

    def counted(*args):
        events.append('read')
        return read(*args)

    monkeypatch.setattr(attack_module, '_remove_finished', counted)
    _, counts, _ = attack_steps(predict, in_batches(images, labels, 200), attack, 10)
    reads = [i for i, event in enumerate(events) if event == 'read']
    between = np.diff([-1, *reads]) - 1
    # While images wait, four passes that compute gradients follow each read.
    while_waiting = between[: len(between) // 2]
    assert set(while_waiting) <= {4, 5} and len(while_waiting) > 4
    # At the end no image waits, and all that is left may leave in any pass.
    assert len(reads) < len(events) / 3
    gradients = counts.clamp_max(attack.steps) + (counts < attack.steps).long()
    looks = (counts >= attack.steps).sum().item()
    assert looks / 10 <= events.count('look') < looks / 10 + 1
    total = gradients.sum().item()
    assert total / 10 <= events.count('gradient') < total / 10 + attack.steps + 1


def test_one_image_in_the_pool_may_fail_late(monkeypatch):
    """Errors are found at the next read, before any result is returned."""
    network = make_network()
    images = make_images(60)
    labels = confident_labels(network, images)
    calls = []

    def breaks(x):
        calls.append(x.requires_grad)
        logits = network(x)
        return logits * torch.nan if len(calls) == 3 else logits

    with pytest.raises(FloatingPointError, match='10 predictions are not finite'):
        attack_steps(breaks, in_batches(images, labels, 60), PGD(0.03), 10)
    assert len(calls) == 4


class BackAndForth:
    """Another attack: jumps over the boundary and back."""

    steps = 4

    def step(self, images, start, gradient):
        return 1 - images


@pytest.mark.parametrize('recross, expected', [(False, [1, 0]), (True, [3, 2])])
def test_predictions_that_return(recross, expected):
    """Another attack, and the literal sum of Eq. 3."""

    def predict(x):
        return torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1)

    images = torch.tensor([0.9, 0.1]).view(2, 1, 1, 1)
    got = attack_steps(
        predict,
        in_batches(images, torch.zeros(2).long(), 2),
        BackAndForth(),
        3,
        recross,
    )
    assert steps_by_id(*got) == expected


def test_nothing_to_attack():
    ids, counts, probability = attack_steps(make_network(), iter(()), PGD(), 4)
    assert not len(ids) and counts.dtype == torch.int64
    assert not len(probability)


def test_log_odds_have_the_direction_of_cross_entropy():
    torch.manual_seed(0)
    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 5, (6,))
    (margin,) = torch.autograd.grad(log_odds_against(logits, labels).sum(), logits)
    loss = F.cross_entropy(logits, labels, reduction='sum')
    (entropy,) = torch.autograd.grad(loss, logits)
    wrong = 1 - logits.softmax(1).gather(1, labels[:, None])
    assert torch.allclose(entropy, wrong * margin)
    per_sample = F.cross_entropy(logits, labels, reduction='none')
    assert torch.allclose(F.softplus(log_odds_against(logits, labels)), per_sample)


def test_certain_predictions_are_attacked():
    """Where the gradient of the cross-entropy is 0 in float32."""
    network = make_network(torch.float32)
    images = make_images(40, torch.float32)
    labels = confident_labels(network, images)

    def certain(x):
        return 1e4 * network(x)

    with torch.no_grad():
        sure = certain(images).softmax(1).max(1).values == 1
    assert sure.all()
    plain, certain_steps = [
        steps_by_id(
            *attack_steps(predict, in_batches(images, labels, 40), PGD(0.03), 40)
        )
        for predict in (network, certain)
    ]
    # Scaled logits have another gradient, but no vanishing one: that of the
    # cross-entropy would leave k at 0 or 9.
    crossed = [sum(k not in (0, 9) for k in steps) for steps in (plain, certain_steps)]
    assert crossed[0] > 5 and abs(crossed[1] - crossed[0]) < 5


def test_not_finite():
    images = make_images(3)

    def broken(x):
        logits = make_network()(x)
        return torch.cat([logits[:1], logits[1:] * torch.nan])

    with pytest.raises(FloatingPointError, match='2 predictions .* sample 1'):
        attack_steps(broken, in_batches(images, torch.zeros(3).long(), 3), PGD(), 3)


@pytest.mark.parametrize(
    'epsilon, step_size, steps',
    [
        (1 / 255, None, 8),
        (4 / 255, 1 / 255, 4),
        (1 / 255, 1 / 255, 1),
        (1 / 255, 1 / 255 / 32, 32),
        (0.1, 0.03, 4),
        (0.1, 0.2, 1),
    ],
)
def test_number_of_steps(epsilon, step_size, steps):
    """METHODS: the paper's figure has four steps and k up to five."""
    attack = TASK_UTILS.build(dict(type='PGD', epsilon=epsilon, step_size=step_size))
    assert attack.steps == steps


@pytest.mark.parametrize(
    'options', [dict(epsilon=0), dict(epsilon=4), dict(step_size=0), dict(steps=0)]
)
def test_wrong_attacks(options):
    with pytest.raises(ValueError, match='PGD'):
        PGD(**options)


# -- thresholds ---------------------------------------------------------------
def test_threshold_is_the_best():
    rng = np.random.default_rng(0)
    for _ in range(30):
        steps = rng.integers(0, 10, 200)
        found = find_threshold(steps, 10, min_separation=0)

        def within(tau, steps=steps):
            parts = steps[steps <= tau], steps[steps > tau]
            return sum(((p - p.mean()) ** 2).sum() for p in parts)

        costs = {tau: within(tau) for tau in range(steps.min(), steps.max())}
        assert within(found.tau) == pytest.approx(min(costs.values()))
        assert found.separation == pytest.approx(
            1 - within(found.tau) / (steps.var() * 200)
        )


def test_two_groups_and_one():
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.binomial(9, 0.1, 300), rng.binomial(9, 0.95, 700)])
    found = find_threshold(two, 10)
    assert 2 <= found.tau <= 5 and found.separation > 0.8
    one = rng.binomial(9, 0.5, 1000)
    assert find_threshold(one, 10).tau == -1
    uniform = np.arange(1000) % 10
    assert find_threshold(uniform, 10).separation == pytest.approx(0.7576, abs=1e-4)


@pytest.mark.parametrize('value', [0, 4, 9])
def test_all_equally_vulnerable(value):
    found = find_threshold(np.full(20, value), 10)
    assert found == (-1, 0)


def test_fixed_threshold():
    steps = np.array([0, 0, 9, 9])
    assert find_threshold(steps, 10, tau=3) == (3, 1)
    assert find_threshold(steps, 10, tau=-1) == (-1, 0)
    assert separation(np.bincount(steps), 0) == 1
    for tau in (9, -2):
        with pytest.raises(ValueError, match='tau'):
            find_threshold(steps, 10, tau=tau)


# -- Eq. 5 --------------------------------------------------------------------
def test_combination_of_annotators():
    split = HeadTail(np.array([3, 0]), np.array([1, 4, 2]))
    head, tail = map(np.array, zip(*itertools.product(range(3), range(4))))
    for p_h, p_t, label in zip(head, tail, combine_annotators(head, tail, split)):
        if p_h != 2 and p_t == 3:
            assert label == [3, 0][p_h]
        elif p_t != 3 and p_h == 2:
            assert label == [1, 4, 2][p_t]
        else:
            assert label == -1


def test_decisions():
    labels = np.array([0, 0, 0, 0, 0])
    candidate = np.array([False, True, True, True, False])
    pseudo = np.array([2, 2, 0, -1, -1])
    assert decide(labels, candidate, pseudo).tolist() == [
        'keep',
        'relabel',
        'keep',
        'drop',
        'keep',
    ]
    assert decide(labels, candidate, pseudo, relabel=False).tolist() == [
        'keep',
        'drop',
        'keep',
        'drop',
        'keep',
    ]


def test_two_models_always_have_an_answer():
    """By hand: Eq. 5, and the likeliest native class where it has none."""
    split = HeadTail(np.array([3, 0]), np.array([2, 1]))
    head = np.array(
        [
            [0.7, 0.2, 0.1],
            [0.1, 0.2, 0.7],
            [0.5, 0.4, 0.1],
            [0.1, 0.3, 0.6],
            [0.35, 0.05, 0.6],
        ]
    )
    tail = np.array(
        [
            [0.1, 0.2, 0.7],
            [0.1, 0.6, 0.3],
            [0.3, 0.6, 0.1],
            [0.2, 0.1, 0.7],
            [0.4, 0.05, 0.55],
        ]
    )
    # Head alone; tail alone; both: tail's .6; neither: head's .3, tail's .4.
    assert predict_classes(head, tail, split).tolist() == [3, 1, 1, 0, 2]
