"""Class probabilities of a training set by the scan, for other methods."""

from dataclasses import asdict
from functools import cached_property
from typing import Any, Dict, Optional

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets import FERDataset
from mmfer.registry import TASK_UTILS
from mmfer.utils.checks import instance, whole_number
from mmfer.utils.random import random_state_kept

from .duplicates import Thumbnails
from .encoders import find_encoder
from .frozen_pass import run_frozen_pass
from .scoring import ScoreOptions

# Version of all that turns features into probabilities: duplicates, ridges, kernel
# features, head, stack. Raise it when they give other numbers, so that results which a
# caller has stored are computed anew.
VERSION = 1
# Options that decide about flags only, not about probabilities.
FLAG_OPTIONS = ('keep_share', 'careful')


@TASK_UTILS.register_module()
class ScanEvidence:
    """Out-of-sample class probabilities of a training set from frozen features.

    They are those of ``mmfer scan --head``: an encoder that is not trained, ridges that
    leave an image and its duplicates out, a small network, and a stack with a noise
    rate. Only given labels are used. Neither the global random states nor the data set
    change.

    Example::

        evidence = TASK_UTILS.build(dict(type='ScanEvidence'))
        probabilities = evidence(dataset)  # (N, C)

    Args:
        encoder (str, optional): ``'lite0'``, ``'hog'``, a model, a work dir or a
            config, as for ``mmfer scan --encoder``. Defaults to None: ``'lite0'`` if
            the extra ``[pretrained]`` is installed, otherwise ``'hog'``.
        seed (int): Seed of landmarks, folds and head. Defaults to 0.
        head (bool): Train a small network on the features, too; see
            :class:`ScoreOptions`. Defaults to True.
    """

    def __init__(self, encoder: Optional[str] = None, seed: int = 0, head: bool = True):
        self.encoder = instance(self, 'encoder', encoder, str, optional=True)
        self.options = ScoreOptions(
            seed=int(whole_number(self, 'seed', seed, 0)),
            head=bool(instance(self, 'head', head, bool)),
        )

    @property
    def settings(self) -> Dict[str, Any]:
        """Everything that decides the result besides images and labels, for JSON.

        Whoever stores results puts it into their hash.

        Raises:
            ImportError, ValueError: The encoder is not installed, or unknown.
        """
        options = asdict(self.options)
        return dict(
            type=type(self).__name__,
            version=VERSION,
            encoder=dict(name=self._encoder.name, version=self._encoder.version),
            duplicates=Thumbnails.version,
            options={n: v for n, v in options.items() if n not in FLAG_OPTIONS},
        )

    def __call__(self, dataset: FERDataset, name: Optional[str] = None) -> np.ndarray:
        """Return the probability of each class for each sample.

        A sample whose image cannot be read gets the shares of the given labels. So do
        all samples if the readable ones have one class, or are duplicates of one image.

        Args:
            dataset (FERDataset): N samples of C classes.
            name (str, optional): Name of the data set, for messages and the list of
                the cache. Defaults to None: that of its type.

        Returns:
            np.ndarray: float64 (N, C), in the order of ``dataset.sample_ids``.

        Raises:
            ImportError, ValueError: The encoder is not installed, or unknown; or not
                one image can be read.
        """
        dataset.full_init()
        name = name or dataset.name
        labels = dataset.get_gt_labels()
        shares = np.bincount(labels, minlength=dataset.num_classes) / len(labels)
        result = np.tile(shares, (len(labels), 1))
        if len(np.unique(labels)) < 2:
            return result
        with random_state_kept():
            if self._encoder.note:
                print_log(self._encoder.note, 'current')
            frozen = run_frozen_pass(dataset, self._encoder, name)
            valid = frozen.found.valid
            for values in (labels, frozen.duplicates.group):
                if len(np.unique(values[valid])) < 2:
                    return result
            scores = frozen.score(labels, dataset.num_classes, options=self.options)
        print_log(f'{name}: {self._encoder.name} predicts {scores.strength}', 'current')
        result[valid] = scores.probabilities[valid]
        return result

    @cached_property
    def _encoder(self) -> Any:
        """Encoder; making its network draws weights, which are then replaced."""
        with random_state_kept():
            return find_encoder(self.encoder)
