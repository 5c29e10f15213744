"""Label-noise generators, as configs name them.

Each class checks its parameters, owns a random generator, and calls one of
:mod:`mmfer.datasets.noise.functional`.
"""

import copy
import platform
import random
import zlib
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mmfer.registry import TASK_UTILS

from .checks import (
    ClassMapping,
    check_labels,
    check_mapping,
    check_rate,
    check_rates,
    check_seed,
    check_transition,
)
from .functional import (
    asymmetric_noise,
    bernoulli_symmetric_noise,
    bernoulli_uniform_noise,
    class_dependent_noise,
    describe_change,
    official_bernoulli_uniform_noise,
    pair_noise,
    symmetric_noise,
    uniform_noise,
)


class LabelNoise:
    """Base of the label-noise generators, which turn labels into noisy labels.

    All draws come from a random generator that belongs to this object and is
    seeded by ``seed`` and the name of the class. Therefore:

    - Global random states are neither read nor changed.
    - Every call with the same labels gives the same result.
    - Two different classes with the same seed do not share draws.

    One class with one seed but two rates *does* share draws. Most or all of
    the samples that are picked at the smaller rate are also picked at the
    larger rate. If a data set needs several label sets, as for the joint GAN,
    give each set its own seed.

    A subclass implements :meth:`corrupt`, and sets ``self.parameters`` to its
    arguments without the seed, as a dict of plain JSON types. With this dict
    and the seed, the generator can be built again.

    Args:
        seed (int): At least 0. Defaults to 0.

    Raises:
        ValueError: ``seed`` is negative or not an integer.
    """

    parameters: Dict[str, Any] = {}

    def __init__(self, seed: int = 0) -> None:
        self.seed = check_seed(seed)

    @property
    def name(self) -> str:
        """Name of the generator, as given in a config."""
        return type(self).__name__

    @property
    def requested_rate(self) -> Any:
        """Requested rate: one number, or a list with one per class."""
        return self.parameters.get('rate')

    def annotate(self, labels: ArrayLike, num_classes: int) -> Optional[np.ndarray]:
        """Return the label sets of T annotators; None if there is only one.

        Args:
            labels (array-like): (N,) integers in 0..num_classes - 1.
            num_classes (int): Number of classes, at least 2.

        Returns:
            np.ndarray, optional: int64 (N, T).
        """
        return None

    def take_votes(self, votes: Optional[np.ndarray], dataset: str) -> None:
        """Receive the votes of a data set before labels are drawn.

        The base class ignores them.

        Args:
            votes (np.ndarray, optional): Number of annotators who chose each class,
                int (N, C), by ``sample_id``. None if the data set has no votes.
            dataset (str): Name of the data set, for messages.
        """

    def make_rng(self) -> np.random.Generator:
        """Return a new random generator, in the same state at every call."""
        entropy = [self.seed, zlib.crc32(self.name.encode())]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        """Return noisy labels; a subclass implements this.

        Args:
            labels (np.ndarray): Checked labels, int64 (N,).
            num_classes (int): Number of classes, at least 2.

        Returns:
            np.ndarray: int64 (N,), a new array.
        """
        raise NotImplementedError

    def __call__(self, labels: ArrayLike, num_classes: int) -> np.ndarray:
        """Make labels noisy.

        Args:
            labels (array-like): (N,) integers in 0..num_classes - 1. Not
                modified.
            num_classes (int): Number of classes, at least 2.

        Returns:
            np.ndarray: int64, (N,), a new array.

        Raises:
            ValueError: The labels do not fit the number of classes or the
                parameters of the generator.
        """
        return self.corrupt(check_labels(labels, num_classes), num_classes)

    def manifest(self, clean: ArrayLike, noisy: ArrayLike) -> dict:
        """Describe the noise so that it can be reproduced and checked.

        Args:
            clean (array-like): (N,) labels that the generator was given.
            noisy (array-like): (N,) labels that it returned.

        Returns:
            dict: Plain JSON types: ``generator``, ``parameters``, ``seed``,
            ``requested_rate``, the entries of
            :func:`~mmfer.datasets.noise.functional.describe_change`,
            ``numpy_version`` and ``python_version``. Draws are only
            guaranteed to be the same under the same versions; the hashes
            show whether they are.

        Raises:
            ValueError: The two have different shapes.
        """
        before, after = np.asarray(clean), np.asarray(noisy)
        if before.shape != after.shape:
            raise ValueError(
                f'clean labels have shape {before.shape} and noisy ones '
                f'{after.shape}, but a manifest compares them row by row. '
                'Pass the input and the output of one call.'
            )
        return dict(
            generator=self.name,
            parameters=copy.deepcopy(self.parameters),
            seed=self.seed,
            requested_rate=copy.copy(self.requested_rate),
            **describe_change(before, after),
            numpy_version=np.__version__,
            python_version=platform.python_version(),
        )

    def __repr__(self) -> str:
        given = [f'{k}={v!r}' for k, v in self.parameters.items()]
        return f'{self.name}({", ".join([*given, f"seed={self.seed}"])})'


