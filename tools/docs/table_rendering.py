"""Tables of Markdown pages, rendered from CSV files."""

import csv
import re
from pathlib import Path
from string import Formatter
from typing import Dict, List

TABLE = re.compile(
    r'(?P<head><!-- table: (?P<file>\S+)\n(?P<spec>.*?)\n-->\n)'
    r'(?P<body>.*?)(?P<tail><!-- /table -->)',
    re.DOTALL,
)
OPTIONAL = re.compile(r'\[([^][]*\{[^][]*)\](?!\()')


def read_rows(path: Path) -> List[Dict[str, str]]:
    """Read the rows of a CSV file, all cells as text."""
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def fill(template: str, row: Dict[str, str]) -> str:
    """Fill a format string with the cells of a row.

    Args:
        template (str): Format string whose fields are columns of the table.
        row (dict[str, str]): Cells by column.

    Returns:
        str: Filled text; empty if a field outside of brackets is empty.

    Raises:
        ValueError: The table has no such column.
    """

    def names(text: str) -> List[str]:
        return [name for _, name, _, _ in Formatter().parse(text) if name]

    for name in names(template):
        if name not in row:
            raise ValueError(
                f'the table has no column {name!r}, only {", ".join(row)}: '
                'correct the comment above the table.'
            )
    template = OPTIONAL.sub(
        lambda part: part[1] if all(row[name] for name in names(part[1])) else '',
        template,
    )
    if not all(row[name] for name in names(template)):
        return ''
    # A format such as `.2f` needs a number; without one, text stays as typed.
    values: Dict[str, object] = {}
    for _, name, spec, _ in Formatter().parse(template):
        if name:
            values[name] = float(row[name]) if spec else row[name]
    return template.format(**values)


def render(rows: List[Dict[str, str]], spec: str) -> str:
    """Render a Markdown table.

    Args:
        rows (list[dict[str, str]]): Rows of the CSV file.
        spec (str): Lines ``header: format string``; ``where:
            column=value,value`` selects rows.
    """
    headers, templates = [], []
    for line in spec.splitlines():
        header, _, template = line.partition(':')
        if header == 'where':
            name, _, value = template.strip().partition('=')
            rows = [row for row in rows if row[name] in value.split(',')]
        else:
            headers.append(header)
            templates.append(template.strip())
    lines = [headers, *([fill(part, row) for part in templates] for row in rows)]
    text = ['| ' + ' | '.join(line) + ' |\n' for line in lines]
    text.insert(1, '|' + '---|' * len(headers) + '\n')
    # Markdown needs one space in an empty cell.
    return re.sub('(?<=[|]) +(?=[|])', ' ', ''.join(text))


def update(text: str, results: Path) -> str:
    """Return a page with all of its tables rendered again.

    Args:
        text (str): Text of the page.
        results (Path): Folder of the CSV files.
    """

    def replace(table: 're.Match[str]') -> str:
        rows = read_rows(results / table['file'])
        return f'{table["head"]}\n{render(rows, table["spec"])}\n{table["tail"]}'

    return TABLE.sub(replace, text)
