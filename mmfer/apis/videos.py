"""Read the frames of a video one by one."""

import math
import os
import os.path as osp
from typing import Any, Iterator, Optional, Union

import cv2
import numpy as np

from mmfer.datasets.images import UnreadableImageError
from mmfer.utils.checks import exclusive, in_range, positive_int

from .images import Frame
from .tracking import FRAME_RATE

VIDEO_EXTENSIONS = (
    '.mp4',
    '.m4v',
    '.mov',
    '.avi',
    '.mkv',
    '.webm',
    '.mpg',
    '.mpeg',
    '.wmv',
    '.flv',
    '.3gp',
    '.mts',
    '.m2ts',
)
# Headers state the number of frames by the length of the video, so it may be a little
# wrong. A video ends early if more frames than this share and this number are missing.
TOLERANCE = 0.01
SOME = 2


class UnreadableVideoError(OSError):
    """Error: a video does not exist, or none of its frames can be read."""


class Video:
    """Frames of a video file, in order; only one of them is in memory.

    Iterate over it once::

        video = Video('film.mp4', fps=5)
        for frame in video:
            print(frame.number, frame.time, frame.image.shape)
        print(video.problem)

    Args:
        path (str): File that OpenCV can read.
        every (int): Give only each such frame: 0, every, 2 * every, ... Defaults to 1.
        fps (float, optional): Give only so many frames per second, those whose time is
            at or first after 0, 1 / fps, 2 / fps, ... Defaults to all.

    Attributes:
        path (str): See above.
        stated (int, optional): Number of frames by the header.
        rate (float, optional): Frames per second by the header.
        count (int): Number of frames that were read so far, also of those that were
            not given.
        time (float): Time of the last of them, in seconds.

    Raises:
        UnreadableVideoError: There is no such file, or OpenCV cannot read it.
        ValueError: ``every`` or ``fps`` is invalid, or both are given.
    """

    def __init__(
        self, path: Union[str, os.PathLike], every: int = 1, fps: Optional[float] = None
    ):
        self.path = osp.expanduser(os.fspath(path))
        self.every = positive_int('Video', 'every', every)
        self.fps = in_range('Video', 'fps', fps, 0, open_low=True, optional=True)
        exclusive('Video', every=None if every == 1 else every, fps=fps)
        if not osp.isfile(self.path):
            what = (
                'this is no file' if osp.exists(self.path) else 'there is no such file'
            )
            raise UnreadableVideoError(f'{self.path}: {what}.')
        # The decoder prints a line about each damaged part; `problem` sums them up.
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        self.capture = cv2.VideoCapture(self.path)
        if not self.capture.isOpened():
            raise UnreadableVideoError(
                f'{self.path}: OpenCV {cv2.__version__} cannot read this as a video. '
                'It is empty, damaged (an MP4 without its end has no index), or of an '
                'unknown format. Copy it again, or convert it, for example to MP4.'
            )
        stated = self._property(cv2.CAP_PROP_FRAME_COUNT)
        self.stated: Optional[int] = None if stated is None else round(stated)
        self.rate = self._property(cv2.CAP_PROP_FPS)
        self.count = 0
        self.time = 0.0
        # Time of the first frame in the file, and time from which one is wanted.
        self._start = self._next = 0.0

    def _property(self, name: int) -> Optional[float]:
        """Return a positive number of the header; None if it is not known."""
        value = self.capture.get(name)
        return value if math.isfinite(value) and value > 0 else None

    @property
    def expected(self) -> Optional[int]:
        """Number of frames that will be given, by the header; None if not known."""
        if self.stated is None or self.fps is None or self.rate is None:
            return None if self.stated is None else -(-self.stated // self.every)
        return min(self.stated, math.ceil(self.stated / self.rate * self.fps))

    @property
    def problem(self) -> Optional[str]:
        """What is wrong with a video that was read to its end; None if nothing is."""
        if not self.count:
            return f'{self.path}: this video has no frame that can be read.'
        missing = (self.stated or 0) - self.count
        if missing > max(SOME, TOLERANCE * (self.stated or 0)):
            return (
                f'{self.path}: this video ends early, after {self.count} of the '
                f'{self.stated} frames that its header states (at '
                f'{format_time(self.time)}). It is cut off or damaged there.'
            )
        return None

    def __iter__(self) -> Iterator[Frame]:
        try:
            while self._grab():
                number = self.count - 1
                if not self._is_wanted(number):
                    continue
                image = self._decode()
                if image is None:
                    self.count -= 1
                    break
                yield Frame(image, number, round(self.time, 6), self.path)
        finally:
            self.capture.release()

    def _grab(self) -> bool:
        """Go to the next frame; return False at the end."""
        try:
            if not self.capture.grab():
                return False
        except cv2.error:
            return False
        time = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if not self.count:
            self._start = time if math.isfinite(time) else 0.0
        elif math.isfinite(time) and time - self._start > self.time:
            self.time = time - self._start
        else:
            # Some formats have no times, or wrong ones.
            self.time += 1 / (self.rate or FRAME_RATE)
        self.count += 1
        return True

    def _is_wanted(self, number: int) -> bool:
        """Return whether the current frame is to be given."""
        if self.fps is None:
            return number % self.every == 0
        # Times are rounded to microseconds, and must not fall below their slot.
        if self.time < self._next - 1e-5:
            return False
        self._next = (math.floor(self.time * self.fps + 1e-5) + 1) / self.fps
        return True

    def _decode(self) -> Optional[np.ndarray]:
        """Return the current frame, uint8 (H, W, 3) BGR; None if it is damaged."""
        try:
            good, image = self.capture.retrieve()
        except cv2.error:
            return None
        return image if good and image is not None and image.size else None


def is_video(path: Union[str, os.PathLike]) -> bool:
    """Return whether the name of a file is one of a video."""
    return osp.splitext(os.fspath(path))[1].lower() in VIDEO_EXTENSIONS


def refuse_video(inputs: Any) -> None:
    """Say how the frames of a video are given, where a path would be an image.

    Args:
        inputs (Any): Inputs of ``FERInferencer``.

    Raises:
        UnreadableImageError: The inputs are the path of a video.
    """
    if isinstance(inputs, (str, os.PathLike)) and is_video(os.fsdecode(inputs)):
        if osp.isfile(osp.expanduser(os.fspath(inputs))):
            raise UnreadableImageError(
                f'{os.fsdecode(inputs)}: this is a video, not an image. Give its '
                'frames: fer.stream(Video(path), detect_faces=True, track=True), with '
                'Video of mmfer.apis. On the command line, it is mmfer predict PATH.'
            )


def format_time(seconds: float) -> str:
    """Return a time in a video as ``hours:minutes:seconds.milliseconds``."""
    whole = round(1000 * seconds)
    minutes, rest = divmod(whole, 60_000)
    return f'{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}'
