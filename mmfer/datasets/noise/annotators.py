"""Label noise of several annotators."""

import copy
from typing import List, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import ArrayLike

from mmfer.registry import TASK_UTILS

from .checks import check_seed
from .functional import majority_vote
from .generators import LabelNoise


@TASK_UTILS.register_module()
class Annotators(LabelNoise):
    """Label noise of several annotators, each with their own generator.

    The samples of a data set with this noise have one label per annotator,
    ``gt_label_sets``; ``gt_label`` is the label of the first annotator. The
    three annotators of the joint GAN's CIFAR-10 are
    :class:`~mmfer.datasets.noise.BernoulliUniformNoise` with ``official=True``.

    Args:
        generators (Sequence[dict]): Config of each annotator's generator, at
            least two. Generators of one type must have different seeds, or
            different ``preceding_rates``, with which one random generator
            draws their label sets one after the other.
        majority (bool): Whether to merge the label sets into one by majority
            vote, see :func:`~mmfer.datasets.noise.functional.majority_vote`.
            Defaults to False.
        seed (int): Number that is added to the seed of every generator.
            Defaults to 0.

    Raises:
        ValueError: There are fewer than two generators, or two of them would
            make the same draws.
    """

    def __init__(
        self, generators: Sequence[dict], majority: bool = False, seed: int = 0
    ) -> None:
        super().__init__(seed)
        if len(generators) < 2:
            raise ValueError(
                f'Annotators has {len(generators)} generators, but needs at '
                'least two. Add one, or use the single generator as '
                'label_noise.'
            )
        for cfg in generators:
            if 'type' not in cfg:
                raise ValueError(
                    f'Annotators: the generator {dict(cfg)} has no type. Write one, '
                    "as dict(type='SymmetricNoise', rate=0.3)."
                )
        draws: List[Tuple] = [
            (cfg['type'], cfg.get('seed', 0), tuple(cfg.get('preceding_rates', ())))
            for cfg in generators
        ]
        if len(set(draws)) < len(draws):
            raise ValueError(
                'Annotators: two generators have the same type and the same '
                'seed, so they make the same mistakes, as if they were one '
                'annotator. Give each its own seed.'
            )
        self.majority = majority
        self.generators: List[LabelNoise] = [
            TASK_UTILS.build(dict(cfg, seed=check_seed(cfg.get('seed', 0)) + self.seed))
            for cfg in generators
        ]
        self.parameters = dict(
            generators=[copy.deepcopy(dict(cfg)) for cfg in generators],
            majority=bool(majority),
        )

    def take_votes(self, votes: Optional[np.ndarray], dataset: str) -> None:
        """Give the votes of a data set to every annotator's generator."""
        for generator in self.generators:
            generator.take_votes(votes, dataset)

    @property
    def requested_rate(self) -> list:
        """Requested rate of each annotator."""
        return [generator.requested_rate for generator in self.generators]

    def annotate(self, labels: ArrayLike, num_classes: int) -> Optional[np.ndarray]:
        """Return one column per annotator, int64 (N, T); None with ``majority``."""
        return None if self.majority else self.all_labels(labels, num_classes)

    def all_labels(self, labels: ArrayLike, num_classes: int) -> np.ndarray:
        """Return one column per annotator, int64 (N, T), also with ``majority``."""
        return np.stack(
            [generator(labels, num_classes) for generator in self.generators], axis=1
        )

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        sets = self.all_labels(labels, num_classes)
        return majority_vote(sets, num_classes) if self.majority else sets[:, 0]
