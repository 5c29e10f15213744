"""Fit the label noise models of two networks between epochs."""

import warnings
from typing import List, Tuple

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.evaluation.functional import auroc
from mmfer.models.dual_network import DualNetwork
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS

from ..scoring import predict_training_set, training_set


def merge_by_sample(
    parts: List[Tuple[np.ndarray, np.ndarray]],
) -> Tuple[np.ndarray, np.ndarray]:
    """Join what the processes measured, every sample once, in one order.

    The sampler repeats samples to give each process equally many; of such a
    sample the first process's value is taken. Without an order, sums over
    the samples would depend on how they were dealt out.

    Args:
        parts (list[tuple]): ``sample_id`` (n, ) and values (K, n) of each
            process.

    Returns:
        tuple[np.ndarray, np.ndarray]: Ascending ids (N, ), values (K, N).
    """
    ids = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts], axis=1)
    ids, first = np.unique(ids, return_index=True)
    return ids, values[:, first]


def weight_figures(weights: np.ndarray, wrong: np.ndarray) -> dict:
    """How well clean probabilities tell planted noise.

    Args:
        weights (np.ndarray): Of each network, (2, N).
        wrong (np.ndarray): bool (N, ).

    Returns:
        dict: AUROC of each network's and of the mean weight against
        ``wrong``, and mean weights of right and of wrong labels. Empty when
        no label is wrong, or all are.
    """
    mean = weights.mean(axis=0)
    if auroc(-mean, wrong) is None:
        return {}
    return dict(
        weight_auroc=auroc(-mean, wrong),
        weight_auroc_1=auroc(-weights[0], wrong),
        weight_auroc_2=auroc(-weights[1], wrong),
        mean_weight_right=float(mean[~wrong].mean()),
        mean_weight_wrong=float(mean[wrong].mean()),
    )


@HOOKS.register_module()
class NoiseModelHook(Hook):
    """Tell a :class:`DualNetwork` the epoch, and fit its noise models.

    When and from which scores is said in the model (``warmup_epochs``,
    ``refit_interval``, ``score_source``). With several processes all of them
    fit to all scores, and so come to the same models. Fits happen before the
    checkpoint of the epoch is written, so that a resumed run has them.

    ``history.json`` notes each fit; where clean labels are known, with
    figures of the weights against them, which nothing else reads.
    """

    def before_train(self, runner: Runner) -> None:
        """Check that model, loop and data fit together."""
        model = unwrap_model(runner.model)
        if not isinstance(model, DualNetwork):
            raise TypeError(
                'NoiseModelHook serves ReSup, CoTeaching, JoCoR and other '
                f'DualNetwork models, not {type(model).__name__}: remove it '
                'from custom_hooks.'
            )
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'NoiseModelHook needs training by epoch: set train_cfg.by_epoch=True.'
            )
        if model.score_source == 'pass' and runner._val_loop is None:
            raise ValueError(
                "score_source='pass' predicts with the validation pipeline: "
                "switch validation on, or take 'epoch'."
            )
        model.check_schedule(runner.max_epochs)
        training_set(runner)
        if not runner.epoch:
            # Weights from another training bring its fits with them.
            model.reset_noise_models()

    def before_train_epoch(self, runner: Runner) -> None:
        """Warm-up, forget rate and collection depend on the epoch."""
        unwrap_model(runner.model).start_epoch(runner.epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Fit, if it is time to."""
        model = unwrap_model(runner.model)
        if not model.refit_due(runner.epoch):
            return
        ids, agreements = self._agreements(runner)
        values = torch.from_numpy(agreements)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            taken = model.fit_noise_models(values)
        for warning in caught:
            runner.logger.warning(str(warning.message))
        mixtures = [m.mixture for m in model.noise_models]
        figures = dict(
            samples=len(ids),
            fit_taken=taken,
            noise_rate=[m.noise_rate if t else None for m, t in zip(mixtures, taken)],
            separation=[m.separation if t else None for m, t in zip(mixtures, taken)],
        )
        rates = ' and '.join(
            'fit not taken' if rate is None else f'{rate:.1%}'
            for rate in figures['noise_rate']
        )
        runner.logger.info(
            'Noisy labels by the noise models of both '
            f'networks, {len(ids)} samples: {rates}.'
        )
        dataset = training_set(runner)
        if dataset.clean_labels is not None and any(
            m.fitted for m in model.noise_models
        ):
            weights = model.clean_probability(values).cpu().numpy()
            # A hook may have changed labels since they were given.
            wrong = dataset.all_labels.numpy() != dataset.clean_labels
            figures.update(weight_figures(weights, wrong[ids]))
        runner.message_hub.update_info('epoch_figures', figures)

    def _agreements(self, runner: Runner) -> Tuple[np.ndarray, np.ndarray]:
        """Of all training samples seen: ids (N, ) and values (2, N)."""
        model = unwrap_model(runner.model)
        if model.score_source == 'epoch':
            return merge_by_sample(all_gather_object(model.take_collected()))
        result = predict_training_set(
            runner, augment=model.score_source == 'augmented_pass'
        )
        ids = result['sample_id']
        labels = training_set(runner).all_labels[torch.from_numpy(ids)]
        scores = torch.from_numpy(result['network_scores'])
        return ids, model.measure_scores(scores, labels).numpy()
