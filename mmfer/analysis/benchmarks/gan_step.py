"""Cost of a step of the joint-distribution GAN, compared with its parts."""

import argparse
import os.path as osp
import time

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmfer.compat import keep_freed_memory
from mmfer.methods.jointgan.game import draw_latents, frozen
from mmfer.methods.jointgan.losses import generator_loss
from mmfer.registry import MODELS
from mmfer.utils.devices import synchronize


def random_batch(model, batch_size: int) -> dict:
    """Draw random images, and random labels of all label sets of the model."""
    rng = np.random.default_rng(0)
    sets = model.label_sets
    classes = [sets.entries[i] for i in sets.discrete]
    samples = []
    for _ in range(batch_size):
        labels = rng.integers(0, classes)
        sample = DataSample().set_gt_label(int(labels[0]) if classes else 0)
        sample.set_field(labels, 'gt_label_sets')
        sample.set_field(rng.uniform(-1, 1, 2).astype('f4'), 'gt_va')
        samples.append(sample)
    shape = model.data_preprocessor.input_shape
    images = torch.from_numpy(
        rng.integers(0, 256, (batch_size, *shape), dtype=np.uint8)
    )
    return dict(inputs=images, data_samples=samples)


class Parts:
    """Training step of a model, as a whole and in parts."""

    def __init__(self, cfg: Config, batch_size: int):
        torch.manual_seed(0)
        self.model = MODELS.build(
            dict(cfg.model, data_preprocessor=cfg.data_preprocessor)
        )
        self.model.to(get_device()).train()
        self.wrappers = build_optim_wrapper(self.model, cfg.optim_wrapper)
        self.batch = random_batch(self.model, batch_size)
        data = self.model.data_preprocessor(self.batch, True)
        self.images = data['inputs']
        self.labels = self.model.label_sets.read(
            data['data_samples'], self.images.device
        )
        with torch.no_grad():
            self.tuples = self.model.make_tuples(
                self.images,
                self.model.encoder(self.images),
                self.labels,
                draw_latents(self.images, self.model.latent_dim),
            )

    def step(self) -> None:
        """Run a whole training step."""
        self.model.train_step(self.batch, self.wrappers)

    def generator(self) -> None:
        """Update encoder and decoder once, against a frozen discriminator."""
        model, wrapper = self.model, self.wrappers['generator']
        with wrapper.optim_context(model), frozen(model.discriminator):
            encoding = model.encoder(self.images)
            losses = model.encoder.head.task_losses(encoding, self.labels)
            draws = draw_latents(self.images, model.latent_dim)
            tuples = model.make_tuples(self.images, encoding, self.labels, draws)
            scores = model.score(model.discriminator, *tuples)
        total = (
            sum(losses.values())
            + model.adversarial_weight * generator_loss(*scores).mean()
        )
        wrapper.update_params(total)

    def discriminator(self) -> None:
        """Update the discriminator once."""
        before = self.model.discriminator_steps
        self.model.discriminator_steps = 1
        self.model.step_discriminator(*self.tuples, self.wrappers)
        self.model.discriminator_steps = before


def seconds(function) -> float:
    """Return the wall-clock time of a call."""
    synchronize(get_device())
    start = time.perf_counter()
    function()
    synchronize(get_device())
    return time.perf_counter() - start


def measure(args: argparse.Namespace) -> dict:
    """Run the benchmark, and return what the tool prints."""
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    init_default_scope('mmfer')
    cfg = Config.fromfile(args.config)
    parts = Parts(cfg, args.batch_size or cfg.train_dataloader.batch_size)
    forwards = []
    hook = parts.model.encoder.register_forward_hook(lambda *_: forwards.append(1))
    parts.step()
    hook.remove()
    functions = (parts.step, parts.generator, parts.discriminator)
    for function in functions:
        function()
    times = np.array(
        [[seconds(function) for function in functions] for _ in range(args.rounds)]
    )
    steps = parts.model.discriminator_steps
    ratios = times[:, 0] / (times[:, 1] + steps * times[:, 2])
    medians = np.median(times, axis=0)
    return dict(
        config=osp.splitext(osp.basename(args.config))[0],
        device=get_device(),
        threads=torch.get_num_threads(),
        rounds=args.rounds,
        discriminator_steps=steps,
        encoder_forwards=len(forwards),
        ratio=round(float(np.median(ratios)), 4),
        ratio_quartiles=np.quantile(ratios, [0.25, 0.75]).round(4).tolist(),
        step_ms=round(1e3 * float(medians[0]), 2),
        generator_ms=round(1e3 * float(medians[1]), 2),
        discriminator_ms=round(1e3 * float(medians[2]), 2),
    )
