"""GAAVE (AAAI'23) as a component: from a training set to label decisions."""

from typing import Any, Callable, Dict, Optional, Tuple

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmfer.datasets import FERDataset
from mmfer.engine.stages import Stages
from mmfer.registry import TASK_UTILS
from mmfer.utils.config import merge_options
from mmfer.utils.presets import with_preset
from mmfer.utils.signals import DeferredSignals, Interrupted

from .algorithm import decide_labels
from .label_decisions import LabelDecisions
from .messages import CleaningLog
from .models import SubsetModels
from .options import GAAVEOptions
from .presets import PRESETS
from .suspects import read_suspects


@TASK_UTILS.register_module()
class GAAVE:
    """Geometry aware adversarial vulnerability estimation.

    1. The classes are split into head and tail, and each subset gets the other
       one as an extra class.
    2. A base model is trained on each subset, and its samples are attacked.
       Samples whose prediction changes early in the attack are candidates.
    3. Annotators are trained on the other samples, and relabel the candidates.
       Candidates on which the annotators do not agree are dropped.

    GAAVE needs no noise rate and no clean label.

    Args:
        preset (str): ``'default'`` or ``'paper'``, the letter of the paper. It
            sets those of the options that are not given, see ``PRESETS``.
            Defaults to ``'default'``.
        **options: See :class:`GAAVEOptions`.
    """

    def __init__(self, preset: str = 'default', **options: Any):
        chosen = with_preset(type(self), PRESETS, preset, options, none_is_given=True)
        self.options = GAAVEOptions(**chosen)
        self.preset = preset

    @property
    def base(self) -> Optional[Dict[str, Any]]:
        """Settings in which base models differ from the run."""
        return self.options.base

    def __call__(
        self,
        cfg: Config,
        dataset: FERDataset,
        pipeline: Callable,
        root: str,
        logger: MMLogger,
    ) -> Tuple[LabelDecisions, dict]:
        """Decide on the labels of a training set, without changing the set.

        Args:
            cfg (Config): Config of the run: backbone, schedule, batch sizes.
            dataset (FERDataset): The training set.
            pipeline (Callable): Pipeline of the validation set, which gives
                unaugmented images.
            root (str): Folder of the stages, see :class:`Stages`.
            logger (MMLogger): Logger that reports the progress.

        Returns:
            tuple[LabelDecisions, dict]: The decisions, and a record that can
            be written as JSON. It has the preset, and the classes, the histogram
            of k, the threshold and the base model of each subset.
        """
        cfg = Config(merge_options(cfg.to_dict(), self.base))
        self._check(cfg, dataset)
        log = CleaningLog(logger, dataset.CLASSES)
        suspects = read_suspects(self.options.scores, dataset)
        if suspects is not None:
            log.suspects(str(self.options.scores), len(suspects), len(dataset))
        with DeferredSignals():
            try:
                models = SubsetModels(
                    self.options, cfg, dataset, pipeline, Stages(root), log, suspects
                )
                decisions, record = decide_labels(models, self.options, log)
                return decisions, dict(preset=self.preset, **record)
            except Interrupted as error:
                logger.warning(
                    f'{error.name}: the cleaning ends. Start it again with the same '
                    f'command; finished stages and checkpoints are in {root}.'
                )
                error.reported = True
                raise

    def _check(self, cfg: Config, dataset: FERDataset) -> None:
        if dataset.label_decisions is not None:
            raise ValueError(
                'GAAVE: this data set has been cleaned already (decisions= '
                'or a GAAVEHook). Clean it once, from the labels as given.'
            )
        if not cfg.train_cfg.get('by_epoch', True):
            raise ValueError(
                'GAAVE: base models train by epochs: set train_cfg.by_epoch=True.'
            )
        if getattr(dataset, 'soft_labels', False):
            raise ValueError(
                'GAAVE: the data set has soft labels. GAAVE decides only on '
                'single labels: remove soft_labels.'
            )
        if self.options.updates and 'lr' not in cfg.optim_wrapper.optimizer:
            raise ValueError(
                'GAAVE: updates need the learning rate of the optimizer, and '
                'the config has none: set optim_wrapper.optimizer.lr.'
            )
