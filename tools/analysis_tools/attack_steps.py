"""Steps that predictions survive GAAVE's attack, and who is in doubt.

    python tools/analysis_tools/attack_steps.py sample_scores.csv

draws, for each subset, the histogram that its threshold divides. The table is
that of ``tools/clean_labels.py``, or of a training with a GAAVEHook.
"""
import argparse
import csv

import numpy as np

from mmfer.cli import run_tool, save_figure
from mmfer.methods.gaave import Judgement
from mmfer.methods.gaave.report import plot_steps

TYPES = dict(
    sample_id=np.int64, given_label=np.int64, subset=np.int64,
    attack_steps=float, given_probability=float, candidate=bool,
    suggested_label=np.int64, decision=str, noise_score=float)


def read_judgement(path: str) -> Judgement:
    """GAAVE's columns of a sample-score table.

    Raises:
        ValueError: It lacks some.
    """
    with open(path, newline='', encoding='utf-8-sig') as file:
        rows = list(csv.DictReader(file))
    missing = [c for c in Judgement._fields if not rows or c not in rows[0]]
    if missing:
        raise ValueError(
            f'{path} has no column {", ".join(missing)}; it must be a table '
            'of GAAVE, see tools/clean_labels.py.')
    # The hook writes what is true as a number with or without a point.
    return Judgement(**{
        name: np.array([row[name] for row in rows]) if kind is str else
        np.array([float(row[name]) for row in rows]).astype(kind)
        for name, kind in TYPES.items()
    })


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table')
    parser.add_argument('--out', default='attack_steps.png')
    args = parser.parse_args()
    save_figure(plot_steps(read_judgement(args.table)), args.out)


if __name__ == '__main__':
    run_tool(main)
