"""Options of a call of ``FERInferencer``, and checks of their values."""

import math
import os
from typing import Any, List, NamedTuple, Optional

import numpy as np

from mmfer.utils.checks import choices, in_range, invalid, is_number, positive_int
from mmfer.utils.text_tables import check_class_names, read_class_names

OWNER = 'FERInferencer'


class CallOptions(NamedTuple):
    """Options of a call, see :meth:`FERInferencer.__call__`.

    Attributes:
        batch_size (int): Number of images in a batch.
        reject_above (float, optional): Largest uncertainty that is accepted.
        detect_faces (bool): Whether to look for faces in each image.
        margin (float): Margin around a detected face, as a share of its box.
        return_datasamples (bool): Whether results are data samples.
        on_error (str, optional): ``'raise'`` or ``'report'``; None: ``'raise'`` for
            one image, else ``'report'`` with a warning.
        track (bool): Whether to follow faces over the images, which are frames.
        smooth (float, optional): Time constant of the running mean of predictions over
            each track, in seconds.
        set_above (float, optional): Smallest probability of the classes in
            ``pred_set``; None: there are no sets.
        warns (bool): Whether a warning counts the images with errors.
    """

    batch_size: int
    reject_above: Optional[float]
    detect_faces: bool
    margin: float
    return_datasamples: bool
    on_error: Optional[str]
    track: bool = False
    smooth: Optional[float] = None
    set_above: Optional[float] = None
    warns: bool = False

    def checked(self, bounded: bool, one_image: bool) -> 'CallOptions':
        """Return the options if all of them are valid.

        Args:
            bounded (bool): Whether uncertainties of the model are one minus
                the largest probability, and so below 1.
            one_image (bool): Whether the call is about a single image.

        Raises:
            ValueError: An option is invalid. The message names it, and what is
                valid.
        """
        choices(OWNER, 'on_error', self.on_error, ('raise', 'report'), optional=True)
        batch_size = positive_int(OWNER, 'batch_size', self.batch_size)
        # With a margin of -0.5 on each side, the crop would be empty.
        if not is_number(self.margin) or self.margin <= -0.5:
            raise invalid(
                OWNER,
                'margin',
                self.margin,
                'a share of the box of a face, such as 0.05',
            )
        if self.reject_above is not None:
            if self.return_datasamples:
                raise ValueError(
                    'reject_above adds an entry to dicts: leave out '
                    'return_datasamples=True'
                )
            above = 1 if bounded else math.inf
            if not is_number(self.reject_above) or not 0 < self.reject_above < above:
                kind = (
                    'one minus the largest probability'
                    if bounded
                    else 'positive numbers'
                )
                raise invalid(
                    OWNER,
                    'reject_above',
                    self.reject_above,
                    f'in (0, {above})',
                    f'Uncertainties of this model are {kind}. '
                    'rejection_threshold(target_error) finds a threshold.',
                    'lie',
                )
        in_range(OWNER, 'smooth', self.smooth, 0, open_low=True, optional=True)
        if self.track and not self.detect_faces:
            raise ValueError('track=True follows detected faces: add detect_faces=True')
        if self.smooth is not None and (not self.track or self.return_datasamples):
            raise ValueError(
                'smooth averages the results of each track: add track=True, and leave '
                'out return_datasamples=True'
            )
        if self.smooth is not None and self.reject_above is not None:
            raise ValueError(
                'smooth and reject_above exclude each other: the thresholds were found '
                'on single images, and do not hold for means over several frames'
            )
        if self.set_above is not None and self.return_datasamples:
            raise ValueError(
                'coverage adds an entry to dicts: leave out return_datasamples=True'
            )
        if self.set_above is not None and self.smooth is not None:
            raise ValueError(
                'smooth and coverage exclude each other: prediction sets were '
                'calibrated on single images, not on means over several frames'
            )
        options = self._replace(batch_size=int(batch_size))
        if self.on_error is None and one_image:
            return options._replace(on_error='raise')
        if self.on_error is None:
            return options._replace(on_error='report', warns=True)
        return options


def read_classes(classes: Any) -> Optional[List[str]]:
    """Return class names from a file or a sequence; None stays None.

    Args:
        classes (str | PathLike | Sequence[str], optional): A file with a name
            on each line, or names in the order of the labels.

    Raises:
        ValueError: A name is empty or occurs twice, or the file cannot be
            read.
        TypeError: The names have no order, or are not text.
    """
    if classes is None:
        return None
    if isinstance(classes, (str, os.PathLike)):
        try:
            return read_class_names(classes)
        except OSError as error:
            raise ValueError(
                f'classes={os.fspath(classes)!r}: there is no such file of '
                f'class names ({error.strerror or error}). Give a file with '
                'a name on each line, or a list of names.'
            ) from error
    if not isinstance(classes, (list, tuple, np.ndarray)):
        raise TypeError(
            'classes must be a list of names in the order of the labels, or '
            f'a file with a name on each line, got {type(classes).__name__}'
        )
    return check_class_names(
        [name.item() if isinstance(name, np.generic) else name for name in classes]
    )
