"""What a model with several label sets is told of each image."""

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.heads import stack_labels

VA = 'va'


class LabelSets(NamedTuple):
    """Which label sets there are.

    Attributes:
        entries (tuple[int | str]): In order: the number of classes of a
            discrete set, or ``'va'`` for valence and arousal.
    """

    entries: Tuple[Union[int, str], ...]

    @classmethod
    def of(cls, entries: Sequence[Union[int, str]]) -> 'LabelSets':
        """Check what a config says.

        Raises:
            ValueError: There is no set, or an entry is something else.
        """
        entries = tuple(entries)
        for entry in entries:
            if entry != VA and (not isinstance(entry, int) or entry < 2):
                raise ValueError(
                    f'label_sets={list(entries)!r}: {entry!r} is neither a '
                    "number of classes of at least 2 nor 'va' for valence "
                    'and arousal.'
                )
        if not entries or entries.count(VA) > 1:
            raise ValueError(
                f'label_sets={list(entries)!r}: give at least one set, and '
                "'va' at most once, e.g. [7, 'va']."
            )
        return cls(entries)

    @property
    def dims(self) -> List[int]:
        """Classes or dimensions of each."""
        return [2 if entry == VA else entry for entry in self.entries]

    @property
    def discrete(self) -> List[int]:
        """Positions of the discrete sets."""
        return [i for i, entry in enumerate(self.entries) if entry != VA]

    def read(
        self, data_samples: List[DataSample], device: torch.device
    ) -> Tuple[Tensor, ...]:
        """Labels of a batch.

        Of one discrete set they are ``gt_label``, of several the rows of
        ``gt_label_sets``; valence and arousal are ``gt_va``, NaN where
        missing.

        Returns:
            tuple[Tensor]: Of each set int64 (B, ) or float32 (B, 2).

        Raises:
            ValueError: Samples lack a set, or have other sets.
        """
        number = len(self.discrete)
        # It refuses soft labels, which no set here has a use for.
        classes = (
            stack_labels(data_samples)[:, None]
            if number or 'gt_score' in data_samples[0]
            else None
        )
        if number > 1 or number and 'gt_label_sets' in data_samples[0]:
            rows = [
                np.atleast_1d(get(sample, 'gt_label_sets')) for sample in data_samples
            ]
            wrong = {row.shape for row in rows} - {(number,)}
            if wrong:
                raise ValueError(
                    f'the model has {number} discrete label sets, but there '
                    f'are samples with labels of shape {wrong.pop()}. Give '
                    'as many generators in label_noise=dict('
                    "type='Annotators') of the data set as there are numbers "
                    'of classes in label_sets of the head, or majority=True '
                    'for one.'
                )
            # Checked before they are moved: a device would be waited for.
            given = np.stack(rows)
            sizes = [self.entries[i] for i in self.discrete]
            if (given < 0).any() or (given >= sizes).any():
                raise ValueError(
                    f'label_sets of the head has {sizes} classes, but there '
                    f'are labels up to {given.max(axis=0).tolist()}.'
                )
            classes = torch.from_numpy(given)
        labels, column = [], 0
        for entry in self.entries:
            if entry == VA:
                labels.append(torch.from_numpy(stack_va(data_samples)).to(device))
            else:
                labels.append(classes[:, column].to(device))
                column += 1
        return tuple(labels)

    def complete(self, data_samples: List[DataSample]) -> Optional[np.ndarray]:
        """Rows of the samples that miss nothing, int64; None where none can.

        Found on the host, where the labels are: their number decides whether
        there is a game, and a device would be waited for.
        """
        if VA not in self.entries:
            return None
        return np.flatnonzero(np.isfinite(stack_va(data_samples)).all(axis=1))

    def vectors(self, labels: Sequence[Tensor]) -> List[Tensor]:
        """What decoder and discriminator see of labels.

        Returns:
            list[Tensor]: One-hot vectors (B, C) and values (B, 2), float32.
        """
        return [
            values.float() if entry == VA else F.one_hot(values, entry).float()
            for entry, values in zip(self.entries, labels, strict=True)
        ]


def stack_va(data_samples: List[DataSample]) -> np.ndarray:
    """Valence and arousal of a batch, NaN where missing, float32 (B, 2)."""
    return np.stack(
        [np.asarray(get(sample, 'gt_va'), dtype=np.float32) for sample in data_samples]
    )


def get(sample: DataSample, name: str):
    """A field that the pipeline must have packed.

    Raises:
        ValueError: It is not there.
    """
    if name not in sample:
        raise ValueError(
            f'the model needs {name}, which the samples do not have: end '
            f"the pipeline with dict(type='PackFERInputs', algorithm_keys="
            f"('{name}', )), and use a data set that has it (gt_label_sets: "
            "label_noise=dict(type='Annotators', generators=[...]); gt_va: "
            'SyntheticFaces, AffectNet, or RAFDB with a va_list).'
        )
    return sample.get(name)
