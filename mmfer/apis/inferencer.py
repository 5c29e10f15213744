"""Inferencer: classify faces in three lines of Python."""

from functools import partial
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Sized,
    Tuple,
    Union,
)

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmpretrain.utils import track

from mmfer.datasets.images import read_image
from mmfer.utils.checks import whole_number
from mmfer.utils.forks import one_thread_in_forks

from .calibrated import find_set_threshold
from .calls import Call
from .detectors import Detector, choose_detector, rise_of
from .faces import MARGIN, crop, squared
from .hub import list_models
from .images import Frame, each_source, is_one_image
from .options import CallOptions
from .predictors import check_outputs, open_predictor, score_names
from .reading import count_workers
from .results import follow, make_folder, to_numpy, write_pictures
from .thresholds import find_threshold
from .tracking import Tracker
from .videos import refuse_video


class FERInferencer:
    """Predict expression, uncertainty, and valence and arousal of faces.

    Example::

        from mmfer import FERInferencer
        fer = FERInferencer('work_dirs/alum_r18_synthfaces_noise30')
        fer('face.png')

    returns a list with a dict for each image, of plain types that ``json.dumps``
    writes::

        source                               dict: path of the file, or index of the
                                             image; frame and time in a video; box
        pred_label, pred_class, pred_score   number, name and score of the class
        pred_scores                          dict: score of each class, by its name
        uncertainty                          larger is less sure
        valence, arousal                     only if the model predicts them
        rejected                             only with ``reject_above``
        pred_set                             only with ``coverage``
        face_score                           only with ``detect_faces``
        track                                only with ``track``, see :meth:`stream`
        error                                why the image cannot be used; then there
                                             is nothing else but source

    If a model predicts only valence and arousal, the dict has only these two and
    ``source``.

    Args:
        model (str | Config | BaseModel): The name of a model (see
            :func:`list_models`), the work dir of a run, the path of a config,
            a config, or a model from :func:`get_model`.
        pretrained (bool | str): A checkpoint. True: the weights that are
            published with the model, or the last checkpoint of the work dir.
            False: no weights. Defaults to True.
        device (str | torch.device, optional): Device of the model. Defaults
            to a GPU if there is one, else to the CPU.
        classes (str | Sequence[str], optional): Names of the classes in the
            order of the labels, or a file with a name on each line. Defaults
            to those of the checkpoint, or of the data set in the config.
        image_size (int | tuple[int, int], optional): (height, width) to
            which cropped faces are resized before the pipeline. Not needed if
            the test pipeline resizes. Defaults to ``image_size`` of the
            config.
        workers (int, optional): Number of threads that read files and resize
            images while the model computes. 0: everything runs in the calling
            thread, which steps of your own need that several threads must not
            use. Defaults to one for each core, at most 16.
        detector (str | dict | Callable, optional): What finds faces with
            ``detect_faces=True``: ``'dlib'``; the path of a YuNet file (ONNX), or
            ``dict(type='yunet', model=PATH, ...)``, see :class:`YuNetDetector`; or a
            function from an image to a list of :class:`Face`, which is called in the
            calling thread only. Defaults to dlib.
        **kwargs: Options of the model, which replace those of the config.

    Raises:
        ValueError: There is no model of this name, it has no weights, or the
            checkpoint is one of another model. Or the device cannot be used,
            the number of class names is wrong, or the model predicts neither
            classes nor valence and arousal.
        TypeError: An argument has a wrong type.
    """

    def __init__(
        self,
        model: Union[str, Config, BaseModel],
        pretrained: Union[bool, str] = True,
        device: Union[str, torch.device, None] = None,
        classes: Union[str, Sequence[str], None] = None,
        image_size: Union[int, Tuple[int, int], None] = None,
        workers: Optional[int] = None,
        detector: Union[None, str, Mapping, Detector] = None,
        **kwargs: Any,
    ):
        whole_number('FERInferencer', 'workers', workers, 0, optional=True)
        self.workers = count_workers() if workers is None else workers
        one_thread_in_forks()
        self.detector: Callable = choose_detector(detector)
        self.predictor = open_predictor(
            model, pretrained, device, classes, image_size, **kwargs
        )
        self.preparation = self.predictor.preparation
        self.classes = self.predictor.classes
        self.outputs = check_outputs(self.predictor)
        self.score_names = score_names(self.predictor, self.outputs)

    @property
    def model(self) -> BaseModel:
        """The model, if it is one of torch."""
        return self.predictor.model

    @property
    def config(self) -> Config:
        """The config of the model, if it has one."""
        return self.predictor.config

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.predictor.device

    @property
    def bounded(self) -> bool:
        """Whether uncertainties are one minus the largest probability."""
        return self.outputs.bounded

    def __call__(
        self,
        inputs: Any,
        batch_size: int = 128,
        reject_above: Optional[float] = None,
        detect_faces: bool = False,
        margin: float = MARGIN,
        return_datasamples: bool = False,
        show_dir: Optional[str] = None,
        on_error: Optional[str] = None,
        coverage: Optional[float] = None,
    ) -> list:
        """Classify images.

        Args:
            inputs (Any): One image or several, see :func:`each_source`.
            batch_size (int): Number of images in a batch. Defaults to 128.
            reject_above (float, optional): Threshold of the uncertainty. Each
                result gets ``rejected``: whether its uncertainty is larger,
                see :meth:`rejection_threshold`. Defaults to None.
            detect_faces (bool): Detect faces in the images, see
                :class:`FaceDetector`. False: each image is one face. Defaults
                to False.
            margin (float): Margin around a detected face, as a share of its
                box. Defaults to 0.05, the margin of FERPlus.
            return_datasamples (bool): Return mmpretrain's data samples
                instead of dicts. Defaults to False.
            show_dir (str, optional): Folder to which images with the results
                drawn on them are written. Defaults to None.
            on_error (str, optional): ``'raise'``: an image that cannot be read
                raises an error. ``'report'``: its result is ``dict(source=...,
                error=...)``. Defaults to ``'raise'`` for a single image, and to
                ``'report'`` with a warning for folders, lists and generators.
            coverage (float, optional): Each result gets ``pred_set``: the names of
                so many classes, the most probable first, that this share of the sets
                contains the given label. It holds for images like the held-out ones
                of the checkpoint, see
                :func:`mmfer.evaluation.calibration.set_threshold`. Defaults to None.

        Returns:
            list: A dict for each image, in order; see
            :class:`FERInferencer`. With ``detect_faces``, a list of dicts for
            each image, with faces from left to right; it is empty if no face was
            found. The source of these dicts has a ``box``, [left, top, right,
            bottom] in pixels. An image with an error has a list of one dict.
        """
        if show_dir is not None and return_datasamples:
            raise ValueError('show_dir needs dicts: leave out return_datasamples=True')
        options = CallOptions(
            batch_size,
            reject_above,
            detect_faces,
            margin,
            return_datasamples,
            on_error,
            set_above=self._set_above(coverage),
        ).checked(self.bounded, is_one_image(inputs))
        if show_dir is not None:
            make_folder(show_dir)
        refuse_video(inputs)
        sources = each_source(inputs)
        if show_dir is not None:
            # The images are read a second time to draw on them.
            sources = list(sources)
        results: Iterable = Call(self, options).results(sources)
        if isinstance(sources, Sized) and len(sources) > options.batch_size:
            results = track(results, 'Inference', total=len(sources))
        results = list(results)
        if show_dir is not None:
            write_pictures(list(sources), results, show_dir)
        return results

    def stream(
        self,
        inputs: Any,
        batch_size: int = 1,
        reject_above: Optional[float] = None,
        detect_faces: bool = False,
        margin: float = MARGIN,
        return_datasamples: bool = False,
        on_error: Optional[str] = None,
        track: bool = False,
        smooth: Optional[float] = None,
        coverage: Optional[float] = None,
    ) -> Iterator:
        """Yield results one by one, for example for the frames of a video.

        Args:
            inputs (Any): See :meth:`__call__`.
            batch_size (int): Number of images after which results are
                yielded. Defaults to 1.
            reject_above (float, optional): See :meth:`__call__`.
            detect_faces (bool): See :meth:`__call__`.
            margin (float): See :meth:`__call__`.
            return_datasamples (bool): See :meth:`__call__`.
            on_error (str, optional): See :meth:`__call__`.
            track (bool): Follow the detected faces over the images, which are frames
                in order: each result gets ``track``, the number of a face from 1 on,
                and the boxes are smoothed. See
                :class:`~mmfer.apis.tracking.Tracker`. Defaults to False.
            smooth (float, optional): Average scores, uncertainty, valence and arousal
                over the earlier frames of each track. Frames that are so many seconds
                old count 1/e. Defaults to None: each frame stands for itself.
            coverage (float, optional): See :meth:`__call__`.
        """
        # Check the options here: the code of a generator does not run before
        # its first result is requested.
        options = CallOptions(
            batch_size,
            reject_above,
            detect_faces,
            margin,
            return_datasamples,
            on_error,
            track,
            smooth,
            self._set_above(coverage),
        ).checked(self.bounded, is_one_image(inputs))
        refuse_video(inputs)
        return Call(self, options).results(each_source(inputs))

    def prepare(
        self,
        source: Any,
        detect_faces: bool = False,
        margin: float = MARGIN,
        tracker: Optional[Tracker] = None,
    ) -> Tuple[list, List[dict]]:
        """Prepare the faces of an image of any kind for the model.

        Args:
            source (Any): See :func:`~mmfer.datasets.images.read_image`; or a
                :class:`~mmfer.apis.images.Frame`.
            detect_faces (bool): See :meth:`__call__`.
            margin (float): See :meth:`__call__`.
            tracker (Tracker, optional): Follows the detected faces. Its smoothed boxes
                are cropped.

        Returns:
            tuple[list, list[dict]]: For each face, an input of
            :meth:`FacePreparation.collate`, and a dict with ``box``,
            ``face_score`` and ``track`` (empty without ``detect_faces``).
        """
        image = read_image(
            source.image if isinstance(source, Frame) else source,
            self.preparation.color_type,
        )
        if not detect_faces:
            return [self.preparation.fit(image)], [{}]
        found = [
            dict(box=tuple(face.box), face_score=face.score)
            for face in self.detector(image)
        ]
        if tracker is not None:
            found = follow(
                found, tracker, source.time if isinstance(source, Frame) else None
            )
        cut = partial(crop, margin=margin, rise=rise_of(self.detector))
        return [
            self.preparation.fit(np.ascontiguousarray(cut(image, squared(face['box']))))
            for face in found
        ], found

    def predict_batch(self, batch: dict) -> Dict[str, np.ndarray]:
        """Predict a batch, and return arrays by name, (B, ...).

        Args:
            batch (dict): See :meth:`FacePreparation.collate`.
        """
        return to_numpy(self.predictor.predict(batch))

    def rejection_threshold(
        self, target_error: float, confidence: Optional[float] = 0.95
    ) -> float:
        """Return the ``reject_above`` that keeps a given error rate.

        Errors were counted on held-out images when the checkpoint was published, see
        ``tools/model_converters/publish_model.py``. A threshold holds for images like
        those, and an error is a prediction that differs from the given label.

        Args:
            target_error (float): Largest share of errors among predictions
                that are not rejected, in (0, 1).
            confidence (float, optional): Probability, over the draw of the held-out
                images, that the threshold keeps its promise. None: no promise; the
                threshold keeps the error rate on the held-out images. Defaults to
                0.95.

        Returns:
            float: Value for ``reject_above``.

        Raises:
            ValueError: An argument is not in (0, 1), the checkpoint has no
                thresholds, or no threshold can be promised. The message says how many
                held-out images would do.
        """
        return find_threshold(self.predictor.rejection, target_error, confidence)

    def _set_above(self, coverage: Optional[float]) -> Optional[float]:
        return find_set_threshold(
            self.predictor.calibration, coverage, self.outputs.classes
        )

    @staticmethod
    def list_models(pattern: Optional[str] = None) -> List[str]:
        """Return the names of mmfer's models that come with weights."""
        return list_models(pattern, weights=True)
