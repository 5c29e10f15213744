"""Time and memory of the work around a model, for sets of growing size.

Each stage runs in a process of its own, on a made set (see :mod:`.made_sets`). It
runs once on a tiny set first, so that imports and caches are not counted.
"""

import ctypes
import gc
import math
import multiprocessing
import os
import os.path as osp
import pickle
import time
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, cast

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmfer.datasets import AffectNet, BalancedSampler, LabelView
from mmfer.engine.hooks.sample_scores import SampleScoresHook
from mmfer.methods.gaave import LabelDecisions
from mmfer.methods.gaave.annotation import decide
from mmfer.methods.gaave.label_decisions import noise_score
from mmfer.methods.gaave.splitting import refactor, split_head_tail
from mmfer.methods.gaave.thresholds import find_threshold
from mmfer.models.label_noise_model import LabelNoiseModel
from mmfer.score_table import FILE_NAME, write_score_table

from ..cleaning import write_results
from ..review import write_page
from .made_sets import make_affectnet

WARM_UP = 400
"""Size of the set on which every stage runs first."""

NOISE = dict(type='SymmetricNoise', rate=0.3)


class Cost(NamedTuple):
    """Cost of one stage on one set.

    Attributes:
        stage (str): Name of the stage.
        samples (int): Number of samples.
        seconds (float): Processor time, so that other programs do not count.
        peak (int): Largest growth of the resident memory, in bytes.
        kept (int): Growth that is left while the result exists, in bytes.
    """

    stage: str
    samples: int
    seconds: float
    peak: int
    kept: int


# -- the stages -----------------------------------------------------------------
def build(root: str, **options: Any) -> AffectNet:
    """Build the made training set with symmetric label noise."""
    return AffectNet(root, label_noise=NOISE, **options)


def probabilities(count: int, num_classes: int = 8) -> np.ndarray:
    """Return made predictions, float32 (N, C); each row sums to 1."""
    logits = np.random.default_rng(0).standard_normal((count, num_classes)) * 2
    return torch.from_numpy(logits).float().softmax(dim=1).numpy()


def score_table(dataset: AffectNet) -> Dict[str, np.ndarray]:
    """Return the score table of a data set with made predictions."""
    scores = probabilities(len(dataset))
    result = dict(
        sample_id=np.sort(dataset.sample_ids),
        pred_score=scores,
        uncertainty=1 - scores.max(axis=1),
    )
    runner = cast(Runner, SimpleNamespace(model=torch.nn.Identity()))
    return SampleScoresHook()._make_table(runner, dataset, result)


def made_decisions(dataset: AffectNet) -> LabelDecisions:
    """Run all steps of GAAVE's Algorithm 1 that are no training and no attack."""
    ids, labels = dataset.sample_ids, dataset.get_gt_labels()
    count = len(ids)
    split = split_head_tail(np.bincount(labels, minlength=8))
    for subset in refactor(ids, labels, split, seed=0):
        LabelView(dataset, subset.sample_ids, subset.labels, subset.num_classes)
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(count) < 0.3, 1, 10)
    tau = find_threshold(steps, 11).tau
    candidate = steps <= tau
    pseudo_labels = rng.integers(-1, 8, count)
    decision = decide(labels, candidate, pseudo_labels)
    probability = rng.random(count)
    return LabelDecisions(
        sample_id=ids,
        given_label=labels,
        subset=np.isin(labels, split.tail).astype(np.int64),
        attack_steps=steps.astype(float),
        given_probability=probability,
        candidate=candidate,
        suggested_label=np.where(decision == 'keep', labels, pseudo_labels),
        decision=decision,
        noise_score=noise_score(steps, probability, np.full(count, tau), 10, 1),
    )


def start(root: str) -> Callable[[], Any]:
    """Prepare the start of a run: read the table, check files, add noise."""
    return lambda: build(root)


def epoch(root: str) -> Callable[[], Any]:
    """Prepare an epoch without images: two samplers, labels, annotations."""
    dataset = build(root)

    def run() -> None:
        dataset.set_labels(dataset.sample_ids, dataset.get_gt_labels())
        for sampler in (BalancedSampler(dataset, seed=0), DefaultSampler(dataset)):
            for _ in sampler:
                pass
        for i in range(len(dataset)):
            dataset.get_data_info(i)

    return run


def subset(root: str) -> Callable[[], Any]:
    """Prepare to take three quarters of the samples, and to copy them."""
    dataset = build(root)
    chosen = np.flatnonzero(np.arange(len(dataset)) % 4).tolist()
    return lambda: pickle.loads(pickle.dumps(dataset.get_subset(chosen)))


def refit(root: str) -> Callable[[], Any]:
    """Prepare the fit of both kinds of mixtures, and the weights of a batch."""
    scores = torch.from_numpy(probabilities(len(build(root)))[:, 0].copy())
    models = [
        LabelNoiseModel(mixture=dict(type=f'{kind}Mixture'), min_separation=None)
        for kind in ('Beta', 'Gaussian')
    ]
    return lambda: [(model.fit(scores), model.weigh(scores)) for model in models]


