"""Read and prepare images in threads, in batches for ``FERInferencer``."""

import logging
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import (
    Any,
    Callable,
    Deque,
    Generator,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from mmengine.logging import print_log

from mmfer.datasets.images import UnreadableImageError

from .images import describe_source, in_chunks
from .preparation import FacePreparation

# Errors of a single image. All others end the call.
IMAGE_ERRORS = (UnreadableImageError, TypeError, ValueError)
# Batches that are prepared before the model needs them. They bound the memory.
AHEAD = 2
# Most images of a task. The main thread needs about 50 us for a task, and an image
# of 100 px takes a thread 200 us.
TASK = 16
# Fewer images than these do not pay for the start of threads.
FEWEST = 4
# Sources that several threads may read at once.
THREAD_SAFE = (str, os.PathLike, bytes)


class Entry(NamedTuple):
    """One image of a batch.

    Attributes:
        source (dict): Where it comes from, see
            :func:`~mmfer.apis.images.describe_source`.
        found (list[dict] | Exception): What is known of its faces, or the error with
            which it could not be prepared.
    """

    source: dict
    found: Union[List[dict], Exception]


# Faces of an image, inputs of FacePreparation.collate, with its entry.
Prepared = Tuple[list, Entry]


class PreparedBatch(NamedTuple):
    """Batch of images that is ready for the model.

    Attributes:
        data (list[dict]): Inputs of the model: none if the batch has no face, and
            several if photos show more faces than a batch has images.
        entries (list[Entry]): The images, in order.
    """

    data: List[dict]
    entries: List[Entry]


class FailedImages:
    """Count of the images that could not be prepared."""

    def __init__(self) -> None:
        self.number = self.total = 0
        self.first = ''

    def add(self, batch: PreparedBatch) -> None:
        """Count the images of a batch."""
        self.total += len(batch.entries)
        for entry in batch.entries:
            if isinstance(entry.found, Exception):
                self.number += 1
                self.first = self.first or str(entry.found)

    def warn(self) -> None:
        """Warn if there are any."""
        if self.number:
            print_log(
                f'FERInferencer: {self.number} of {self.total} images cannot be used; '
                "their results have an 'error' and no prediction. The first: "
                f"{self.first} (on_error='raise' stops at it.)",
                'current',
                level=logging.WARNING,
            )


def count_workers() -> int:
    """Return the number of threads that read images: one per core, at most 16."""
    affinity = getattr(os, 'sched_getaffinity', None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, 16)


class Reader:
    """Prepare images in batches, if possible in threads.

    If the images are a list or a tuple, threads prepare the next batches while the
    model computes. They read files and bytes only: other objects, such as open
    files, may be used by somebody else. Images of a generator are taken one by one, and
    each is prepared before the next one is taken, because a camera may write the
    next frame to the same memory.

    Args:
        prepare (Callable): Function from a source to its faces, see
            :meth:`FERInferencer.prepare`. Several threads may call it.
        preparation (FacePreparation): Makes batches of the faces.
        batch_size (int): Number of images in a batch.
        workers (int): Number of threads. 0: all images are prepared in the
            calling thread.
        keep_errors (bool): Whether the error of an image becomes its entry. False:
            it is raised when its batch is due. Defaults to False.
        pin_memory (bool): Whether batches lie in page-locked memory, from which
            copies to a GPU do not wait. Defaults to False.
        one_face (bool): Whether each image is one face. False: it may have none or
            several. Defaults to True.
    """

    def __init__(
        self,
        prepare: Callable[[Any], Tuple[list, List[dict]]],
        preparation: FacePreparation,
        batch_size: int,
        workers: int,
        keep_errors: bool = False,
        pin_memory: bool = False,
        one_face: bool = True,
    ):
        self.prepare = prepare
        self.preparation = preparation
        self.batch_size = batch_size
        self.workers = workers
        self.errors = IMAGE_ERRORS if keep_errors else ()
        self.pin_memory = pin_memory
        self.one_face = one_face

    def in_threads(self, sources: Iterable) -> bool:
        """Return whether these images are prepared in threads."""
        return (
            self.workers > 0
            and isinstance(sources, (list, tuple))
            and len(sources) >= FEWEST
        )

    def batches(self, sources: Iterable) -> Generator[PreparedBatch, None, None]:
        """Yield prepared batches in the order of the images.

        No thread outlives the generator. When it ends, is closed, or raises an
        error, tasks that have not begun are cancelled, and the others end after
        their current image.

        Args:
            sources (Iterable): Images of any kind.
        """
        if not self.in_threads(sources):
            prepared = (self._prepare(*pair) for pair in enumerate(sources))
            for chunk in in_chunks(prepared, self.batch_size):
                yield self._collate(chunk)
            return
        size = min(TASK, max(1, self.batch_size // (4 * self.workers)))
        # Small batches do not occupy all threads, so more of them are prepared.
        ahead = max(AHEAD, -(-2 * self.workers * size // self.batch_size))
        waiting: Deque[_Tasks] = deque()
        pool, stop = ThreadPoolExecutor(self.workers, 'mmfer-read'), Event()
        try:
            for chunk in in_chunks(enumerate(sources), self.batch_size):
                waiting.append(_Tasks(self, chunk, size, pool, stop))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, index: int, source: Any) -> Prepared:
        """Return the faces of an image, and its entry."""
        place = describe_source(source, index)
        try:
            faces, found = self.prepare(source)
        except self.errors as error:
            return [], Entry(place, error)
        return faces, Entry(place, found)

    def _collate(self, chunk: List[Prepared]) -> PreparedBatch:
        """Return the batch of several images."""
        faces = [face for found, _ in chunk for face in found]
        data = map(self.preparation.collate, in_chunks(faces, self.batch_size))
        return PreparedBatch(list(data), [entry for _, entry in chunk])


class _Tasks:
    """Tasks of the threads that prepare one batch.

    Threads write the faces into the batch, so the main thread copies nothing.
    """

    def __init__(
        self,
        reader: Reader,
        chunk: List[Tuple[int, Any]],
        size: int,
        pool: ThreadPoolExecutor,
        stop: Event,
    ):
        self.reader = reader
        self.stop = stop
        self.chunk = chunk
        self.prepared: List[Prepared] = [([], Entry({}, []))] * len(chunk)
        self.images = None
        if reader.one_face:
            self.images = reader.preparation.empty(len(chunk), reader.pin_memory)
        self.futures: List[Tuple[range, Optional[Future]]] = []
        for first in range(0, len(chunk), size):
            rows = range(first, min(first + size, len(chunk)))
            ready = all(isinstance(chunk[i][1], THREAD_SAFE) for i in rows)
            self.futures.append((rows, pool.submit(self._run, rows) if ready else None))

    def _run(self, rows: Iterable[int]) -> None:
        for i in rows:
            if self.stop.is_set():
                return
            faces, entry = self.reader._prepare(*self.chunk[i])
            if faces and self.images is not None:
                self.reader.preparation.write(faces[0], self.images[i].numpy())
                faces = []
            self.prepared[i] = faces, entry

    def result(self) -> PreparedBatch:
        """Wait for the tasks, and return the batch."""
        for rows, future in self.futures:
            if future is None:
                self._run(rows)
            else:
                future.result()
        if self.images is None:
            return self.reader._collate(self.prepared)
        entries = [entry for _, entry in self.prepared]
        good = [i for i, e in enumerate(entries) if isinstance(e.found, list)]
        images = self.images if len(good) == len(entries) else self.images[good]
        return PreparedBatch([dict(inputs=images)] if good else [], entries)
