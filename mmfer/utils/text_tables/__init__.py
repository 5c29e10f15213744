"""Reading of tables and class names, and the parts that all readers share.

The files may be written by people, spreadsheets or programs:

- Encodings and line ends: see :mod:`mmfer.utils.text_files`.
- Separators: comma, semicolon, tab.
- Quotes, empty rows and columns at the end, and the index column of pandas or
  R are handled.
- Columns are found by the header, not by position.
- Numbers: ``3`` and ``3.0``; also ``3,0``, unless the comma separates fields.
- Every error names the file, the line, what was found and what to do.

:func:`read_table` reads tables with a header, :func:`read_class_names` class
names, and :func:`~mmfer.utils.text_lists.read_list` lists of images with or
without a header.

- `tables`: tables with a header.
- `columns`: names of columns, and their places in a header.
- `rows`: splitting of lines into fields.
- `fields`: numbers, flags and names in a field.
- `class_names`, `paths`: names of classes, and paths of images.
"""

from .class_names import check_class_names, class_index, read_class_names
from .columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    Header,
    column_key,
    known_columns,
    match_columns,
)
from .fields import (
    is_number_like,
    parse_flag,
    parse_number,
    parse_numbers,
    parse_whole_number,
    parse_whole_numbers,
    suggest_name,
    unquoted,
)
from .paths import has_suffix, is_foreign_path, join_listed, path_key, relative_path
from .rows import (
    SEPARATORS,
    first_fields,
    fit_rows,
    iterate_fields,
    split_fields,
    take_separator,
)
from .tables import TextTable, find_header, read_table

__all__ = [
    'Header',
    'IMAGE_COLUMNS',
    'LABEL_COLUMNS',
    'SEPARATORS',
    'TextTable',
    'check_class_names',
    'class_index',
    'column_key',
    'find_header',
    'first_fields',
    'fit_rows',
    'has_suffix',
    'is_foreign_path',
    'is_number_like',
    'iterate_fields',
    'join_listed',
    'known_columns',
    'match_columns',
    'parse_flag',
    'parse_number',
    'parse_numbers',
    'parse_whole_number',
    'parse_whole_numbers',
    'path_key',
    'relative_path',
    'read_class_names',
    'read_table',
    'split_fields',
    'suggest_name',
    'take_separator',
    'unquoted',
]
