"""Interfaces that models and heads must have, and those they may have.

A model is a ``BaseModel`` of mmengine. The engine, GAAVE, the sample-score
table and the inferencer call the methods of that class, and otherwise only
those listed here.

- A method of one network is a head, and a neck if it needs one, in a
  :class:`~mmfer.models.FERClassifier`. The head follows :class:`Head`.
- A method of two networks derives from :class:`~mmfer.models.DualNetwork`.
  ``NoiseModelHook`` fits its label noise models.

Both classes have everything below that is not marked as optional.

Callers use the functions ``predict_batch`` and ``score_labels`` of
:mod:`mmfer.models.predictions`, and ``predicts_classes`` of
:mod:`mmfer.models.utils`. They use the method of the model if it has one,
else that of its head. They also accept a classifier of mmpretrain, which
follows no protocol of mmfer.

In all shapes B is the batch size, C the number of classes, and N the number
of training samples.
"""

from typing import Any, Dict, List, Mapping, Optional, Protocol, runtime_checkable

from mmpretrain.structures import DataSample
from torch import Tensor, nn


@runtime_checkable
class PredictsBatch(Protocol):
    """A head or a model that predicts tensors.

    The mixin :class:`~mmfer.models.predictions.BatchPrediction` adds
    ``predict``, which returns the same as data samples.
    """

    def predict_batch(self, inputs: Any) -> Dict[str, Tensor]:
        """Predict a batch of images.

        Args:
            inputs: A model gets prepared images (B, channels, H, W). A head
                gets the features that the neck or backbone returns.

        Returns:
            dict[str, Tensor]: Each value has B rows.

            - ``pred_score``: probabilities (B, C). Required unless
              ``predicts_classes`` is False.
            - ``uncertainty``: (B, ); larger is less sure. Required with
              ``pred_score``.
            - ``pred_va``: valence and arousal (B, 2). Only methods that
              predict them return it.
            - Any further name: data that :meth:`ScoresLabels.score_labels`
              needs for each sample, such as ``network_scores`` (B, 2, C) of
              two networks.
        """


@runtime_checkable
class ScoresLabels(Protocol):
    """Optional: a head or a model with its own measure of label noise.

    Without it the ``noise_score`` of the sample-score table is one minus the
    predicted probability of the given label.
    """

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Score the given labels of the training set.

        It is called once, after the last epoch. The predictions are for
        unaugmented images.

        Args:
            predictions (Mapping[str, Tensor]): Everything that
                ``predict_batch`` returned, for the whole training set: the
                same names, with N rows, on the CPU, in float32. Also
                ``sample_id``, int64 (N, ), for methods that keep values for
                each sample.
            labels (Tensor): Given labels, int64 (N, ).

        Returns:
            dict[str, Tensor]: Columns of the sample-score table, each (N, ).
            ``noise_score`` is required: larger is more suspicious. Other
            names become columns to the left of it, in this order.
        """


@runtime_checkable
class PredictsClasses(Protocol):
    """Optional: a head or a model that says whether it predicts classes.

    Without it the answer is yes. A model that predicts only valence and
    arousal answers no. Its run then writes no sample-score table, and
    ``RelabelHook`` does not accept it.
    """

    @property
    def predicts_classes(self) -> bool:
        """Whether ``predict_batch`` returns ``pred_score``."""


class Head(PredictsBatch, Protocol):
    """Head of a method, the last part of a classifier."""

    def loss(
        self, feats: Any, data_samples: List[DataSample], **kwargs: Any
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            feats: Features of a batch, as the neck or backbone returns them.
            data_samples (list[DataSample]): B samples with ``gt_label``.
            **kwargs (Any): Options of mmpretrain's heads; may be ignored.

        Returns:
            dict[str, Tensor]: Scalars. mmengine minimises the sum of those
            that have ``loss`` in their name, and logs the others. Give several
            losses names such as ``loss_cls``: the log has their sum as ``loss``,
            which a part of this name would replace.
        """


class Preprocessor(Protocol):
    """Data preprocessor of a classifier, such as ``FERDataPreprocessor``."""

    # (C, H, W) of a prepared image.
    input_shape: tuple
    # Number of classes; None if neither data set nor config states it.
    num_classes: Optional[int]


