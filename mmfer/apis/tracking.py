"""Follow faces over the frames of a video, and smooth what is measured of them.

Everything here is computed from boxes, times and numbers; no image is read.

| name | contents |
|---|---|
| :func:`box_overlaps` | intersection over union of boxes |
| :func:`match_boxes` | pairs of boxes that belong together |
| :class:`Tracker` | from the boxes of each frame to tracks and smoothed boxes |
| :class:`TrackSmoother` | running mean of numbers over each track |
"""

import math
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

# Frames per second of frames without times.
FRAME_RATE = 25.0


def box_overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each pair of boxes, (N, M).

    Args:
        one (np.ndarray): Boxes (left, top, right, bottom), (N, 4).
        other (np.ndarray): Boxes, (M, 4).
    """
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def match_boxes(overlaps: np.ndarray, least: float) -> List[Tuple[int, int]]:
    """Return pairs of boxes, those with the largest overlap first.

    Each box is in one pair at most.

    Args:
        overlaps (np.ndarray): Intersection over union, (N, M).
        least (float): Smallest overlap of a pair.

    Returns:
        list[tuple[int, int]]: Row and column of each pair.
    """
    left = np.where(overlaps >= least, overlaps, -1.0)
    pairs = []
    for _ in range(min(left.shape)):
        row, column = map(int, np.unravel_index(left.argmax(), left.shape))
        if left[row, column] < 0:
            break
        pairs.append((row, column))
        left[row] = left[:, column] = -1
    return pairs


@dataclass
class Track:
    """One face that is followed.

    Attributes:
        number (int): Number of the track, from 1.
        place (np.ndarray): Smoothed centre and size of the box, (x, y, width,
            height).
        velocity (np.ndarray): Change of the place per second, (4,). The size does not
            change by itself, so its velocity stays 0.
        seen (float): Time of the last frame with this face, in seconds.
    """

    number: int
    place: np.ndarray
    velocity: np.ndarray
    seen: float

    def predict(self, time: float) -> np.ndarray:
        """Return the place at a time if the face moves on evenly."""
        return self.place + self.velocity * (time - self.seen)

    def update(self, place: np.ndarray, time: float, smoothing: float) -> None:
        """Move the track towards a box, with an alpha-beta filter.

        Args:
            place (np.ndarray): Centre and size of the box, (4,).
            time (float): Time of the frame.
            smoothing (float): Time constant, in seconds.
        """
        step = time - self.seen
        if step <= 0:
            return
        alpha = 1.0 if smoothing == 0 else 1 - math.exp(-step / smoothing)
        # Benedict and Bordner (1962): of all beta, this one follows a face that starts
        # to move best for the noise that is left.
        beta = alpha**2 / (2 - alpha)
        expected = self.predict(time)
        error = place - expected
        self.place = expected + alpha * error
        self.velocity[:2] += beta / step * error[:2]
        self.seen = time


class Tracked(NamedTuple):
    """Faces of a frame with their tracks.

    Attributes:
        tracks (list[int]): Number of each face's track.
        boxes (np.ndarray): Smoothed boxes (left, top, right, bottom), (N, 4).
    """

    tracks: List[int]
    boxes: np.ndarray


class Tracker:
    """Follow faces by the overlap of their boxes.

    A box belongs to the track whose predicted box overlaps it most. A box that
    overlaps none begins a new track, and a track that is not seen for a while ends.

    Args:
        min_overlap (float): Smallest intersection over union of a box with its track.
            Defaults to 0.3.
        max_gap (float): Seconds for which a face may be missed, for example while it
            looks away. Defaults to 1.
        smoothing (float): Time constant of the smoothed boxes, in seconds. 0: boxes
            stay as they are. Defaults to 0.2.
    """

    def __init__(
        self, min_overlap: float = 0.3, max_gap: float = 1.0, smoothing: float = 0.2
    ):
        self.min_overlap = min_overlap
        self.max_gap = max_gap
        self.smoothing = smoothing
        self.alive: List[Track] = []
        self.count = 0
        self.time: Optional[float] = None

    def update(self, boxes: np.ndarray, time: Optional[float] = None) -> Tracked:
        """Add the next frame.

        Args:
            boxes (np.ndarray): Boxes (left, top, right, bottom) of the faces, (N, 4).
            time (float, optional): Time of the frame, in seconds. Defaults to the
                rate :data:`FRAME_RATE`.
        """
        if time is None:
            time = 0.0 if self.time is None else self.time + 1 / FRAME_RATE
        self.time = time
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        owners = self._match(boxes, time)
        for place, index in zip(to_places(boxes), range(len(boxes)), strict=True):
            if index in owners:
                owners[index].update(place, time, self.smoothing)
                continue
            self.count += 1
            owners[index] = Track(self.count, place, np.zeros(4), time)
            self.alive.append(owners[index])
        self.alive = [
            track for track in self.alive if time - track.seen <= self.max_gap
        ]
        found = [owners[index] for index in range(len(boxes))]
        places = np.array([track.place for track in found]).reshape(-1, 4)
        return Tracked([track.number for track in found], to_boxes(places))

    def _match(self, boxes: np.ndarray, time: float) -> Dict[int, Track]:
        """Return the track of each box that has one."""
        if not self.alive or not len(boxes):
            return {}
        predicted, last = (
            to_boxes(np.array(places))
            for places in (
                [track.predict(time) for track in self.alive],
                [track.place for track in self.alive],
            )
        )
        overlaps = box_overlaps(predicted, boxes)
        pairs = match_boxes(overlaps, self.min_overlap)
        # A face that has stopped while it was missed is where it was seen last.
        rest = box_overlaps(last, boxes)
        for row, column in pairs:
            rest[row] = rest[:, column] = -1
        pairs += match_boxes(rest, self.min_overlap)
        return {column: self.alive[row] for row, column in pairs}


def to_places(boxes: np.ndarray) -> np.ndarray:
    """Return centre and size (x, y, width, height) of boxes, (N, 4)."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def to_boxes(places: np.ndarray) -> np.ndarray:
    """Return the boxes (left, top, right, bottom) of centres and sizes, (N, 4)."""
    centre, half = places[:, :2], places[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


class TrackSmoother:
    """Running mean of numbers over each track, in which older frames count less.

    The weight of a frame that is ``t`` seconds old is ``exp(-t / seconds)``.

    Args:
        seconds (float): Time constant of the weights.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        # Weighted sum, sum of weights and time of each track.
        self.sums: Dict[int, Tuple[np.ndarray, float, float]] = {}

    def __call__(self, track: int, time: float, values: np.ndarray) -> np.ndarray:
        """Add the numbers of a frame, and return the mean.

        Args:
            track (int): Number of the track.
            time (float): Time of the frame, in seconds.
            values (np.ndarray): Numbers, of the same shape in each frame.
        """
        total, weight, last = self.sums.get(track, (np.zeros(1), 0.0, time))
        decay = math.exp(-max(0.0, time - last) / self.seconds)
        total, weight = total * decay + values, weight * decay + 1
        self.sums[track] = total, weight, time
        self._forget(time)
        return total / weight

    def _forget(self, time: float) -> None:
        """Remove tracks whose weights are nothing, so that memory is bounded."""
        # Looking through all tracks takes time, so it is done when there are many.
        if len(self.sums) > 256:
            oldest = time - 20 * self.seconds
            self.sums = {k: v for k, v in self.sums.items() if v[2] >= oldest}
