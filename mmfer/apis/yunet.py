"""Detect faces with a YuNet file of the user's, by OpenCV."""

import os
import os.path as osp
from contextlib import contextmanager
from typing import Iterator, List, Union

import cv2
import numpy as np

from mmfer.utils.checks import in_range, positive_int

from .faces import Face


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Show no warnings of OpenCV inside the block, such as on how it computes."""
    logging = getattr(cv2.utils, 'logging', None)
    if logging is None:
        yield
        return
    before = logging.getLogLevel()
    # Errors are raised as well, so none is lost.
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


class YuNetDetector:
    """Detect faces, also turned ones, with YuNet in OpenCV (``cv2.FaceDetectorYN``).

    mmfer ships no weights of it. The file ``face_detection_yunet_2023mar.onnx`` of
    OpenCV's model zoo has the form that OpenCV expects.

    Args:
        model (str): Path of the ONNX file.
        score_threshold (float): Smallest score of a face, in [0, 1]. Defaults to 0.9,
            as in OpenCV.
        nms_threshold (float): Of two boxes with a larger intersection over union, the
            one with the lower score is dropped. Defaults to 0.3, as in OpenCV.
        largest (int): Images with a longer side are reduced until it has this many
            pixels, because YuNet finds faces of about 10 to 300 pixels. Defaults to
            640.

    Raises:
        ValueError: The file does not exist, or is not a YuNet model; or an option is
            invalid.
        ImportError: OpenCV is older than 4.5.4.
    """

    # YuNet's boxes are not those of FERPlus, and were not compared with them.
    rise = 0.0

    def __init__(
        self,
        model: Union[str, os.PathLike],
        score_threshold: float = 0.9,
        nms_threshold: float = 0.3,
        largest: int = 640,
    ):
        path = osp.expanduser(os.fspath(model))
        in_range(self, 'score_threshold', score_threshold, 0, 1)
        in_range(self, 'nms_threshold', nms_threshold, 0, 1)
        self.largest = positive_int(self, 'largest', largest)
        if not hasattr(cv2, 'FaceDetectorYN'):
            raise ImportError(
                'YuNet needs OpenCV 4.5.4 or newer; this is OpenCV '
                f'{cv2.__version__}: pip install --upgrade opencv-python'
            )
        if not osp.isfile(path):
            raise ValueError(
                f'{path}: there is no such file. Give the path of a YuNet model in '
                'ONNX, such as face_detection_yunet_2023mar.onnx of OpenCV.'
            )
        try:
            with quiet_opencv():
                self.network = cv2.FaceDetectorYN.create(
                    path, '', (64, 64), score_threshold, nms_threshold
                )
            # A model of another kind fails only here.
            self(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            reason = ' '.join(str(error.err or error).split())
            raise ValueError(
                f'{path}: OpenCV {cv2.__version__} cannot use this file as a YuNet '
                f'model ({reason}). Give an ONNX file with the outputs cls_8, obj_8, '
                'bbox_8, kps_8 and so on, such as face_detection_yunet_2023mar.onnx.'
            ) from error

    def __call__(self, image: np.ndarray) -> List[Face]:
        """Return the faces in an image, from left to right.

        Args:
            image (np.ndarray): uint8, BGR (H, W, 3) or grey (H, W).
        """
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        scale = max(1.0, max(image.shape[:2]) / self.largest)
        if scale > 1:
            # A side of a very long image may be less than a pixel.
            height, width = (max(1, round(side / scale)) for side in image.shape[:2])
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        self.network.setInputSize(image.shape[1::-1])
        _, found = self.network.detect(np.ascontiguousarray(image))
        faces = []
        # Each row has the box (left, top, width, height), five points and the score.
        for left, top, width, height, *_, score in () if found is None else found:
            sides = (left, top, left + width, top + height)
            if np.isfinite(sides).all():
                box = tuple(round(float(scale * side)) for side in sides)
                faces.append(Face(box, float(score)))
        return sorted(faces, key=lambda face: face.box)