class FunctionNoise(LabelNoise):
    """Base of the generators that call one function of ``functional``."""

    function: Callable[..., np.ndarray]
    """Function that takes labels, number of classes, ``rng`` and ``parameters``."""

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return self.function(
            labels, num_classes, rng=self.make_rng(), **self.parameters
        )


class RateNoise(FunctionNoise):
    """Base of the generators whose only parameter is the rate.

    Args:
        rate (float): In [0, 1).
        seed (int): At least 0. Defaults to 0.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self.parameters = dict(rate=check_rate(rate))


@TASK_UTILS.register_module()
class SymmetricNoise(RateNoise):
    """Label noise: an exact share of labels becomes one of the *other* classes.

    See :func:`~mmfer.datasets.noise.functional.symmetric_noise`.

    Args:
        rate (float): Share of samples in [0, 1).
        seed (int): At least 0. Defaults to 0.
    """

    function = staticmethod(symmetric_noise)


@TASK_UTILS.register_module()
class UniformNoise(RateNoise):
    """Label noise: an exact share of labels is drawn again from *all* classes.

    See :func:`~mmfer.datasets.noise.functional.uniform_noise`.

    Args:
        rate (float): Share of samples in [0, 1).
        seed (int): At least 0. Defaults to 0.
    """

    function = staticmethod(uniform_noise)


@TASK_UTILS.register_module()
class PairNoise(RateNoise):
    """Label noise: an exact share of each class c becomes class (c + 1) % C.

    See :func:`~mmfer.datasets.noise.functional.pair_noise`.

    Args:
        rate (float): Share of each class in [0, 1).
        seed (int): At least 0. Defaults to 0.
    """

    function = staticmethod(pair_noise)


@TASK_UTILS.register_module()
class AsymmetricNoise(FunctionNoise):
    """Label noise: an exact share of each mapped class becomes another class.

    See :func:`~mmfer.datasets.noise.functional.asymmetric_noise`. For
    CIFAR-10 (truck to automobile, bird to airplane, cat to dog, dog to cat,
    deer to horse)::

        dict(type='AsymmetricNoise', rate=0.4,
             mapping={9: 1, 2: 0, 3: 5, 5: 3, 4: 7})

    This mapping is taken from JoCoR's code. That code draws for each sample
    whether it changes; here the share is exact.

    Args:
        rate (float): Share of each mapped class in [0, 1).
        mapping (dict or Sequence[tuple[int, int]]): Target class of each
            source class, as a dict or as pairs. Other classes keep their
            labels.
        seed (int): At least 0. Defaults to 0.
    """

    function = staticmethod(asymmetric_noise)

    def __init__(self, rate: float, mapping: ClassMapping, seed: int = 0) -> None:
        super().__init__(seed)
        # Pairs, because JSON would turn the keys of a dict into strings.
        pairs = sorted(check_mapping(mapping).items())
        self.parameters = dict(rate=check_rate(rate), mapping=[list(p) for p in pairs])


@TASK_UTILS.register_module()
class ClassDependentNoise(FunctionNoise):
    """Label noise: each class has its own exact share of wrong labels.

    See :func:`~mmfer.datasets.noise.functional.class_dependent_noise`. The
    rates found in ReSup's class-dependent RAF-DB list, in RAF-DB's order
    (surprise, fear, disgust, happiness, sadness, anger, neutral)::

        dict(type='ClassDependentNoise',
             rates=[0.1, 0.5, 0.3, 0., 0.4, 0.2, 0.])

    Args:
        rates (Sequence[float]): (C,), the share of each class in [0, 1).
        seed (int): At least 0. Defaults to 0.
        transition (Sequence[Sequence[float]], optional): (C, C), each row
            sums to 1. Row c says to which classes the changed labels of
            class c go. The diagonal is ignored, and the rest of the row is
            scaled to sum 1. Defaults to None: uniformly to the other classes.
    """

    function = staticmethod(class_dependent_noise)

    def __init__(
        self,
        rates: Sequence[float],
        seed: int = 0,
        transition: Optional[Sequence[Sequence[float]]] = None,
    ) -> None:
        super().__init__(seed)
        checked = check_rates(rates)
        if transition is not None:
            check_transition(transition, checked)
            transition = np.asarray(transition, dtype=float).tolist()
        self.parameters = dict(rates=checked, transition=transition)

    @property
    def requested_rate(self) -> List[float]:
        """Requested rate of each class, (C,)."""
        return self.parameters['rates']


@TASK_UTILS.register_module()
class BernoulliSymmetricNoise(RateNoise):
    """Label noise: each sample may get, by chance, one of the *other* classes.

    See :func:`~mmfer.datasets.noise.functional.bernoulli_symmetric_noise`.

    Args:
        rate (float): Probability in [0, 1) that a sample gets another class.
        seed (int): At least 0. Defaults to 0.
    """

    function = staticmethod(bernoulli_symmetric_noise)


@TASK_UTILS.register_module()
class BernoulliUniformNoise(LabelNoise):
    """Label noise: each sample may get, by chance, a class out of *all*.

    See :func:`~mmfer.datasets.noise.functional.bernoulli_uniform_noise`.
    With ``official=True`` the draws are those of the joint GAN's CIFAR-10
    data set (noisyFER code). They come from Python's own generator: for each
    sample in order ``if random() < rate: label = randint(0, C - 1)``, see
    :func:`~mmfer.datasets.noise.functional.official_bernoulli_uniform_noise`.
    The three published label sets are::

        dict(type='BernoulliUniformNoise', official=True, seed=100, rate=.2)
        dict(type='BernoulliUniformNoise', official=True, seed=100, rate=.3,
             preceding_rates=[.2])
        dict(type='BernoulliUniformNoise', official=True, seed=100, rate=.4,
             preceding_rates=[.2, .3])

    This order of draws was derived from the code of the published loader
    (its ``random.uniform(0., 1.)`` draws the same number as ``random()``).
    No published label file exists with which the result could be compared.

    Args:
        rate (float): Probability in [0, 1) that a label is drawn again.
        seed (int): At least 0. Defaults to 0.
        official (bool): Whether to reproduce the draws of the noisyFER code.
            Defaults to False.
        preceding_rates (Sequence[float]): Only with ``official``: rates of
            the label sets that are drawn before this one from the same
            generator. Defaults to none.

    Raises:
        ValueError: A rate or the seed is out of range, or
            ``preceding_rates`` is given without ``official``.
    """

    def __init__(
        self,
        rate: float,
        seed: int = 0,
        official: bool = False,
        preceding_rates: Sequence[float] = (),
    ) -> None:
        super().__init__(seed)
        preceding = [
            check_rate(r, f'preceding_rates[{i}]')
            for i, r in enumerate(preceding_rates)
        ]
        if preceding and not official:
            raise ValueError(
                'preceding_rates is given without official=True, but only the '
                'published procedure draws several label sets from one '
                'generator. Set official=True, or remove preceding_rates and '
                'give each label set its own seed.'
            )
        self.parameters = dict(
            rate=check_rate(rate), official=bool(official), preceding_rates=preceding
        )

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        rate = self.parameters['rate']
        if not self.parameters['official']:
            return bernoulli_uniform_noise(labels, num_classes, rate, self.make_rng())
        rng = random.Random(self.seed)
        for before in self.parameters['preceding_rates']:
            official_bernoulli_uniform_noise(labels, num_classes, before, rng)
        return official_bernoulli_uniform_noise(labels, num_classes, rate, rng)
