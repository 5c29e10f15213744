"""Inferencer: classify faces in three lines of Python."""

import os
import os.path as osp
from collections import deque
from contextlib import closing
from functools import partial
from typing import (
    Any,
    Deque,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Sized,
    Tuple,
    Union,
)

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.utils import track
from torch import Tensor

from mmfer.datasets.images import read_image
from mmfer.models.predictions import predict_batch
from mmfer.utils.checks import whole_number
from mmfer.utils.devices import choose_device

from .checkpoints import load_weights, read_work_dir
from .faces import MARGIN, FaceDetector, NoFaceError, crop
from .hub import get_model, list_models
from .images import each_source
from .options import CallOptions, read_classes
from .preparation import FacePreparation, check_image_size
from .reading import IMAGE_ERRORS, PreparedBatch, Reader, count_workers
from .results import (
    describe_predictions,
    find_threshold,
    make_folder,
    to_numpy,
    write_pictures,
)


class FERInferencer(ImageClassificationInferencer):
    """Predict expression, uncertainty, and valence and arousal of faces.

    Example::

        from mmfer import FERInferencer
        fer = FERInferencer('work_dirs/alum_r18_synthfaces_noise30')
        fer('face.png')

    returns a list with a dict for each image::

        pred_label, pred_class, pred_score   number, name and score of the class
        pred_scores                          scores of all classes, (C, )
        uncertainty                          larger is less sure
        valence, arousal                     only if the model predicts them
        rejected                             only with ``reject_above``

    If a model predicts only valence and arousal, the dict has only these two.

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
        **kwargs: Any,
    ):
        model, pretrained = (
            os.fspath(given) if isinstance(given, os.PathLike) else given
            for given in (model, pretrained)
        )
        if not isinstance(model, (str, Config, BaseModel)):
            raise TypeError(
                'model must be a name, a work dir, a config or a model, got '
                f'{type(model).__name__}'
            )
        if not isinstance(pretrained, (bool, str)):
            raise TypeError(
                f'pretrained must be True, False or a checkpoint, got {pretrained!r}'
            )
        if pretrained == '':
            raise ValueError(
                "pretrained='' names no checkpoint; give pretrained=False for "
                'a model without weights.'
            )
        device = choose_device(device)
        names = read_classes(classes)
        self._image_size = check_image_size(image_size)
        whole_number('FERInferencer', 'workers', workers, 0, optional=True)
        self.workers = count_workers() if workers is None else workers
        if isinstance(model, str) and osp.isdir(model):
            model, pretrained = read_work_dir(model, pretrained)
        if not isinstance(model, BaseModel):
            model = get_model(model, pretrained, **kwargs)
        elif isinstance(pretrained, str):
            load_weights(model, pretrained)
        if getattr(model, '_config', None) is None:
            raise ValueError(
                f'this {type(model).__name__} does not know its config, but the '
                'test pipeline of the config is needed: build the model with '
                'mmfer.get_model(config, checkpoint), or give config and '
                'checkpoint to FERInferencer.'
            )
        model.to(device)
        self.device = device
        self.detector: Optional[FaceDetector] = None
        super().__init__(model, None, classes=names)
        self.check_outputs()

    def _init_pipeline(self, cfg: Config) -> Compose:
        self.preparation = FacePreparation(cfg, self._image_size)
        return self.preparation.pipeline

    def check_outputs(self) -> None:
        """Predict a blank image, so that errors come before the first call.

        This sets ``bounded``: whether uncertainties are one minus the largest
        probability, and so below 1.

        Raises:
            ValueError: The model predicts neither classes nor valence and
                arousal, or the number of classes differs from that of the
                names.
        """
        blank = self.preparation.blank()
        network = type(self.model).__name__
        # Models of other tasks raise errors of any type.
        try:
            face = self.preparation.fit(blank)
            found = self.predict_batch(self.preparation.collate([face]))
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f'FERInferencer: {network} of this config predicts nothing '
                f'for a blank image of {blank.shape[0]}x{blank.shape[1]} px '
                f'({type(error).__name__}: {reason}). The model must be an '
                'image classifier; give image_size if it needs images of '
                'another size.'
            ) from error
        if not {'pred_score', 'pred_va'} & set(found):
            raise ValueError(
                f'FERInferencer: {network} of this config predicts neither '
                'classes nor valence and arousal. Give a classifier.'
            )
        self.bounded = False
        if 'pred_score' not in found:
            return
        self.bounded = 'uncertainty' not in found or bool(
            np.allclose(
                found['uncertainty'], 1 - found['pred_score'].max(axis=1), atol=1e-6
            )
        )
        outputs = found['pred_score'].shape[1]
        if self.classes is not None and len(self.classes) != outputs:
            some = ', '.join(map(str, self.classes[:3]))
            some += ', ...' if len(self.classes) > 3 else ''
            raise ValueError(
                f'{len(self.classes)} names of classes ({some}) for a model '
                f'of {outputs} classes: give classes=[...] with {outputs} '
                'names, in the order of the labels that it was trained on.'
            )

    def __call__(
        self,
        inputs: Any,
        batch_size: int = 128,
        reject_above: Optional[float] = None,
        detect_faces: bool = False,
        margin: float = MARGIN,
        return_datasamples: bool = False,
        show_dir: Optional[str] = None,
        on_error: str = 'raise',
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
            on_error (str): ``'raise'``: an image that cannot be read raises an
                error. ``'report'``: its result is ``dict(error=...)``.
                Defaults to ``'raise'``.

        Returns:
            list: A dict for each image, in order; see
            :class:`FERInferencer`. With ``detect_faces``, a list of dicts for
            each image, with faces from left to right. These dicts also have
            ``box``, (left, top, right, bottom) in pixels, and ``face_score``.
        """
        if show_dir is not None and return_datasamples:
            raise ValueError('show_dir needs dicts: leave out return_datasamples=True')
        options = CallOptions(
            batch_size, reject_above, detect_faces, margin, return_datasamples, on_error
        ).checked(self.bounded)
        if show_dir is not None:
            make_folder(show_dir)
        sources = each_source(inputs)
        if show_dir is not None:
            # The images are read a second time to draw on them.
            sources = list(sources)
        results: Iterable = self._generate(sources, options)
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
        on_error: str = 'raise',
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
            on_error (str): See :meth:`__call__`.
        """
        # Check the options here: the code of a generator does not run before
        # its first result is requested.
        options = CallOptions(
            batch_size, reject_above, detect_faces, margin, return_datasamples, on_error
        ).checked(self.bounded)
        return self._generate(each_source(inputs), options)

    def _generate(self, sources: Iterable, options: CallOptions) -> Iterator:
        """Yield the result of each image."""
        reader = Reader(
            partial(
                self.prepare, detect_faces=options.detect_faces, margin=options.margin
            ),
            self.preparation,
            options.batch_size,
            # A face detector has memory of its own, so one thread may use it.
            self.workers
            if self.preparation.thread_safe and not options.detect_faces
            else 0,
            keep_errors=options.on_error == 'report',
            pin_memory=self.device.type == 'cuda',
        )
        # A GPU computes the next batch while the results of the last one become
        # dicts. Results of single frames must not wait for the next frame.
        ahead = int(self.device.type != 'cpu' and reader.in_threads(sources))
        launched: Deque[Tuple[PreparedBatch, Any]] = deque()
        failure: Optional[Exception] = None
        with closing(reader.batches(sources)) as batches:
            try:
                for batch in batches:
                    launched.append((batch, self._launch(batch, options)))
                    if len(launched) > ahead:
                        yield from self._results(*launched.popleft(), options)
            except IMAGE_ERRORS as error:
                # The results of earlier batches come before the error.
                failure = error
        while launched:
            yield from self._results(*launched.popleft(), options)
        if failure is not None:
            raise failure

    def _launch(self, batch: PreparedBatch, options: CallOptions) -> Any:
        """Return the predictions of a batch, tensors or data samples."""
        if batch.data is None:
            return {}
        if options.return_datasamples:
            return self.forward(batch.data)
        return self._predict_tensors(batch.data)

    def _results(
        self, batch: PreparedBatch, predictions: Any, options: CallOptions
    ) -> Iterator:
        """Yield the result of each image of a batch."""
        if isinstance(predictions, dict) and predictions:
            predictions = describe_predictions(
                to_numpy(predictions), self.classes, options.reject_above
            )
        faces = iter(predictions)
        for entry in batch.entries:
            if isinstance(entry, Exception):
                yield dict(error=str(entry))
                continue
            results = [next(faces) for _ in entry]
            if not options.return_datasamples:
                results = [
                    dict(result, **more)
                    for result, more in zip(results, entry, strict=True)
                ]
            yield results if options.detect_faces else results[0]

    def prepare(
        self, source: Any, detect_faces: bool = False, margin: float = MARGIN
    ) -> Tuple[list, List[dict]]:
        """Prepare the faces of an image of any kind for the model.

        Args:
            source (Any): See :func:`~mmfer.datasets.images.read_image`.
            detect_faces (bool): See :meth:`__call__`.
            margin (float): See :meth:`__call__`.

        Returns:
            tuple[list, list[dict]]: For each face, an input of
            :meth:`FacePreparation.collate`, and a dict with ``box`` and
            ``face_score`` (empty without ``detect_faces``).

        Raises:
            NoFaceError: ``detect_faces`` is set, and no face was found.
        """
        image = read_image(source, self.preparation.color_type)
        if not detect_faces:
            return [self.preparation.fit(image)], [{}]
        if self.detector is None:
            self.detector = FaceDetector()
        faces = self.detector(image)
        if not faces:
            name = source if isinstance(source, (str, os.PathLike)) else 'the image'
            raise NoFaceError(
                f'{name}: no upright frontal face found. If the image is '
                'already cropped to a face, leave out detect_faces=True: then '
                'the whole image is classified.'
            )
        return [
            self.preparation.fit(np.ascontiguousarray(crop(image, face.box, margin)))
            for face in faces
        ], [dict(box=face.box, face_score=face.score) for face in faces]

    def predict_batch(self, batch: dict) -> Dict[str, np.ndarray]:
        """Predict a batch, and return arrays by name, (B, ...).

        Predictions are read from the model as tensors. A data sample for each
        image would take more time than all other steps but the model itself.

        Args:
            batch (dict): See :meth:`FacePreparation.collate`.
        """
        return to_numpy(self._predict_tensors(batch))

    @torch.inference_mode()
    def _predict_tensors(self, batch: dict) -> Dict[str, Tensor]:
        """Predict a batch, and return tensors on the model's device."""
        if isinstance(batch['inputs'], Tensor) and batch['inputs'].is_pinned():
            batch = dict(
                batch, inputs=batch['inputs'].to(self.device, non_blocking=True)
            )
        inputs = self.model.data_preprocessor(batch)['inputs']
        return predict_batch(self.model, inputs)

    def rejection_threshold(self, target_error: float) -> float:
        """Return the ``reject_above`` that keeps a given error rate.

        The thresholds were found on held-out images when the checkpoint was
        published, see ``tools/model_converters/publish_model.py``. They are
        valid for images like those.

        Args:
            target_error (float): Largest share of errors among predictions
                that are not rejected, in (0, 1).

        Returns:
            float: Value for ``reject_above``.

        Raises:
            ValueError: ``target_error`` is not in (0, 1), the checkpoint has
                no thresholds, or no threshold gives so few errors.
        """
        return find_threshold(getattr(self.model, 'rejection', None), target_error)

    @staticmethod
    def list_models(pattern: Optional[str] = None) -> List[str]:
        """Return the names of mmfer's models that come with weights."""
        return list_models(pattern, weights=True)
