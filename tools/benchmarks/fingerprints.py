"""Hash the results of short runs, to check that two versions compute the same.

    python tools/benchmarks/fingerprints.py OUT.csv [CONFIG ...]

The tool trains each config for two epochs on a few hundred drawn faces, on one
thread. Then it hashes the weights and the score table. If a change of the code does
not change what is computed, the file stays the same:

    git worktree add ../before COMMIT
    (cd ../before && PYTHONPATH=$PWD python tools/benchmarks/fingerprints.py
        ../before.csv)
    python tools/benchmarks/fingerprints.py after.csv && cmp before.csv after.csv
"""

import argparse
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

import torch
from mmengine.config import Config

from mmfer.utils.checkpoint_names import read_last

ROOT = Path(__file__).parents[2]
# Columns with names for human readers. All other columns are compared.
NAMES_OF_CLASSES = ('given_class', 'suggested_class', 'clean_class')
OPTIONS = (
    'train_cfg.max_epochs=2 train_dataloader.dataset.num_samples=512 '
    'val_dataloader.dataset.num_samples=128'
).split()
# Options that count epochs; two epochs are too few for what configs state.
SCHEDULES = ('relabel_epoch', 'ramp_epochs', 'warmup_epochs', 'truncate_from')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Hash the results of short runs')
    parser.add_argument('out', help='CSV file to write')
    text = 'configs on drawn faces; defaults to every *_synthfaces_noise30'
    parser.add_argument('configs', nargs='*', help=text)
    return parser.parse_args()


def hash_weights(path: str) -> str:
    """Return the SHA-256 of the names and bytes of all tensors of a checkpoint."""
    state = torch.load(path, map_location='cpu', weights_only=True)
    digest = hashlib.sha256()
    for name, tensor in sorted(state['state_dict'].items()):
        digest.update(name.encode())
        bits = tensor.contiguous().reshape(-1).view(torch.uint8)
        digest.update(bits.numpy().tobytes())
    return digest.hexdigest()


def hash_scores(path: Path) -> str:
    """Return the SHA-256 of a score table without the names of classes."""
    if not path.is_file():
        return 'none'
    digest = hashlib.sha256()
    with open(path, newline='', encoding='utf-8') as file:
        for row in csv.DictReader(file):
            digest.update(
                repr(
                    [(n, v) for n, v in row.items() if n not in NAMES_OF_CLASSES]
                ).encode()
            )
    return digest.hexdigest()


def earlier(cfg: Config) -> List[str]:
    """Return options by which all parts of a schedule begin after one epoch."""
    parts = {'train_cfg': cfg.train_cfg, 'model': cfg.model}
    parts['model.head'] = cfg.model.get('head', {})
    return [f'{path}.{k}=1' for path, x in parts.items() for k in SCHEDULES if k in x]


def fingerprint(config: Path) -> dict:
    """Train a config for two epochs, and hash its weights and its score table."""
    options = [*OPTIONS, *earlier(Config.fromfile(config))]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, 'tools/train.py', str(config), '--work-dir', folder]
        done = subprocess.run(
            [*command, '--cfg-options', *options],
            cwd=ROOT,
            env=dict(os.environ, OMP_NUM_THREADS='1'),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise SystemExit(f'{config}: the run failed.\n{done.stdout}')
        last = read_last(folder)
        assert last is not None, 'the run has written a checkpoint'
        scores = hash_scores(Path(folder, 'sample_scores.csv'))
        row = dict(config=config.stem, weights=hash_weights(last), scores=scores)
        print(*row.values(), flush=True)
        return row


def main() -> None:
    args = parse_args()
    configs = [Path(c) for c in args.configs] or sorted(
        p.relative_to(ROOT) for p in ROOT.glob('configs/*/*_synthfaces_noise30.py')
    )
    rows = list(map(fingerprint, configs))
    with open(args.out, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


if __name__ == '__main__':
    main()
