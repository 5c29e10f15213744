"""Choose the face detector of ``FERInferencer``."""

import os
import threading
from typing import Any, Callable, Dict, List, Mapping, Union

import numpy as np

from mmfer.utils.checks import choices

from .faces import Face, FaceDetector
from .yunet import YuNetDetector

# A detector: image, uint8 BGR (H, W, 3) or grey (H, W), to faces from left to right.
Detector = Callable[[np.ndarray], List[Face]]
OWNER = 'FERInferencer'
TYPES: Dict[str, Callable[..., Detector]] = {
    'dlib': FaceDetector,
    'yunet': YuNetDetector,
}


class DetectorPerThread:
    """Detector with one copy for each thread, because its memory is its own.

    Args:
        make (Callable): Makes a detector. It runs when a thread looks for faces for
            the first time.
    """

    def __init__(self, make: Callable[[], Detector]):
        self.make = make
        self.local = threading.local()

    def ready(self) -> Detector:
        """Return the detector of the calling thread.

        Raises:
            ImportError: The package of the detector is not installed.
        """
        if not hasattr(self.local, 'detector'):
            self.local.detector = self.make()
        return self.local.detector

    def __call__(self, image: np.ndarray) -> List[Face]:
        return self.ready()(image)

    @property
    def rise(self) -> float:
        """Distance by which crops are moved up, see :func:`~mmfer.apis.faces.crop`."""
        return rise_of(self.ready())


def rise_of(detector: Any) -> float:
    """Return the rise that a detector states; 0 if it states none."""
    return getattr(detector, 'rise', 0.0)


def choose_detector(given: Union[None, str, Mapping, Detector]) -> Detector:
    """Return the detector that a user has chosen.

    Args:
        given (str | dict | Callable, optional): See :class:`FERInferencer`.

    Raises:
        ValueError: There is no such detector, or its file cannot be used.
        ImportError: The detector needs a newer OpenCV.
        TypeError: ``given`` is none of these, or the detector has no such option.
    """
    if given is None:
        # dlib is imported by the first call that looks for faces, because the other
        # calls do not need it.
        return DetectorPerThread(FaceDetector)
    if callable(given):
        return given
    if isinstance(given, (str, os.PathLike)):
        name = os.fspath(given)
        given = dict(type='dlib') if name == 'dlib' else dict(type='yunet', model=name)
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{OWNER}: detector must be 'dlib', the path of a YuNet file, a dict such "
            "as dict(type='yunet', model=PATH), or a function, got "
            f'{type(given).__name__}'
        )
    options = dict(given)
    kind = choices(OWNER, "detector['type']", options.pop('type', None), TYPES)
    detector = DetectorPerThread(lambda: TYPES[kind](**options))
    detector.ready()
    return detector
