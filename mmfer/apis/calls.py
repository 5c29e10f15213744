"""Run one call of ``FERInferencer``: from images to results, batch by batch."""

from collections import deque
from contextlib import closing
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Deque, Iterable, Iterator, Optional, Tuple

from .detectors import DetectorPerThread
from .options import CallOptions
from .reading import IMAGE_ERRORS, FailedImages, PreparedBatch, Reader
from .results import describe_predictions, place_result, smooth_predictions, to_numpy
from .tracking import Tracker, TrackSmoother

if TYPE_CHECKING:
    from .inferencer import FERInferencer


class Call:
    """One call of an inferencer, with its options and its tracks.

    Args:
        fer (FERInferencer): Inferencer.
        options (CallOptions): Checked options.
    """

    def __init__(self, fer: 'FERInferencer', options: CallOptions):
        self.fer = fer
        self.options = options
        self.tracker = Tracker() if options.track else None
        self.smoother: Optional[TrackSmoother] = None
        if options.smooth is not None:
            self.smoother = TrackSmoother(options.smooth)
        if options.detect_faces and isinstance(fer.detector, DetectorPerThread):
            # A missing package is one error, before the first image.
            fer.detector.ready()

    def results(self, sources: Iterable) -> Iterator:
        """Yield the result of each image.

        Args:
            sources (Iterable): Images of any kind.
        """
        reader = self._reader()
        # A GPU computes the next batch while the results of the last one become
        # dicts. Results of single frames must not wait for the next frame.
        ahead = int(self.fer.device.type != 'cpu' and reader.in_threads(sources))
        launched: Deque[Tuple[PreparedBatch, list]] = deque()
        failure: Optional[Exception] = None
        failed = FailedImages()
        with closing(reader.batches(sources)) as batches:
            try:
                for batch in batches:
                    failed.add(batch)
                    launched.append((batch, self._launch(batch)))
                    if len(launched) > ahead:
                        yield from self._describe(*launched.popleft())
            except IMAGE_ERRORS as error:
                # The results of earlier batches come before the error.
                failure = error
        while launched:
            yield from self._describe(*launched.popleft())
        if failure is not None:
            raise failure
        if self.options.warns:
            failed.warn()

    def _reader(self) -> Reader:
        """Return what prepares the images."""
        fer, options = self.fer, self.options
        in_threads = fer.preparation.thread_safe
        if options.detect_faces:
            # Frames of a track must come in order. Detectors of the user's may not be
            # safe in threads.
            in_threads &= not options.track
            in_threads &= isinstance(fer.detector, DetectorPerThread)
        return Reader(
            partial(
                fer.prepare,
                detect_faces=options.detect_faces,
                margin=options.margin,
                tracker=self.tracker,
            ),
            fer.preparation,
            options.batch_size,
            fer.workers if in_threads else 0,
            keep_errors=options.on_error == 'report',
            pin_memory=fer.device.type == 'cuda',
            one_face=not options.detect_faces,
        )

    def _launch(self, batch: PreparedBatch) -> list:
        """Return the predictions of a batch, dicts of tensors or data samples."""
        predictor = self.fer.predictor
        if self.options.return_datasamples:
            return [predictor.predict_samples(data) for data in batch.data]
        return [predictor.predict(data) for data in batch.data]

    def _describe(self, batch: PreparedBatch, predictions: list) -> Iterator:
        """Yield the result of each image of a batch."""
        fer, options = self.fer, self.options
        if not options.return_datasamples:
            parts = [to_numpy(part) for part in predictions]
            if self.smoother is not None:
                parts = smooth_predictions(
                    parts, batch.entries, self.smoother, fer.bounded
                )
            predictions = [
                describe_predictions(
                    part,
                    fer.score_names,
                    fer.classes,
                    options.reject_above,
                    options.set_above,
                )
                for part in parts
            ]
        faces = chain.from_iterable(predictions)
        for source, found in batch.entries:
            if isinstance(found, Exception):
                failed = dict(source=source, error=str(found))
                yield [failed] if options.detect_faces else failed
                continue
            results = [next(faces) for _ in found]
            if not options.return_datasamples:
                results = [
                    place_result(result, source, more)
                    for result, more in zip(results, found, strict=True)
                ]
            yield results if options.detect_faces else results[0]
