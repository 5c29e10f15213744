"""Predict expressions: ``mmfer predict IMAGE`` and ``tools/demo.py``."""

import argparse
import csv
import logging
import os.path as osp
import sys
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence

from mmengine.logging import MMLogger

from mmfer.apis import FERInferencer
from mmfer.apis.drawing import describe_result
from mmfer.apis.images import list_images
from mmfer.apis.results import make_folder, write_picture
from mmfer.apis.videos import (
    VIDEO_EXTENSIONS,
    UnreadableVideoError,
    Video,
    format_time,
    is_video,
)
from mmfer.datasets.images import IMAGE_EXTENSIONS
from mmfer.utils.checks import exclusive
from mmfer.utils.devices import choose_device
from mmfer.utils.progress import Progress
from mmfer.utils.text_files import clipped, read_text

from .common import run_tool
from .result_files import ResultFiles

LISTS = ('.txt', '.csv')
# Names of tables that are not text.
WORKBOOKS = ('.xlsx', '.xls', '.ods')
# Exit code if some images, or the end of a video, could not be read.
INCOMPLETE = 3
# Images in a batch: of faces, and of photos and frames, which are large.
FACES_AT_ONCE, PHOTOS_AT_ONCE = 128, 16


class Inputs(NamedTuple):
    """What the command looks at.

    Attributes:
        photos (list[str]): Paths of images.
        videos (list[str]): Paths of videos.
    """

    photos: List[str]
    videos: List[str]


def run(args: argparse.Namespace) -> int:
    """Predict expressions, show user errors without a traceback, return the exit code.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.predict`.
    """
    codes: List[int] = []
    run_tool(lambda: codes.append(predict(args)))
    return codes[0]


