"""Memory of ``mmfer predict VIDEO --faces`` over an hour of made video.

    python tools/benchmarks/video_memory.py --faces data/ferplus/FER2013Valid

makes a video of 320 x 240 pixels with 5 frames per second, in which up to two of these
face crops move over a blurred background. Then it runs the command on it and notes
the resident memory of the process each second. The exit code is 1 if the memory grows
by ``--limit`` MB or more between the second minute and the end. Linux only.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List

import cv2
import numpy as np

from mmfer.cli import run_tool
from mmfer.datasets.images import find_images, read_image

SIZE = (240, 320)
RATE = 5
# Side of a face in pixels, and frames after which another face comes.
SIDE, CHANGE = 110, 250
MB = 1e6


def made_frames(paths: List[str], number: int) -> Iterator[np.ndarray]:
    """Yield frames with up to two moving faces.

    Args:
        paths (list[str]): Crops of faces.
        number (int): Number of frames.
    """
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 160, (30, 40, 3), np.uint8)
    background = cv2.GaussianBlur(cv2.resize(noise, SIZE[::-1]), (31, 31), 9)
    for i in range(number):
        frame = background.copy()
        phase = 2 * np.pi * i / CHANGE
        places = [(10 + 45 * (1 - np.cos(phase)), 15)]
        # For a third of the time there is a single face.
        if i % CHANGE > CHANGE // 3:
            places.append((205, 110 + 15 * np.sin(4 * phase)))
        for k, (x, y) in enumerate(places):
            path = paths[(2 * (i // CHANGE) + k) % len(paths)]
            face = cv2.resize(read_image(path), (SIDE, SIDE))
            frame[round(y) :, round(x) :][:SIDE, :SIDE] = face
        yield frame


def make_video(path: Path, faces: List[str], number: int) -> None:
    """Write the video."""
    code = cv2.VideoWriter_fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(path), code, RATE, SIZE[::-1])
    for frame in made_frames(faces, number):
        writer.write(frame)
    writer.release()


def resident(pid: int) -> float:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * float(os.sysconf('SC_PAGE_SIZE'))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--faces', required=True, help='folder of face crops')
    parser.add_argument('--minutes', type=float, default=60, help='length of the video')
    parser.add_argument('--warm-up', type=float, default=120, help='seconds')
    parser.add_argument('--limit', type=float, default=100, help='MB')
    parser.add_argument('--work-dir', default='work_dirs/video_memory')
    parser.add_argument('--more', nargs='*', default=[], help='more flags of predict')
    args = parser.parse_args()
    folder = Path(args.work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    film, table = folder / 'made.mp4', folder / 'faces.csv'
    number = round(60 * RATE * args.minutes)
    make_video(film, find_images(args.faces)[0], number)
    command = [sys.executable, '-m', 'mmfer', 'predict', str(film), '--faces']
    start = time.monotonic()
    process = subprocess.Popen([*command, '--csv', str(table), *args.more])
    memory = []
    while process.poll() is None:
        try:
            memory.append((time.monotonic() - start, resident(process.pid)))
        except (OSError, IndexError):
            break
        time.sleep(1)
    if process.wait():
        raise SystemExit(f'mmfer predict ended with the code {process.returncode}')
    seconds = time.monotonic() - start
    with open(folder / 'memory.csv', 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([('seconds', 'bytes'), *memory])
    with open(table, newline='', encoding='utf-8') as file:
        rows = sum(1 for _ in csv.reader(file)) - 1
    later = [size for second, size in memory if second >= args.warm_up]
    if not later:
        raise SystemExit(f'the command ended before {args.warm_up} s; see --warm-up')
    growth = (max(later) - later[0]) / MB
    print(
        f'{number} frames, {rows} rows in {seconds:.0f} s; memory '
        f'{later[0] / MB:.0f} MB after {args.warm_up:.0f} s, at most '
        f'{max(later) / MB:.0f} MB later: +{growth:.1f} MB'
    )
    sys.exit(growth >= args.limit)


if __name__ == '__main__':
    run_tool(main)
