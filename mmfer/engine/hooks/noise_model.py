"""Fit the label noise models of two networks between the epochs of a run."""

import warnings
from typing import Any, Dict, List, Tuple, cast

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.evaluation.functional import auroc
from mmfer.models.dual_network import DualNetwork
from mmfer.models.label_noise_model import LabelNoiseModel
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS

from ..epoch_figures import report_figures
from ..scoring import merge_by_id, predict_training_set, training_set


def weight_figures(weights: np.ndarray, wrong: np.ndarray) -> dict:
    """Measure how well clean probabilities detect planted noise.

    Args:
        weights (np.ndarray): Clean probabilities by each network, (2, N).
        wrong (np.ndarray): Whether the given label is wrong, bool (N, ).

    Returns:
        dict: AUROC of the weights against ``wrong`` for each network and for
        their mean, and the mean weight of right and of wrong labels. Empty if
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


def dual_network(runner: Runner) -> DualNetwork:
    """Return the model of a runner; ``before_train`` has checked its type."""
    return cast(DualNetwork, unwrap_model(runner.model))


@HOOKS.register_module()
class NoiseModelHook(Hook):
    """Set the epoch of a :class:`DualNetwork`, and fit its noise models.

    The model states when they are fitted and from which scores
    (``warmup_epochs``, ``refit_interval``, ``score_source``). With several
    processes, each fits to the scores of all, so all have the same noise
    models. A fit takes place before the checkpoint of the epoch is written, so
    a resumed run has it.

    ``history.json`` records each fit. If clean labels are known, it also
    records how well the weights agree with them. No method uses these figures.
    """

    def before_train(self, runner: Runner) -> None:
        """Check that model, loop and data are compatible."""
        model = unwrap_model(runner.model)
        if not isinstance(model, DualNetwork):
            raise TypeError(
                'NoiseModelHook works with ReSup, CoTeaching, JoCoR and other '
                f'DualNetwork models, not with {type(model).__name__}: remove '
                'it from custom_hooks.'
            )
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'NoiseModelHook needs a run that is counted in epochs: set '
                'train_cfg.by_epoch=True.'
            )
        if model.score_source == 'pass' and runner._val_loop is None:
            raise ValueError(
                "model.score_source='pass' needs the validation pipeline, and "
                'validation is switched off. Switch it on (omit --no-validate), or '
                "set score_source='epoch', which DivideMix does not have."
            )
        model.check_schedule(runner.max_epochs)
        training_set(runner)
        if not runner.epoch:
            # Weights of another run may contain the fits of that run.
            model.reset_noise_models()

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the epoch; warm-up, forget rate and collection depend on it."""
        dual_network(runner).start_epoch(runner.epoch)

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Set the progress, on which ramps of a loss depend."""
        progress = runner.iter / len(runner.train_dataloader)
        dual_network(runner).progress = progress

    def after_train_epoch(self, runner: Runner) -> None:
        """Fit the noise models if the model asks for it."""
        model = dual_network(runner)
        if not model.refit_due(runner.epoch):
            return
        ids, agreements = self._agreements(runner)
        values = torch.from_numpy(agreements)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            taken = model.fit_noise_models(values, torch.from_numpy(ids))
        for warning in caught:
            runner.logger.warning(str(warning.message))
        noise_models = cast(List[LabelNoiseModel], list(model.noise_models))
        mixtures = [m.mixture for m in noise_models]
        figures: Dict[str, Any] = dict(
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
            'Noise rate that the noise models of both networks estimate from '
            f'{len(ids)} samples: {rates}.'
        )
        dataset = training_set(runner)
        if dataset.clean_labels is not None and any(m.fitted for m in noise_models):
            weights = model.clean_probability(values).cpu().numpy()
            # A hook may have changed labels, so compare the current ones.
            wrong = dataset.all_labels.numpy() != dataset.clean_labels
            figures.update(weight_figures(weights, wrong[ids]))
        report_figures(runner, figures)

    def _agreements(self, runner: Runner) -> Tuple[np.ndarray, np.ndarray]:
        """Return ids (N, ) and agreements (2, N) of all scored samples."""
        model = dual_network(runner)
        if model.score_source == 'epoch':
            return merge_by_id(*model.take_collected(), axis=1)
        result = predict_training_set(
            runner, augment=model.score_source == 'augmented_pass'
        )
        ids = result['sample_id']
        labels = training_set(runner).all_labels[torch.from_numpy(ids)]
        scores = torch.from_numpy(result['network_scores'])
        return ids, model.measure_scores(scores, labels).numpy()
