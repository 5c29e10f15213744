"""Steps that predictions survive GAAVE's attack, and who is in doubt.

    python tools/analysis_tools/attack_steps.py sample_scores.csv

draws, for each subset, the histogram that its threshold divides. The table is
that of ``tools/clean_labels.py``, or of a training with a GAAVEHook.
"""

import argparse

import numpy as np

from mmfer.cli import run_tool, save_figure
from mmfer.score_table import read_decision_column
from mmfer.methods.gaave import LabelDecisions
from mmfer.methods.gaave.report import plot_steps
from mmfer.utils.text_tables import read_table

TYPES = dict(
    sample_id=np.int64,
    given_label=np.int64,
    subset=np.int64,
    attack_steps=float,
    given_probability=float,
    candidate=bool,
    suggested_label=np.int64,
    decision=str,
    noise_score=float,
)


def read_label_decisions(path: str) -> LabelDecisions:
    """GAAVE's columns of a sample-score table.

    Raises:
        ValueError: It lacks some.
    """
    table = read_table(
        path,
        {name: [name] for name in LabelDecisions._fields},
        'table of GAAVE, see tools/clean_labels.py',
    )
    # The hook writes what is true as a number with or without a point.
    return LabelDecisions(
        **{
            name: np.array(read_decision_column(table))
            if kind is str
            else np.array(table.numbers(name)).astype(kind)
            for name, kind in TYPES.items()
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('table')
    parser.add_argument('--out', default='attack_steps.png')
    args = parser.parse_args()
    save_figure(plot_steps(read_label_decisions(args.table)), args.out)


if __name__ == '__main__':
    run_tool(main)
