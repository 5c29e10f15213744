"""Options of GAAVE, checked when they are built."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, Optional, Sequence, Union

from mmfer.registry import TASK_UTILS
from mmfer.utils.checks import choices, in_range, whole_number

from .splitting import CUTS

# Share of the initial learning rate at which base models are updated while
# samples are attacked. The paper gives none, and a schedule that has come to
# its end has no rate left.
UPDATE_RATE = 0.01


@dataclass(frozen=True)
class GAAVEOptions:
    """Options of :class:`GAAVE` and :class:`GAAVEHook`.

    Args:
        split (bool): Do Dataset Splitting and Subset Refactoring. False: one
            subset with all classes (Table 3). Defaults to True.
        cut, head, min_imbalance: See :func:`split_head_tail`.
        attack (dict, optional): Config of the attack. Defaults to ``PGD`` with
            epsilon 1/255 in eight steps.
        recross (bool): See :func:`attack_steps`. Defaults to False.
        tau (float | dict, optional): Fixed threshold, of both subsets or
            ``dict(head=..., tail=...)``; -1 for no candidates. A data set that
            is not split takes the threshold of the head. None: find it, see
            :func:`find_threshold`.
        min_separation (float): See :func:`find_threshold`. Defaults to 0.75.
        fit (str): ``'peak'``: base models and annotators take the weights of
            the epoch with the best accuracy on a held-out part of the given
            labels. ``'full'``: they take the weights of the last epoch of the
            whole schedule ("as closely as possible"). Defaults to ``'peak'``.
        held_out (float): Share of each class that is held out with
            ``fit='peak'``. Defaults to 0.1.
        patience (int, optional): Epochs without a better one before a training
            stops. Defaults to None: it depends on the schedule, and no
            training stops before its learning rate has fallen, see
            :class:`~mmfer.engine.hooks.best_epoch.BestEpochHook`.
        annotate (bool): Relabel candidates. False: drop them (Table 3
            without SA). Defaults to True.
        relabel (bool): Give candidates the label of the annotators. False:
            drop candidates whose label the annotators do not confirm; the
            suggestion stays in the table. Defaults to True.
        updates (int): T', epochs in which base models go on learning while
            they are attacked, at a hundredth of the initial learning rate.
            Each ends with a scoring pass, and k is the mean over the passes.
            Defaults to 0: one pass over the model as it is.
        base (dict, optional): Settings in which base models and annotators
            differ from the training, as in a config that inherits from it:
            ``dict(train_cfg=dict(max_epochs=8))``. A short schedule with
            augmentation memorises less. Of the data set only the pipeline can
            differ.
        seed (int, optional): Seed of models and draws. Defaults to the seed of
            the training.

    Raises:
        ValueError: An option is out of its range.
    """

    split: bool = True
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
    base: Optional[Dict[str, Any]] = None
    seed: Optional[int] = None

    def __post_init__(self) -> None:
        choices('GAAVE', 'fit', self.fit, ('peak', 'full'))
        choices('GAAVE', 'cut', self.cut, CUTS)
        for name in ('held_out', 'min_separation'):
            value = getattr(self, name)
            in_range('GAAVE', name, value, 0, 1, open_low=True, open_high=True)
        whole_number('GAAVE', 'patience', self.patience, 1, optional=True)
        whole_number('GAAVE', 'updates', self.updates, 0)
        self._check_tau()
        data = (self.base or {}).get('train_dataloader', {}).get('dataset', {})
        if set(data) - {'pipeline'}:
            raise ValueError(
                f'GAAVE: base={self.base} may change how models are trained, '
                'but not on which samples: of train_dataloader.dataset only '
                'pipeline can be given.'
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
                    f'[0, {self.max_steps}], and not all samples can be '
                    f'candidates. Give a number in [0, {steps}], -1 for '
                    'no candidates, one of these for each of head and tail as '
                    'dict(head=..., tail=...), or None to find the threshold.'
                )

    @cached_property
    def attack_cfg(self) -> Dict[str, Any]:
        """Whole config of the attack."""
        return dict(dict(type='PGD'), **(self.attack or {}))

    @cached_property
    def pgd(self) -> Any:
        """The attack: :class:`PGD`, or another class with its interface."""
        return TASK_UTILS.build(self.attack_cfg)

    @property
    def max_steps(self) -> int:
        """Largest k of one scoring pass."""
        return self.pgd.steps + 1

    @property
    def passes(self) -> int:
        """Number of scoring passes, over which k is summed."""
        return max(1, self.updates)

    @property
    def taus(self) -> Dict[str, Optional[float]]:
        """Fixed thresholds by subset; None where the threshold is found."""
        if isinstance(self.tau, dict):
            return dict(dict(head=None, tail=None), **self.tau)
        return dict(head=self.tau, tail=self.tau)
