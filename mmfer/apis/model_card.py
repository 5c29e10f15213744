"""Model card of a published model: its sections, its numbers, and a draft."""

import csv
import io
import re
from typing import Any, Dict, List, NamedTuple, Optional

from .model_record import UNKNOWN

# Sections that a card must have, with what a draft says in them.
SECTIONS: Dict[str, str] = {
    'Intended use': 'TODO: who uses the model, for what.',
    'Not intended': 'TODO: what the model must not be used for. An expression is not '
    'an emotion.',
    'Training data': '',
    'Annotators': '',
    'Accuracy': '',
    'Accuracy per class': '',
    'Confusion': '',
    'Rejection': '',
    'Calibration': '',
    'What is unknown': 'TODO: age, skin, sex and origin of the people in the images.',
    'Law': 'TODO: where recognising emotions is restricted by law. Name at least '
    'Regulation (EU) 2024/1689, Article 5(1)(f).',
}
# Words that a section must have, because they are what a reader asks first.
WORDS = {'What is unknown': ('age', 'skin', 'sex'), 'Law': ('2024/1689', '5(1)(f)')}
HEADING = re.compile(r'^#{2,3} +(.+?) *$', re.MULTILINE)


def sections_of(text: str) -> Dict[str, str]:
    """Return the text of each section of a Markdown page, by its heading."""
    parts = HEADING.split(text)
    return {title: body.strip() for title, body in zip(parts[1::2], parts[2::2])}


class CardTable(NamedTuple):
    """A table that a card must have.

    Attributes:
        section (str): Section of the card.
        suffix (str): End of the name of its CSV file.
        header (list[str]): Names of the columns, which are fields of a format string.
        rows (list[list[str]]): Cells, as they are shown.
    """

    section: str
    suffix: str
    header: List[str]
    rows: List[List[str]]

    def lines(self) -> List[str]:
        """Return the rows in Markdown, without a header."""
        return [_line(row) for row in self.rows]


def _line(cells: List[str]) -> str:
    """Render a row as tools/docs/render_tables.py does: one space in an empty cell."""
    return re.sub('(?<=[|]) +(?=[|])', ' ', f'| {" | ".join(cells)} |')


def _shown(value: Any) -> str:
    """Return a cell: two decimals of a number with a fraction, nothing for None."""
    if value is None:
        return ''
    return f'{value:.2f}' if isinstance(value, float) else str(value)


def card_tables(record: dict) -> List[CardTable]:
    """Return the tables that a card must have, with the numbers of its record.

    Args:
        record (dict): Complete record, see :func:`mmfer.apis.model_record.
            missing_items`.
    """
    found = record['evaluation']

    def table(section: str, suffix: str, header: List[str], rows: List[list]):
        return CardTable(
            section, suffix, header, [[_shown(v) for v in row] for row in rows]
        )

    def columns(entries: List[dict], *keys: str) -> List[list]:
        return [[entry[key] for key in keys] for entry in entries]

    names = [entry['name'] for entry in found['classes']]
    return [
        table(
            'Training data',
            'training',
            ['label', 'images'],
            [list(pair) for pair in zip(names, record['data']['training_labels'])],
        ),
        table(
            'Accuracy',
            'accuracy',
            ['measure', 'value'],
            [
                ['images', found['images']],
                ['correct', found['correct']],
                ['accuracy', found['accuracy']],
                ['mean class accuracy', found['mean_class']],
            ],
        ),
        table(
            'Accuracy per class',
            'classes',
            ['class', 'images', 'correct', 'accuracy'],
            columns(found['classes'], 'name', 'images', 'correct', 'accuracy'),
        ),
        table(
            'Confusion',
            'confusion',
            ['label', *names],
            [[name, *row] for name, row in zip(names, found['confusion'])],
        ),
        table(
            'Rejection',
            'rejection',
            ['rejected', 'accuracy'],
            [
                [f'{100 * entry["rejected"]:.0f} %', entry['accuracy']]
                for entry in found['rejection']
            ],
        ),
        table(
            'Rejection',
            'thresholds',
            ['promised', 'kept', 'wrong', 'error'],
            [
                [f'{100 * entry["promised"]:.0f} %', *values]
                for entry, values in zip(
                    found['thresholds'],
                    columns(found['thresholds'], 'kept', 'wrong', 'error'),
                )
            ],
        ),
        table('Calibration', 'calibration', ['measure', 'value'], _calibration(record)),
    ]


