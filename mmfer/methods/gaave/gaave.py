"""GAAVE (AAAI'23): from a training set to what becomes of its labels."""

from typing import Callable, List, Optional, Tuple

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmfer.datasets import FERDataset
from mmfer.engine.stages import Stages
from mmfer.registry import TASK_UTILS
from mmfer.utils.config import merge_options

from .cleaning import Cleaning
from .label_decisions import LabelDecisions
from .splitting import CUTS


@TASK_UTILS.register_module()
class GAAVE:
    """Geometry aware adversarial vulnerability estimation.

    The classes are split into head and tail, each subset gets the other one
    as one more class, and a base model is trained on each. Samples of which
    a small attack changes the prediction early are candidates; annotators
    trained on the others relabel them, or have them dropped where they do
    not agree. No noise rate and no clean label is needed.

    Args:
        split (bool): Dataset Splitting and Subset Refactoring. False: one
            subset with all classes (Table 3). Defaults to True.
        cut, head, min_imbalance: See :func:`split_head_tail`.
        attack (dict): Defaults to ``PGD``: epsilon 1/255 in eight steps.
        recross (bool): See :func:`attack_steps`. Defaults to False.
        tau (int | dict, optional): Fixed threshold, of both subsets or
            ``dict(head=..., tail=...)``; that of the head is that of a set
            that is not split. None: found, see :func:`find_threshold`.
        min_separation (float): See :func:`find_threshold`.
        fit (str): ``'peak'``: base models and annotators have the weights of
            the epoch with the best accuracy on a held-out part of the given
            labels. ``'full'``: those of the last epoch of the whole schedule
            ("as closely as possible"). Defaults to ``'peak'``.
        held_out (float): That part's share of each class. Defaults to 0.1.
        patience (int, optional): Epochs after the best one. Defaults to
            None: it goes with the schedule, and none is cut off before the
            learning rate has fallen, see
            :class:`~mmfer.engine.hooks.best_epoch.BestEpochHook`.
        annotate (bool): Relabel candidates. False: drop them (Table 3
            without SA). Defaults to True.
        relabel (bool): Give candidates the label of the annotators. False:
            drop those whose label they do not confirm; the suggestion stays
            in the table. Defaults to True.
        updates (int): T', epochs in which base models go on learning while
            they are attacked, at a hundredth of the initial learning rate;
            each ends with a scoring pass, and k is the mean. Defaults to 0:
            one pass over the model as it is.
        base (dict, optional): Settings of base models and annotators where
            they differ from those of the training, as in a config that
            inherits from it: ``dict(train_cfg=dict(max_epochs=8))``. A short
            schedule with augmentation memorises less. Of the data set only
            the pipeline can differ.
        seed (int, optional): Of models and draws; that of the training by
            default.
    """

    def __init__(
        self,
        split: bool = True,
        cut: str = 'balanced',
        head: Optional[List[int]] = None,
        min_imbalance: float = 1.5,
        attack: Optional[dict] = None,
        recross: bool = False,
        tau=None,
        min_separation: float = 0.75,
        fit: str = 'peak',
        held_out: float = 0.1,
        patience: Optional[int] = None,
        annotate: bool = True,
        relabel: bool = True,
        updates: int = 0,
        base: Optional[dict] = None,
        seed: Optional[int] = None,
    ):
        if fit not in ('peak', 'full'):
            raise ValueError(f"fit must be 'peak' or 'full', got {fit!r}")
        for name, value in (('held_out', held_out), ('min_separation', min_separation)):
            if not 0 < value < 1:
                raise ValueError(
                    f'{name} is a share and must lie in (0, 1), got {value}'
                )
        if cut not in CUTS:
            raise ValueError(f'cut must be one of {", ".join(CUTS)}, got {cut!r}')
        if patience is not None and patience < 1:
            raise ValueError(f'patience must be at least 1, got {patience}')
        if updates < 0:
            raise ValueError(f'updates must be at least 0, got {updates}')
        self.split = split
        self.cut = cut
        self.head = head
        self.min_imbalance = min_imbalance
        self.attack_cfg = dict(dict(type='PGD'), **(attack or {}))
        self.attack = TASK_UTILS.build(self.attack_cfg)
        self.recross = recross
        self.tau = dict(head=None, tail=None)
        given = tau if isinstance(tau, dict) else dict(head=tau, tail=tau)
        for name, value in given.items():
            if name not in self.tau or not (
                value in (None, -1) or 0 <= value <= self.attack.steps
            ):
                raise ValueError(
                    f'tau={tau}: give a number in [0, {self.attack.steps}], '
                    'or -1 for no candidates, or one for each of head and '
                    'tail, or None.'
                )
            self.tau[name] = value
        self.min_separation = min_separation
        self.fit = fit
        self.held_out = held_out
        self.patience = patience
        self.annotate = annotate
        self.relabel = relabel
        data = (base or {}).get('train_dataloader', {}).get('dataset', {})
        if set(data) - {'pipeline'}:
            raise ValueError(
                f'GAAVE: base={base} is to change how models are trained, not '
                'on which samples: of train_dataloader.dataset only pipeline '
                'can be given.'
            )
        self.updates = updates
        self.base = base
        self.seed = seed

    def __call__(
        self,
        cfg: Config,
        dataset: FERDataset,
        pipeline: Callable,
        root: str,
        logger: MMLogger,
    ) -> Tuple[LabelDecisions, dict]:
        """Judge the labels of a training set; it is left as it is.

        Args:
            cfg (Config): Training config: backbone, schedule, batch sizes.
            dataset (FERDataset): The training set.
            pipeline (Callable): Of the validation set: unaugmented images.
            root (str): Folder of the stages, see :class:`Stages`.
            logger (MMLogger): Told what happens.

        Returns:
            tuple[LabelDecisions, dict]: And a record of how it came about, to be
            written as JSON: of each subset its classes, histogram of k,
            threshold and base model.
        """
        if dataset.label_decisions is not None:
            raise ValueError(
                'GAAVE: this data set has been cleaned already (decisions= '
                'or a GAAVEHook); clean it once, from the labels as given.'
            )
        cfg = Config(merge_options(cfg.to_dict(), self.base))
        if not cfg.train_cfg.get('by_epoch', True):
            raise ValueError(
                'GAAVE: base models are trained by epoch: set train_cfg.by_epoch=True.'
            )
        if getattr(dataset, 'soft_labels', False):
            raise ValueError(
                'GAAVE: the data set trains on soft labels, which it cannot '
                'judge or change: leave soft_labels out.'
            )
        if self.updates and 'lr' not in cfg.optim_wrapper.optimizer:
            raise ValueError(
                'GAAVE: updates lower the learning rate of the optimizer; '
                'write it into the config, optim_wrapper.optimizer.lr.'
            )
        return Cleaning(self, cfg, dataset, pipeline, Stages(root), logger).run()
