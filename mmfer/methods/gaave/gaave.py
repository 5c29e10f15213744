"""GAAVE (AAAI'23): from a training set to decisions on its labels."""

from typing import Any, Callable, Dict, Optional, Tuple

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmfer.datasets import FERDataset
from mmfer.engine.stages import Stages
from mmfer.registry import TASK_UTILS
from mmfer.utils.config import merge_options

from .algorithm import decide_labels
from .label_decisions import LabelDecisions
from .messages import CleaningLog
from .models import SubsetModels
from .options import GAAVEOptions


@TASK_UTILS.register_module()
class GAAVE:
    """Geometry aware adversarial vulnerability estimation.

    The classes are split into head and tail, and each subset gets the other
    one as one more class. A base model is trained on each subset, and every
    sample is attacked. Samples whose prediction a small attack changes early
    are candidates. Annotators trained on the other samples relabel them;
    candidates on which the annotators do not agree are dropped. No noise rate
    and no clean label is needed.

    Args:
        **options: See :class:`GAAVEOptions`.
    """

    def __init__(self, **options: Any):
        self.options = GAAVEOptions(**options)

    @property
    def base(self) -> Optional[Dict[str, Any]]:
        """Settings in which base models differ from the training."""
        return self.options.base

    def __call__(
        self,
        cfg: Config,
        dataset: FERDataset,
        pipeline: Callable,
        root: str,
        logger: MMLogger,
    ) -> Tuple[LabelDecisions, dict]:
        """Decide on the labels of a training set, which stays as it is.

        Args:
            cfg (Config): Training config: backbone, schedule, batch sizes.
            dataset (FERDataset): The training set.
            pipeline (Callable): Pipeline of the validation set, which gives
                unaugmented images.
            root (str): Folder of the stages, see :class:`Stages`.
            logger (MMLogger): Logger that reports the progress.

        Returns:
            tuple[LabelDecisions, dict]: The decisions, and a record of how
            they came about, to be written as JSON: of each subset its classes,
            histogram of k, threshold and base model.
        """
        cfg = Config(merge_options(cfg.to_dict(), self.base))
        self._check(cfg, dataset)
        log = CleaningLog(logger, dataset.CLASSES)
        models = SubsetModels(self.options, cfg, dataset, pipeline, Stages(root), log)
        return decide_labels(models, self.options, log)

    def _check(self, cfg: Config, dataset: FERDataset) -> None:
        if dataset.label_decisions is not None:
            raise ValueError(
                'GAAVE: this data set has been cleaned already (decisions= '
                'or a GAAVEHook). Clean it once, from the labels as given.'
            )
        if not cfg.train_cfg.get('by_epoch', True):
            raise ValueError(
                'GAAVE: base models are trained by epoch: set train_cfg.by_epoch=True.'
            )
        if getattr(dataset, 'soft_labels', False):
            raise ValueError(
                'GAAVE: the data set trains on soft labels, on which GAAVE cannot '
                'decide and which it cannot change: remove soft_labels.'
            )
        if self.options.updates and 'lr' not in cfg.optim_wrapper.optimizer:
            raise ValueError(
                'GAAVE: updates lower the learning rate of the optimizer: '
                'write it into the config, optim_wrapper.optimizer.lr.'
            )
