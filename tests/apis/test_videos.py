"""Frames of videos come one by one, with their times; broken ends are named."""

import math

import cv2
import numpy as np
import pytest
from made_videos import cut_off, frame_of, write_video

from mmfer.apis import videos
from mmfer.apis.videos import UnreadableVideoError, Video, format_time, is_video


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('films') / 'ein Film für alle.avi')


@pytest.mark.parametrize(
    'ending, code',
    [('avi', 'MJPG'), ('mp4', 'mp4v'), ('mkv', 'MJPG'), ('webm', 'VP80')],
)
def test_every_frame_with_its_time(tmp_path, ending, code):
    video = Video(write_video(tmp_path / f'a b.{ending}', 30, 12.5, code))
    assert (video.stated, video.expected) == (30, 30)
    errors = []
    for i, frame in enumerate(video):
        assert (frame.number, frame.path) == (i, str(tmp_path / f'a b.{ending}'))
        # Matroska rounds to milliseconds.
        assert frame.time == pytest.approx(i / 12.5, abs=1.1e-3)
        assert frame.image.shape == (120, 160, 3) and frame.image.dtype == np.uint8
        errors.append(frame.image[100:].mean() - 4 * i)
    # Codecs change colours a little. A frame too early or too late would differ by 4.
    assert abs(errors[0]) < 1 and np.ptp(errors[1:]) < 3
    assert video.count == 30 and video.problem is None


def test_fewer_frames(film):
    assert [f.number for f in Video(film, every=7)] == list(range(0, 50, 7))
    assert Video(film, every=7).expected == len(range(0, 50, 7))
    found = list(Video(film, fps=1))
    assert [f.number for f in found] == list(range(0, 50, 5))
    assert [f.time for f in found] == list(range(10))
    # Two per second out of five: the first frame at or after each half second.
    expected = [math.ceil(5 * slot / 2) for slot in range(20)]
    assert [f.number for f in Video(film, fps=2)] == expected
    assert Video(film, fps=2).expected == 20
    # More than there are.
    assert len(list(Video(film, fps=30))) == 50 == Video(film, fps=30).expected
    for options, text in (
        (dict(every=0), 'every must be a whole number of at least 1'),
        (dict(fps=0), 'fps must'),
        (dict(fps=1, every=2), 'exclude each other'),
    ):
        with pytest.raises(ValueError, match=text):
            Video(film, **options)


@pytest.mark.parametrize('ending, code', [('avi', 'MJPG'), ('mkv', 'MJPG')])
def test_broken_end(tmp_path, ending, code):
    """The frames up to there come, and the problem is named."""
    path = cut_off(write_video(tmp_path / f'cut.{ending}', 50, 5, code), 0.6)
    video = Video(path)
    frames = list(video)
    assert 25 <= len(frames) <= 35
    for frame in frames[:-1]:
        assert np.abs(frame.image.astype(int) - frame_of(frame.number)).mean() < 3
    assert 'ends early' in video.problem and str(path) in video.problem
    assert f'after {video.count} of the 50 frames' in video.problem
    skipped = Video(path, every=4)
    assert [f.number for f in skipped] == list(range(0, skipped.count, 4))
    assert 'ends early' in skipped.problem


def test_damage_in_the_middle(tmp_path, capfd):
    """Decoders repair or skip what they can, and print nothing."""
    path = write_video(tmp_path / 'a.avi')
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    video = Video(path)
    numbers = [frame.number for frame in video]
    assert numbers == list(range(len(numbers))) and len(numbers) > 20
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('content', [b'', b'no video' * 99, None])
def test_no_video(tmp_path, content, capfd):
    path = tmp_path / 'a ü.mp4'
    if content is None:
        # The index of an MP4 file is at its end.
        cut_off(write_video(path, code='mp4v'), 0.9)
    else:
        path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match='a ü.mp4: OpenCV .* cannot read'):
        Video(path)
    with pytest.raises(UnreadableVideoError, match='none.mp4: there is no such file'):
        Video(tmp_path / 'none.mp4')
    with pytest.raises(UnreadableVideoError, match='this is no file'):
        Video(tmp_path)


def test_video_without_frames(tmp_path):
    video = Video(write_video(tmp_path / 'a.avi', 0))
    assert list(video) == [] and video.expected is None
    assert 'has no frame that can be read' in video.problem


class Capture:
    """A file whose times are missing or wrong."""

    def __init__(self, times, rate=10.0):
        self.times, self.rate, self.position = times, rate, -1

    def isOpened(self):
        return True

    def get(self, name):
        values = {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_FRAME_COUNT: -1.0}
        return values.get(name) or 1000 * self.times[self.position]

    def grab(self):
        self.position += 1
        return self.position < len(self.times)

    def retrieve(self):
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self):
        self.times = None


@pytest.mark.parametrize(
    'times, rate, expected',
    [
        ([0, 0, 0], 10.0, [0, 0.1, 0.2]),
        ([3, 3.5, 4.5], 10.0, [0, 0.5, 1.5]),
        ([0, math.nan, 1, 0.5], 10.0, [0, 0.1, 1, 1.1]),
        ([math.nan] * 3, math.nan, [0, 0.04, 0.08]),
    ],
)
def test_times_always_grow(film, monkeypatch, times, rate, expected):
    capture = Capture(times, rate)
    monkeypatch.setattr(videos.cv2, 'VideoCapture', lambda path: capture)
    video = Video(film)
    assert [f.time for f in video] == pytest.approx(expected)
    # No number of frames in the header: nobody knows how many are missing.
    assert video.stated is None and video.expected is None and video.problem is None
    assert capture.times is None


def test_names_and_times():
    assert is_video('a.MP4') and is_video('x/y.mkv') and not is_video('a.png')
    assert format_time(0) == '0:00:00.000'
    assert format_time(3661.2345) == '1:01:01.234'
    assert format_time(59.9996) == '0:01:00.000'