def predict(args: argparse.Namespace) -> int:
    """Print the expressions of faces, and write tables and pictures.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.predict`.

    Returns:
        int: 0, or :data:`INCOMPLETE`.

    Raises:
        OSError: There is no such image, folder, list or video, or a table cannot be
            written.
        ValueError: The device, the model, an option, the list or the only image cannot
            be used.
    """
    args.device = choose_device(args.device)
    inputs = find_inputs(args.image)
    check_options(args, inputs)
    if args.show_dir is not None:
        make_folder(args.show_dir)
    files = ResultFiles(args.csv, args.json)
    # A table on the standard output must not be mixed with other lines.
    piped = '-' in (args.csv, args.json)
    try:
        with other_lines_to_stderr() if piped else nullcontext():
            prediction = Prediction(args, files)
            prediction.run(inputs)
        files.finish()
    except KeyboardInterrupt:
        files.close()
        where = f' The results until then are in {", ".join(files.parts)}.'
        print(f'Stopped.{where if files.parts else ""}', file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        files.close()
    for file in files.files:
        if file.path != '-':
            print(f'{file.path} is written.', file=sys.stderr if piped else sys.stdout)
    return INCOMPLETE if prediction.failed else 0


def check_options(args: argparse.Namespace, inputs: Inputs) -> None:
    """Refuse options that do not fit the inputs, or one another.

    Raises:
        ValueError: The message names the option.
    """
    exclusive('', **{'--every': args.every, '--fps': args.fps})
    # Thresholds and sets are for single images, whose probabilities are not smoothed.
    for flag in ('target_error', 'coverage'):
        name = f'--{flag.replace("_", "-")}'
        exclusive('', **{'--smooth': args.smooth, name: getattr(args, flag)})
    if args.coverage is not None and not 1 <= args.coverage < 100:
        raise ValueError(
            f'--coverage {args.coverage:g}: give per cent of at least 1 and below 100, '
            'such as 90.'
        )
    if args.target_error is not None and not 0 < args.target_error < 100:
        raise ValueError(
            f'--target-error {args.target_error:g}: give per cent above 0 and below '
            '100, such as 10.'
        )
    if osp.splitext(args.csv or '')[1].lower() in WORKBOOKS:
        raise ValueError(
            f'--csv {args.csv}: a table of text is written, which programs refuse '
            'under this name. Let it end in .csv; Excel opens it.'
        )
    args.detect_faces |= args.detector is not None
    for name in ('every', 'fps', 'smooth'):
        if getattr(args, name) is not None and not inputs.videos:
            raise ValueError(f'--{name} is for videos. Leave it out for images.')
    if args.smooth is not None and not args.detect_faces:
        raise ValueError('--smooth follows faces over the frames: add --faces.')
    if args.smooth is not None and args.smooth <= 0:
        raise ValueError(
            f'--smooth must be a number of seconds above 0, got {args.smooth:g}.'
        )
    if args.show_dir is not None and inputs.videos:
        raise ValueError(
            '--show-dir draws on images. Leave it out for videos, whose boxes and '
            'expressions are in the files of --csv and --json.'
        )
    if args.csv == args.json == '-':
        raise ValueError(
            '--csv - and --json - both print. Name a file for one of them.'
        )


def find_inputs(paths: Sequence[str]) -> Inputs:
    """Return the images and the videos that paths stand for; see `find_sources`.

    Args:
        paths (sequence[str]): Images, folders, videos and lists.
    """
    found = [source for path in paths for source in find_sources(path)]
    return Inputs(
        [path for path in found if not is_video(path)],
        [path for path in found if is_video(path)],
    )


def find_sources(path: str) -> List[str]:
    """Return the paths of the images and videos that a path stands for.

    Args:
        path (str): Image; video; folder of both; or list, a file that ends in
            ``.txt`` or ``.csv``. The first field of each row of a list is the path of
            an image or a video, relative to the folder of the list.

    Raises:
        OSError: There is no such folder or list, or the folder has no image.
        ValueError: The list has no image, or none of its images exists.
    """
    if osp.isdir(osp.expanduser(path)):
        return list_images(path, (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS))
    if osp.splitext(path)[1].lower() not in LISTS:
        return [path]
    lines = [line.text for line in read_text(path, 'list of images').filled]
    lines = [line for line in lines if not line.startswith('#')]
    if osp.splitext(path)[1].lower() == '.csv':
        lines = first_column(lines)
    if not lines:
        raise ValueError(
            f'{path}: this list has no image. Write the path of one image per line.'
        )
    sources = [osp.join(osp.dirname(path), line) for line in lines]
    if not any(map(osp.exists, sources)):
        raise ValueError(
            f'{path}: this is read as a list of images, one path per line, relative to '
            f'its folder. None of its {len(sources)} images exists; the first would be '
            f'{clipped(sources[0])!r}. Correct the list, or name an image or a folder.'
        )
    return sources


def first_column(lines: Sequence[str]) -> List[str]:
    """Return the first field of each row of a table, without its header.

    Args:
        lines (sequence[str]): Rows, with fields between commas, semicolons or tabs.
    """
    if not lines:
        return []
    separator = next((sign for sign in '\t;,' if sign in lines[0]), ',')
    names = [row[0].strip() for row in csv.reader(lines, delimiter=separator) if row]
    return names[1:] if osp.splitext(names[0])[1] == '' else names


@contextmanager
def other_lines_to_stderr() -> Iterator[None]:
    """Print to the standard error inside the block, also what loggers print."""
    moved = []
    # Loggers of mmengine are not known to the module logging.
    for logger in (logging.root, *MMLogger._instance_dict.values()):
        for handler in logger.handlers:
            if (
                isinstance(handler, logging.StreamHandler)
                and handler.stream is sys.stdout
            ):
                handler.setStream(sys.stderr)
                moved.append(handler)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for handler in moved:
            handler.setStream(sys.stdout)


class Prediction:
    """Prediction of all inputs of a command, which prints and writes as it goes.

    Args:
        args (argparse.Namespace): Checked arguments.
        files (ResultFiles): Files for the results.

    Attributes:
        failed (int): Number of inputs that could not be read, or not to their end.
    """

    def __init__(self, args: argparse.Namespace, files: ResultFiles):
        self.args = args
        self.files = files
        self.failed = 0
        self.piped = '-' in (args.csv, args.json)
        self.fer = FERInferencer(
            args.model, args.checkpoint or True, args.device, detector=args.detector
        )
        self.threshold = None
        if args.target_error is not None:
            self.threshold = self.fer.rejection_threshold(args.target_error / 100)
        self.coverage = None if args.coverage is None else args.coverage / 100
        files.begin(self.fer.score_names)

    def say(self, text: str) -> None:
        """Print a line for people."""
        # Names of files may have bytes that are no UTF-8.
        text = text.encode('utf-8', 'backslashreplace').decode()
        print(text)

    def run(self, inputs: Inputs) -> None:
        """Predict all inputs.

        Raises:
            OSError: The only input cannot be read.
        """
        alone = len(inputs.photos) + len(inputs.videos) == 1
        self.predict_photos(inputs.photos, 'raise' if alone else 'report')
        for path in inputs.videos:
            try:
                self.predict_video(path)
            except UnreadableVideoError as error:
                if alone:
                    raise
                self.fail(path, str(error))

    def fail(self, path: str, reason: str) -> None:
        """Report an input that cannot be read."""
        self.failed += 1
        self.files.write(dict(source=dict(path=path), error=reason))
        self.say(reason if path in reason else f'{path}: {reason}')

    def predict_photos(self, paths: Sequence[str], on_error: str) -> None:
        """Predict images, with a line for each face."""
        args = self.args
        results = self.fer.stream(
            # The list lets threads read the files.
            list(paths),
            PHOTOS_AT_ONCE if args.detect_faces else FACES_AT_ONCE,
            reject_above=self.threshold,
            coverage=self.coverage,
            detect_faces=args.detect_faces,
            on_error=on_error,
        )
        for number, (path, result) in enumerate(zip(paths, results, strict=True)):
            if args.show_dir is not None:
                write_picture(path, result, args.show_dir, number)
            faces = result if isinstance(result, list) else [result]
            if not faces:
                # Not an error, but a photo without a row would look forgotten.
                none = dict(source=dict(path=path), error='no face found')
                self.files.write(none)
                self.show(path, none)
            for i, face in enumerate(faces):
                if 'error' in face:
                    self.fail(path, face['error'])
                    continue
                self.files.write(face, i)
                self.show(path, face)

    def predict_video(self, path: str) -> None:
        """Predict the frames of a video, with a row for each face in each frame.

        Raises:
            UnreadableVideoError: No frame can be read.
        """
        args = self.args
        video = Video(path, 1 if args.every is None else args.every, args.fps)
        results = self.fer.stream(
            iter(video),
            PHOTOS_AT_ONCE,
            reject_above=self.threshold,
            coverage=self.coverage,
            detect_faces=args.detect_faces,
            track=args.detect_faces,
            smooth=args.smooth,
            on_error='report',
        )
        show = progress_of(path, video.expected) if self.files.files else None
        frames = faces = 0
        tracks = 0
        for frames, result in enumerate(results, 1):
            found = result if isinstance(result, list) else [result]
            for i, face in enumerate(found):
                self.files.write(face, i)
                tracks = max(tracks, face.get('track', 0))
                if not self.files.files:
                    self.show(f'{path} {format_time(face["source"]["time"])}', face)
            faces += len(found)
            if show is not None and not self.piped:
                show(frames)
        if not video.count:
            raise UnreadableVideoError(video.problem)
        what = f', {faces} faces, {tracks} followed' if args.detect_faces else ''
        self.say(f'{path}: {frames} frames until {format_time(video.time)}{what}.')
        if video.problem is not None:
            self.fail(path, video.problem)

    def show(self, name: str, face: dict) -> None:
        """Print the line of a face, unless the standard output is a table."""
        if self.piped:
            return
        track = f' face {face["track"]}' if 'track' in face else ''
        words = face.get('error') or ', '.join(describe_result(face))
        self.say(f'{name}{track}: {words}')


def progress_of(name: str, total: Optional[int]) -> Callable[[int], Any]:
    """Return a function that shows how many frames are done.

    Args:
        name (str): Name of the video.
        total (int, optional): Number of its frames, by its header.
    """
    if total is None:
        return lambda done: None
    progress = Progress(name, 'frames')
    progress(0, total)
    # The header may state too few.
    return lambda done: progress(min(done, total), total)
