"""Metafiles of the model index, made from configs and from ``docs/results``."""

import csv
from pathlib import Path
from typing import Dict, List

import yaml
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
TASK = 'Facial Expression Recognition'
HEADER = (
    '# Written by python tools/docs/write_metafiles.py. Change results.yml beside it,\n'
    '# the configs or docs/results, not this file.\n'
)
KEYS = {'Name', 'Architecture', 'Paper', 'Code', 'Models'}
MODEL_KEYS = {'Config', 'Options', 'Table', 'Row', 'Seeds', 'Weights', 'Metrics'}
NAMES = {'NoisyCIFAR10': 'CIFAR-10', 'NoisyCIFAR100': 'CIFAR-100', 'RAFDB': 'RAF-DB'}


def metafile(method: str, version: str) -> str:
    """Return the text of ``configs/<method>/metafile.yml``.

    Args:
        method (str): Folder in ``configs``, with a ``results.yml``.
        version (str): Version of mmfer.

    Raises:
        ValueError: ``results.yml`` has an unknown key, or names no row of a table.
        FileNotFoundError: A config or a table does not exist.
    """
    path = ROOT / 'configs' / method / 'results.yml'
    source = yaml.safe_load(path.read_text(encoding='utf-8'))
    refuse_unknown(path, source, KEYS)
    collection = dict(
        Name=source['Name'], Metadata=dict(Architecture=source['Architecture'])
    )
    if 'Paper' in source:
        collection['Paper'] = source['Paper']
    # The checker of modelindex looks for this file beside the metafile.
    collection['README'] = 'README.md'
    collection['Code'] = dict(URL=source['Code'], Version=f'v{version}')
    models = []
    for entry in source['Models']:
        refuse_unknown(path, entry, MODEL_KEYS)
        models.append(model(method, source['Name'], entry))
    content = dict(Collections=[collection], Models=models)
    return HEADER + yaml.safe_dump(
        content, sort_keys=False, allow_unicode=True, width=1000
    )


def refuse_unknown(path: Path, entry: dict, known: set) -> None:
    """Raise a ValueError if an entry of a file has an unknown key."""
    if unknown := set(entry) - known:
        raise ValueError(
            f'{path}: unknown {", ".join(unknown)}; known: {sorted(known)}.'
        )


def model(method: str, collection: str, entry: dict) -> dict:
    """Return a model of a metafile: facts of its config, numbers of its table row."""
    config = f'configs/{method}/{entry["Config"]}.py'
    cfg = Config.fromfile(str(ROOT / config))
    # Options with which the config was run, as after --cfg-options.
    cfg.merge_from_dict(entry.get('Options', {}))
    row = find_row(entry['Table'], entry['Row'])
    test = cfg.test_dataloader.dataset
    metrics = {
        name: number(entry['Table'], row, column)
        for name, column in entry['Metrics'].items()
    }
    dataset = f'{NAMES.get(test.type, test.type)} {test.split}'
    found = {
        'Name': entry['Config'],
        'In Collection': collection,
        'Config': config,
        'Metadata': {
            'Training Data': training_data(cfg.train_dataloader.dataset),
            'Epochs': cfg.train_cfg.max_epochs,
            'Batch Size': cfg.train_dataloader.batch_size,
            'Seeds': str(entry.get('Seeds') or row['seeds']),
        },
        'Results': [dict(Task=TASK, Dataset=dataset, Metrics=metrics)],
    }
    return found | ({'Weights': entry['Weights']} if 'Weights' in entry else {})


def find_row(table: str, wanted: Dict[str, str]) -> Dict[str, str]:
    """Return the only row of a table whose cells are as wanted."""
    with open(ROOT / 'docs/results' / table, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    found = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
    if len(found) != 1:
        raise ValueError(
            f'docs/results/{table}: {len(found)} rows have {wanted}, not 1.'
        )
    return found[0]


def number(table: str, row: Dict[str, str], column: str) -> float:
    """Return a measured number; a missing one is an error."""
    if not row.get(column):
        raise ValueError(f'docs/results/{table}: {column!r} was not measured: {row}.')
    return float(row[column])


def training_data(dataset: dict) -> str:
    """Describe the training set of a config: its name, its part, and its noise."""
    parts: List[str] = [f'{NAMES.get(dataset.type, dataset.type)} {dataset.split}']
    if 'indices' in dataset:
        parts.append(f'the first {dataset.indices} images')
    for key in ('label_noise', 'va_noise'):
        noise = dataset.get(key)
        for part in [] if noise is None else noise.get('generators', [noise]):
            size = part.get('rate', part.get('std'))
            parts.append(f'{part.type} {size}')
    return ', '.join(parts)