def _calibration(record: dict) -> List[list]:
    """Return the rows of the calibration on the test set and on held-out images.

    Args:
        record (dict): Complete record.
    """
    found = record['evaluation']
    rows = [
        ['mean confidence', found['mean_confidence']],
        ['accuracy', found['accuracy']],
        ['expected calibration error', found['calibration_error']],
    ]
    held_out: Optional[dict] = record.get('calibration')
    if held_out:
        rows += [
            ['temperature', held_out['temperature']],
            ['held-out images', held_out['images']],
            ['error on them before', 100 * held_out['error_before']],
            ['error on them after', 100 * held_out['error_after']],
        ]
    return rows


def csv_files(record: dict, prefix: str) -> Dict[str, bytes]:
    """Return the tables of a card as CSV files, by path.

    Args:
        record (dict): Complete record.
        prefix (str): Beginning of the paths, before ``_classes.csv`` and others.
    """
    files = {}
    for table in card_tables(record):
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows([table.header, *table.rows])
        files[f'{prefix}_{table.suffix}.csv'] = text.getvalue().encode()
    return files


def card_problems(text: str, record: dict) -> List[str]:
    """Return what a model card lacks, a line for each problem.

    Args:
        text (str): The card, in Markdown. Each section is a heading of second or third
            level.
        record (dict): Complete record of the model.
    """
    found = sections_of(text)
    lines = []
    if record['name'] not in text:
        lines.append(f'the card does not name the model, {record["name"]}')
    for title in SECTIONS:
        body = found.get(title)
        if body is None:
            lines.append(f'the section "{title}" is missing')
        elif not body or 'TODO' in body:
            lines.append(f'the section "{title}" is not written yet')
        else:
            lines += [
                f'the section "{title}" does not mention "{word}"'
                for word in WORDS.get(title, ())
                if word not in body
            ]
    for table in card_tables(record):
        written = set(map(str.strip, found.get(table.section, '').splitlines()))
        lines += [
            f'the section "{table.section}" has no row "{row}", as the record has it'
            for row in table.lines()
            if row not in written
        ]
    if record.get('cleaning') and 'clean' not in found.get('Training data', ''):
        lines.append(
            'the section "Training data" does not say that labels were cleaned'
        )
    for key in ('terms', 'annotators'):
        value = record['data'][key]
        if UNKNOWN.fullmatch(value) and 'unknown' not in text.lower():
            lines.append(f'the card does not say that data.{key} is unknown')
    return lines


def draft_card(record: dict) -> str:
    """Return a card with all that the record knows; the rest is marked TODO.

    Args:
        record (dict): Complete record, except for ``model_card``.
    """
    data, found = record['data'], record['evaluation']
    texts = dict(SECTIONS)
    texts['Training data'] = (
        f'{data["name"]}, {data["training_images"]} images. Terms: {data["terms"]}. '
        f'Label noise: {record["label_noise"]}.'
    )
    cleaning = record.get('cleaning')
    if cleaning:
        counts = [cleaning.get(name, 0) for name in ('keep', 'relabel', 'drop')]
        texts['Training data'] += (
            f' Labels were cleaned before the training: of {sum(counts)}, '
            f'{counts[1]} were changed and {counts[2]} dropped.'
        )
    texts['Annotators'] = f'{data["annotators"]}.'
    where = f'Measured on {found["data_set"]}, {found["split"]}, in per cent.'
    for table in card_tables(record):
        head = [_line(table.header), '|' + '---|' * len(table.header)]
        if not table.rows:
            continue
        texts[table.section] = texts[table.section] or where
        texts[table.section] += '\n\n' + '\n'.join([*head, *table.lines()])
    body = ''.join(f'\n## {title}\n\n{text}\n' for title, text in texts.items())
    return f'# Model card: {record["name"]}\n{body}'
