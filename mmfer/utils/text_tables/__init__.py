"""The one reader of tables, and what all readers of text share.

Whatever a person, a spreadsheet or another program has saved comes in here:

- Encodings and line ends: see :mod:`mmfer.utils.text_files`.
- Separators: comma, semicolon, tab. Quotes, empty rows and columns at the
  end, and the index column of pandas or R do no harm. Columns go by the
  header, never by position.
- Numbers: ``3`` and ``3.0``, also ``3,0`` where the comma does not separate.
- Every error names the file, the line, what was found and what is right.

:func:`read_table` reads tables with a header, :func:`read_class_names` class
names, :func:`~mmfer.utils.text_lists.read_list` lists of images with or
without a header.
"""

from .class_names import check_class_names, class_index, read_class_names
from .fields import flag, is_number_like, nearest, number, unquoted, whole_number
from .paths import has_suffix, is_foreign_path, join_listed, path_key
from .tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    SEPARATORS,
    Header,
    TextTable,
    column_key,
    find_header,
    first_fields,
    fit_rows,
    iterate_fields,
    known_columns,
    match_columns,
    read_table,
    split_fields,
    take_separator,
)

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
    'flag',
    'has_suffix',
    'is_foreign_path',
    'is_number_like',
    'iterate_fields',
    'join_listed',
    'known_columns',
    'match_columns',
    'nearest',
    'number',
    'path_key',
    'read_class_names',
    'read_table',
    'split_fields',
    'take_separator',
    'unquoted',
    'whole_number',
]
