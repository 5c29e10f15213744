"""Options of GAAVE, and checks of their values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, Optional, Sequence, Union

from mmfer.registry import TASK_UTILS
from mmfer.utils.checks import choices, in_range, instance, whole_number

from .division import DIVISIONS
from .operating_points import POINTS, OperatingPoint
from .splitting import CUTS

CRITERIA = ('posterior', 'steps')

# Learning rate of the updates of base models between scoring passes, as a share
# of the initial rate. The paper gives none, and at the end of a schedule the
# rate is often 0.
UPDATE_RATE = 0.01


@dataclass(frozen=True)
class GAAVEOptions:
    """Options of :class:`GAAVE` and :class:`GAAVEHook`.

    Args:
        split (bool): Use Dataset Splitting and Subset Refactoring. False: one
            subset with all classes (Table 3). Defaults to False.
        criterion (str): How candidates are found. ``'posterior'``: by the
            probability that a label is wrong, see :mod:`~.posterior`; for one subset
            with held-out samples. ``'steps'``: by a threshold on k, Criterion 1 of the
            paper; also if ``tau`` is given, or where a posterior cannot be found.
            Defaults to ``'posterior'``.
        operating_point (str | dict): What ``criterion='posterior'`` aims at:
            ``'balanced'``, ``'strict'``, or a dict with values of
            :class:`~.operating_points.OperatingPoint`, which are those of
            ``'balanced'`` otherwise. Defaults to ``'balanced'``.
        evidence (dict, optional): Config of a further classifier for the posterior,
            such as ``dict(type='ScanEvidence')``. None: base models alone. Defaults
            to None.
        cut, head, min_imbalance: See :func:`split_head_tail`.
        attack (dict, optional): Config of the attack. Defaults to :class:`PGD`
            with epsilon 1/255 in eight steps.
        recross (bool): See :func:`attack_steps`. Defaults to False.
        tau (float | dict, optional): Fixed threshold: a number for both
            subsets, or ``dict(head=..., tail=...)``. -1: no candidates. None:
            find the threshold, see :func:`find_threshold`. A data set that is
            not split uses the threshold of the head. Defaults to None.
        min_separation (float): See :func:`find_threshold`. Defaults to 0.75.
        fit (str): ``'peak'``: base models and annotators take the weights of
            the epoch with the best accuracy on held-out samples, measured
            with given labels. ``'full'``: they take the weights of the last
            epoch of the whole schedule ("as closely as possible"). Defaults
            to ``'peak'``.
        held_out (float): Share of each class that is held out with
            ``fit='peak'``. Defaults to 0.1.
        patience (int, optional): Stop training a model after so many epochs
            without a better one. None: the number depends on the schedule,
            and training does not stop before the learning rate has fallen, see
            :class:`~mmfer.engine.hooks.best_epoch.BestEpochHook`. Defaults to
            None.
        annotate (bool): Train annotators for candidates. False: drop them (Table 3
            without SA). Defaults to True.
        relabel (bool): Give candidates the label of the annotators. False:
            drop candidates whose given label the annotators do not confirm;
            the suggested label stays in the table. With
            ``criterion='posterior'``, annotators give or confirm labels only where
            they expect to be right in the share of cases that the operating point
            asks for; other candidates are dropped. Defaults to True.
        updates (int): T', number of further epochs for which base models are
            trained, at a hundredth of the initial learning rate. A scoring
            pass follows each of them, and k is the mean over these passes. 0:
            one scoring pass, without further training. Defaults to 0.
        divide (str): Samples of each refactored subset that are attacked and
            divided into clean ones and candidates. ``'native'``: those that belong
            to it. ``'all'``: also those of its extra class, as in Algorithm 1. A
            sample that one subset calls clean and the other one noisy is a
            candidate. Annotators are then trained on the clean parts as they are;
            otherwise these are refactored again. Defaults to ``'native'``.
        scores (str, optional): ``sample_scores.csv`` of the training set, as
            ``mmfer scan`` writes it. Base models then learn without the samples that
            this table relabels or drops; they are attacked all the same, and decided
            by their k as all others. So the base models memorise fewer wrong
            labels. Defaults to None.
        base (dict, optional): Settings in which base models and annotators
            differ from the run, as in a config that inherits from its config:
            ``dict(train_cfg=dict(max_epochs=8))``. A short schedule with
            augmentation memorises less. Only the pipeline of the data set may
            differ, nothing else of it. Defaults to None.
        seed (int, optional): Seed of models and draws. None: the seed of the
            run. Defaults to None.

    Raises:
        ValueError: An option is out of range.
    """

    split: bool = False
    criterion: str = 'posterior'
    operating_point: Union[str, Dict[str, Any]] = 'balanced'
    evidence: Optional[Dict[str, Any]] = None
    cut: str = 'balanced'
    head: Optional[Sequence[int]] = None
    min_imbalance: float = 1.5
    attack: Optional[Dict[str, Any]] = None
    recross: bool = False
    tau: Union[None, float, Dict[str, Optional[float]]] = None
    min_separation: float = 0.75
    fit: str = 'peak'
    held_out: float = 0.1
    patience: Optional[int] = None
    annotate: bool = True
    relabel: bool = True
    updates: int = 0
    divide: str = 'native'
    scores: Optional[str] = None
    base: Optional[Dict[str, Any]] = None
    seed: Optional[int] = None

    def __post_init__(self) -> None:
        choices('GAAVE', 'fit', self.fit, ('peak', 'full'))
        choices('GAAVE', 'cut', self.cut, CUTS)
        choices('GAAVE', 'divide', self.divide, DIVISIONS)
        choices('GAAVE', 'criterion', self.criterion, CRITERIA)
        instance(
            'GAAVE',
            'evidence',
            self.evidence,
            dict,
            optional=True,
            hint="Write evidence=dict(type='ScanEvidence'), or None for none.",
        )
        # Checks its values.
        _ = self.point
        for name in ('held_out', 'min_separation'):
            value = getattr(self, name)
            in_range('GAAVE', name, value, 0, 1, open_low=True, open_high=True)
        whole_number('GAAVE', 'patience', self.patience, 1, optional=True)
        whole_number('GAAVE', 'updates', self.updates, 0)
        self._check_tau()
        data = (self.base or {}).get('train_dataloader', {}).get('dataset', {})
        if set(data) - {'pipeline'}:
            raise ValueError(
                f'GAAVE: base={self.base} would change the samples on which '
                'models are trained. In train_dataloader.dataset set only '
                'pipeline.'
            )

    def _check_tau(self) -> None:
        # This also builds the attack, which checks its own options.
        steps = self.pgd.steps
        for side, tau in self.taus.items():
            if side not in ('head', 'tail') or not (
                tau is None or tau == -1 or 0 <= tau <= steps
            ):
                raise ValueError(
                    f'GAAVE: tau={self.tau}, but k lies in '
                    f'[0, {self.max_steps}], and not all samples may be '
                    f'candidates. Give a number in [0, {steps}], -1 for '
                    'no candidates, or None to find the threshold. For '
                    'different values for head and tail give '
                    'dict(head=..., tail=...).'
                )

    @cached_property
    def attack_cfg(self) -> Dict[str, Any]:
        """Whole config of the attack."""
        return dict(dict(type='PGD'), **(self.attack or {}))

    @cached_property
    def pgd(self) -> Any:
        """The attack: :class:`PGD`, or another class with its interface."""
        return TASK_UTILS.build(self.attack_cfg)

    @cached_property
    def point(self) -> OperatingPoint:
        """What a cleaning by the posterior aims at."""
        instance(
            'GAAVE',
            'operating_point',
            self.operating_point,
            (str, dict),
            hint=f'Write one of {", ".join(map(repr, POINTS))}, or a dict such as '
            'dict(wrong_left=0.05).',
        )
        if isinstance(self.operating_point, str):
            choices('GAAVE', 'operating_point', self.operating_point, POINTS)
            return POINTS[self.operating_point]
        known = POINTS['balanced']._asdict()
        unknown = sorted(map(str, set(self.operating_point) - set(known)))
        if unknown:
            raise ValueError(
                f'GAAVE: operating_point has no {", ".join(unknown)}. '
                f'It may have {", ".join(known)}.'
            )
        point = OperatingPoint(**dict(known, **self.operating_point))
        for name, value in point._asdict().items():
            if name != 'wrong_left' or value is not None:
                in_range('GAAVE', f'operating_point.{name}', value, 0, 1)
        return point

    @property
    def wants_posterior(self) -> bool:
        """Candidates are found by a posterior, if enough samples are held out."""
        return (
            self.criterion == 'posterior'
            and self.tau is None
            and not self.split
            and self.fit == 'peak'
        )

    @property
    def max_steps(self) -> int:
        """Largest k of one scoring pass."""
        return self.pgd.steps + 1

    @property
    def passes(self) -> int:
        """Number of scoring passes; k is summed over them."""
        return max(1, self.updates)

    @property
    def taus(self) -> Dict[str, Optional[float]]:
        """Fixed thresholds by subset; None if the threshold is to be found."""
        if isinstance(self.tau, dict):
            return dict(dict(head=None, tail=None), **self.tau)
        return dict(head=self.tau, tail=self.tau)