class Classifier(PredictsBatch, Protocol):
    """A model of one or more networks that the engine can train."""

    data_preprocessor: nn.Module

    def __call__(
        self,
        inputs: Tensor,
        data_samples: Optional[List[DataSample]] = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run the model, see mmengine's ``BaseModel.forward``.

        Args:
            inputs (Tensor): Prepared images (B, channels, H, W).
            data_samples (list[DataSample], optional): Needed in mode
                ``'loss'``.
            mode (str): ``'tensor'`` returns logits (B, C), or one such tensor
                for each network; GAAVE attacks these logits. ``'loss'``
                returns the losses of :meth:`Head.loss`. ``'predict'`` returns
                a data sample for each image.
        """


class FollowsEpochs(Protocol):
    """A model whose loss depends on the epoch, such as ``DualNetwork``.

    ``NoiseModelHook`` tells it the epoch.
    """

    def start_epoch(self, epoch: int) -> None:
        """Store the number (0-based) of the epoch that begins."""


@runtime_checkable
class FollowsTraining(Protocol):
    """Optional: a model, head or other part that wants to know of the training.

    ``SampleStateHook``, one of the default hooks, calls it.
    :class:`~mmfer.models.sample_state.SampleTables` implements it.
    """

    def start_training(self, facts: Any) -> None:
        """Prepare for a training, before weights of a checkpoint are loaded.

        Args:
            facts (TrainingFacts): See
                :class:`~mmfer.models.sample_state.TrainingFacts`.

        Raises:
            ValueError: The training is too short for the method.
        """

    def start_epoch(self, epoch: int) -> None:
        """Store the number (0-based) of the epoch that begins."""


@runtime_checkable
class KeepsSampleState(Protocol):
    """Optional: a part that :class:`FollowsTraining`, with state for a checkpoint."""

    def sample_state(self) -> Dict[str, Tensor]:
        """Return the state, the same in all processes: tensors on the CPU."""

    def load_sample_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the state of a checkpoint, after ``start_training``."""


@runtime_checkable
class RefreshesSamples(Protocol):
    """Optional: a part that :class:`FollowsTraining`, and looks at all samples.

    Before some epochs, ``SampleStateHook`` predicts all training samples with the
    current weights, in eval mode and without augmentation.
    """

    def refresh_due(self, epoch: int) -> bool:
        """Return whether the part wants predictions before an epoch (0-based)."""

    def refresh(self, ids: Tensor, scores: Tensor, labels: Tensor) -> None:
        """Take predictions of n training samples, on the CPU.

        Args:
            ids (Tensor): Sample ids, int64 (n, ).
            scores (Tensor): Probabilities, float32 (n, C).
            labels (Tensor): Current labels, int64 (n, ).
        """


@runtime_checkable
class ChangesLabels(Protocol):
    """Optional: a part that :class:`FollowsTraining`, and keeps labels of its own.

    ``history.json`` then says for each epoch how many labels were changed, and
    ``used_label`` in ``sample_scores.csv`` is the label in the last epoch. The data
    set keeps the given labels.
    """

    def changed_labels(self) -> Optional[Tensor]:
        """Return the new label of each training sample.

        Returns:
            Tensor, optional: int64 (N, ), by ``sample_id``; -1 for a label that was
            not changed. None if the options of the method let no label change.
        """


@runtime_checkable
class KeepsEpochState(Protocol):
    """Optional: a model that collects something during an epoch.

    Its weights and buffers are in every checkpoint. A checkpoint inside an epoch
    needs the rest too, so that the run goes on from there as if it had never been
    stopped.
    """

    def epoch_state(self) -> Dict[str, Any]:
        """Return what this process has collected in this epoch.

        Returns:
            dict: Tensors on the CPU, numbers and texts, in dicts and lists.
        """

    def load_epoch_state(self, states: List[Dict[str, Any]]) -> None:
        """Go on from the state of an epoch that was interrupted.

        It is called after ``start_epoch``.

        Args:
            states (list[dict]): Results of :meth:`epoch_state`: that of this
                process, or if the run had another number of processes, those of
                all of them in the first process, and none in the others.
        """
