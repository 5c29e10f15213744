"""Faces keep their track, and boxes follow them smoothly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfer.apis.tracking import (
    FRAME_RATE,
    Tracker,
    TrackSmoother,
    box_overlaps,
    match_boxes,
    to_boxes,
    to_places,
)


def box(x, y, side=50):
    """Box with this centre."""
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def overlap_of(one, other):
    """Intersection over union of two boxes with integer sides, by counting pixels."""
    pixels = [
        {(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])}
        for b in (one, other)
    ]
    union = len(pixels[0] | pixels[1])
    return len(pixels[0] & pixels[1]) / union if union else 0.0


boxes = st.lists(
    st.tuples(*[st.integers(0, 9)] * 4).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    min_size=1,
    max_size=4,
)


@given(boxes, boxes)
def test_overlaps_are_those_of_pixels(one, other):
    found = box_overlaps(*(np.array(b, float) for b in (one, other)))
    expected = [[overlap_of(a, b) for b in other] for a in one]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(boxes)
def test_centre_and_size(one):
    found = np.array(one, float)
    np.testing.assert_array_equal(to_boxes(to_places(found)), found)


def test_pairs():
    overlaps = np.array([[0.9, 0.8, 0.0], [0.85, 0.3, 0.0]])
    # The largest one first; what is left is below 0.31.
    assert match_boxes(overlaps, 0.31) == [(0, 0)]
    assert match_boxes(overlaps, 0.3) == [(0, 0), (1, 1)]
    assert match_boxes(overlaps, 0.95) == []
    assert (
        match_boxes(np.zeros((0, 3)), 0.3) == match_boxes(np.zeros((2, 0)), 0.3) == []
    )


def follow(frames, rate=5.0, **options):
    """Return the tracks of each frame."""
    tracker = Tracker(**options)
    return [tracker.update(np.array(f), i / rate) for i, f in enumerate(frames)]


def test_crossing_faces_keep_their_tracks():
    """Two faces walk past each other; the detector finds both at all times."""
    frames = [[box(40 + 10 * i, 60), box(240 - 10 * i, 80)] for i in range(21)]
    assert all(t.tracks == [1, 2] for t in follow(frames))
    # The order in which the detector names them does not matter.
    swapped = [frame[:: -1 if i % 2 else 1] for i, frame in enumerate(frames)]
    for i, tracked in enumerate(follow(swapped)):
        assert tracked.tracks == ([2, 1] if i % 2 else [1, 2])


def test_crossing_with_one_face_hidden():
    """At the crossing the detector finds only the face in front, for two frames."""
    frames = [[box(40 + 10 * i, 60), box(240 - 10 * i, 60)] for i in range(21)]
    for i in (10, 11):
        frames[i] = frames[i][:1]
    found = follow(frames)
    assert all(t.tracks == [1, 2] for t in found[:10] + found[12:])
    assert found[10].tracks == found[11].tracks == [1]


def test_gap_of_some_frames():
    moving = [[box(40 + 8 * i, 60)] for i in range(20)]
    gap = [[] if 8 <= i < 12 else frame for i, frame in enumerate(moving)]
    assert [t.tracks for t in follow(gap)][12:] == [[1]] * 8
    # It stopped while it was not seen.
    stopped = gap[:12] + [[box(40 + 8 * 8, 60)]] * 3
    assert [t.tracks for t in follow(stopped)][12:] == [[1]] * 3
    # After more than a second it is another face, also at the same place.
    long = [[box(50, 50)]] + [[]] * 5 + [[box(50, 50)]]
    assert [t.tracks for t in follow(long)] == [[1]] + [[]] * 5 + [[1]]
    long = [[box(50, 50)]] + [[]] * 6 + [[box(50, 50)]]
    assert [t.tracks for t in follow(long)] == [[1]] + [[]] * 6 + [[2]]


def test_new_face_and_old_numbers():
    frames = [
        [box(50, 50)],
        [box(52, 50), box(200, 50)],
        [box(202, 50), box(54, 50)],
        [box(202, 50)],
        [box(400, 50), box(202, 50)],
    ]
    assert [t.tracks for t in follow(frames)] == [[1], [1, 2], [2, 1], [2], [3, 2]]


def test_few_frames_per_second():
    """The gap counts missed frames, not the time between two frames."""
    frames = [[box(50 + i, 50)] for i in range(5)]
    assert [t.tracks for t in follow(frames, rate=0.25)] == [[1]] * 5


def test_jitter_is_smoothed_and_motion_followed():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (200, 1, 4))
    still = follow(np.array([[box(100, 100)]] * 200) + noise, rate=25)
    found = np.array([t.boxes[0] for t in still])[50:]
    assert found.std(axis=0).max() < 0.6 * noise[50:].std(axis=0).min()
    assert found.mean(axis=0) == pytest.approx(box(100, 100), abs=1)
    # An even motion has no lag in the end.
    moving = follow([[box(100 + 6 * i, 100 - 2 * i)] for i in range(60)], rate=25)
    assert moving[-1].boxes[0] == pytest.approx(box(100 + 6 * 59, -18), abs=0.5)
    assert len({t.tracks[0] for t in still + moving}) == 1


def test_without_smoothing_boxes_stay():
    frames = np.random.default_rng(0).integers(0, 9, (20, 3, 4)).astype(float)
    frames[..., 2:] += 10
    for frame, tracked in zip(frames, follow(frames, smoothing=0), strict=True):
        np.testing.assert_allclose(tracked.boxes, frame, atol=1e-9)


def test_times_that_do_not_grow_and_no_times():
    tracker = Tracker()
    for time in (1.0, 1.0, 0.5):
        assert tracker.update(np.array([box(50, 50)]), time).tracks == [1]
    one, other = Tracker(), Tracker()
    for i in range(30):
        frame = np.array([box(50 + i, 50)])
        found = one.update(frame), other.update(frame, i / FRAME_RATE)
        np.testing.assert_allclose(found[0].boxes, found[1].boxes)


def test_tracks_that_ended_take_no_memory():
    tracker = Tracker()
    for i in range(1000):
        tracker.update(np.array([box(1000 * i, 0)]), i)
    assert tracker.count == 1000 and len(tracker.alive) <= 2


def test_mean_over_a_track():
    """The weight of a frame falls with its age; other tracks do not count."""
    rng = np.random.default_rng(0)
    times = rng.uniform(0, 0.5, 40).cumsum()
    tracks = rng.integers(1, 4, 40)
    values = rng.normal(size=(40, 3))
    smoother = TrackSmoother(0.7)
    for i in range(40):
        found = smoother(tracks[i], times[i], values[i])
        same = [j for j in range(i + 1) if tracks[j] == tracks[i]]
        weights = [math.exp(-(times[i] - times[j]) / 0.7) for j in same]
        expected = np.average(values[same], axis=0, weights=weights)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_means_of_many_tracks_take_no_memory():
    smoother = TrackSmoother(0.5)
    for i in range(3000):
        smoother(i, i / 5, np.zeros(2))
    assert len(smoother.sums) <= 257