def scores(root: str) -> Callable[[], Any]:
    """Prepare to write ``sample_scores.csv`` from predictions."""
    dataset = build(root)

    def run() -> None:
        table = score_table(dataset)
        table['clean_label'] = cast(np.ndarray, dataset.clean_labels)
        write_score_table(osp.join(root, FILE_NAME), table, dataset.CLASSES)

    return run


def decisions(root: str) -> Callable[[], Any]:
    """Prepare the start of a run that reads its decisions from the table."""
    scores(root)()
    return lambda: build(root, decisions=osp.join(root, FILE_NAME))


def gaave(root: str) -> Callable[[], Any]:
    """Prepare GAAVE without training and attack, and its files."""
    dataset = build(root)
    out = osp.join(root, 'cleaned')
    return lambda: write_results(out, made_decisions(dataset), {}, dataset)


def hashes(root: str) -> Callable[[], Any]:
    """Prepare to hash all images, by which GAAVE finds its stored stages."""
    dataset = build(root)
    return dataset.images_hash


def review(root: str) -> Callable[[], Any]:
    """Prepare the review page, with 10,000 images at most."""
    dataset = build(root)
    scores(root)()
    page, table = osp.join(root, 'review.html'), osp.join(root, FILE_NAME)
    return lambda: write_page(page, dataset, table, 'Review')


STAGES: Dict[str, Callable[[str], Callable[[], Any]]] = dict(
    start=start,
    subset=subset,
    epoch=epoch,
    refit=refit,
    scores=scores,
    decisions=decisions,
    gaave=gaave,
    hashes=hashes,
    review=review,
)
"""Return the stages by name: functions that prepare a stage and return it."""


# -- the measurement --------------------------------------------------------------
def resident(name: str) -> int:
    """Return a figure of this process in bytes: ``VmRSS`` or ``VmHWM``."""
    with open('/proc/self/status') as file:
        line = next(line for line in file if line.startswith(f'{name}:'))
    return 1024 * int(line.split()[1])


def release_freed() -> None:
    """Give memory that is no longer used back to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def reset_peak() -> None:
    """Set the largest resident memory to the current one."""
    with open('/proc/self/clear_refs', 'w') as file:
        file.write('5')


def measure_stage(stage: str, tiny: str, root: str, samples: int) -> Cost:
    """Measure one stage in this process.

    Args:
        stage (str): One of :data:`STAGES`.
        tiny (str): Folder of a set of :data:`WARM_UP` samples.
        root (str): Folder of the set.
        samples (int): Number of its samples.
    """
    init_default_scope('mmfer')
    torch.set_num_threads(1)
    STAGES[stage](tiny)()
    run = STAGES[stage](root)
    release_freed()
    reset_peak()
    before = resident('VmRSS')
    began = time.process_time()
    result = run()
    seconds = time.process_time() - began
    peak = resident('VmHWM') - before
    release_freed()
    kept = resident('VmRSS') - before
    del result
    return Cost(stage, samples, seconds, max(peak, 0), max(kept, 0))


def measure(sizes: Sequence[int], folder: str, stages: Sequence[str]) -> List[Cost]:
    """Make sets of several sizes and measure every stage on each of them.

    Args:
        sizes (Sequence[int]): Numbers of samples.
        folder (str): Folder for the sets. It needs 1.5 KB per sample, and as
            many names of files as there are samples.
        stages (Sequence[str]): Names from :data:`STAGES`.
    """
    os.environ['OMP_NUM_THREADS'] = '1'
    tiny = osp.join(folder, 'tiny')
    in_child(make_affectnet, tiny, WARM_UP)
    found = []
    for samples in sizes:
        root = osp.join(folder, str(samples))
        in_child(make_affectnet, root, samples)
        found += [
            in_child(measure_stage, stage, tiny, root, samples) for stage in stages
        ]
    return found


def in_child(function: Callable, *args: Any) -> Any:
    """Call a function in a new process and return its result.

    Memory that another stage has freed would hide what a stage takes, so each one
    has a process of its own. A fork needs no second import.
    """
    with multiprocessing.get_context('fork').Pool(1) as pool:
        return pool.apply(function, args)


def summarize_costs(costs: Sequence[Cost]) -> List[Dict[str, Any]]:
    """Return one row for each stage.

    Args:
        costs (Sequence[Cost]): At least two sizes for each stage, ascending.

    Returns:
        list[dict]: ``stage``; ``seconds_<N>`` of each size; ``exponent`` of the
        time between the two largest sizes; and between the same sizes, for each
        further sample, ``microseconds``, ``peak_bytes`` and ``kept_bytes``.
    """
    rows = []
    for stage in dict.fromkeys(cost.stage for cost in costs):
        mine = [cost for cost in costs if cost.stage == stage]
        small, large = mine[-2:]
        more = large.samples - small.samples
        rows.append(
            dict(
                stage=stage,
                **{f'seconds_{cost.samples}': cost.seconds for cost in mine},
                exponent=math.log(large.seconds / small.seconds)
                / math.log(large.samples / small.samples),
                microseconds=1e6 * (large.seconds - small.seconds) / more,
                peak_bytes=(large.peak - small.peak) / more,
                kept_bytes=(large.kept - small.kept) / more,
            )
        )
    return rows
