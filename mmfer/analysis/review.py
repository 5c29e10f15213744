"""A page on which a person looks at suspicious labels."""

import base64
import csv
import hashlib
import html
import io
import json
import os
import os.path as osp
import re
import tempfile
import zlib
from typing import Dict, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np

from mmfer.datasets import FERDataset
from mmfer.datasets.decisions import COLUMNS, read_decisions
from mmfer.datasets.images import UnreadableImageError, read_image
from mmfer.utils.files import write_atomic

TEMPLATE = osp.join(osp.dirname(osp.abspath(__file__)), 'review.html')
# Of a page, all told.
MAX_BYTES = 50_000_000
# Sides of thumbnails, from the largest that may fit.
SIDES = (96, 72, 56, 48, 40, 32)
# Of so many thumbnails the mean tells what all will take.
ENOUGH = 200


class Review(NamedTuple):
    """What a page shows, most suspicious first, (N, ) each.

    Attributes:
        rows (np.ndarray): Position in the table, ascending ``sample_id``.
        given, suggested (np.ndarray): Labels.
        score (np.ndarray): ``noise_score``.
        decision (np.ndarray): keep, relabel or drop, of the table.
        images (list[str]): Names.
    """

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    decision: np.ndarray
    images: List[str]


def image_names(dataset: FERDataset) -> List[str]:
    """Names of samples by ``sample_id``; '' for those not in this set."""
    names = [''] * (int(dataset.sample_ids[-1]) + 1)
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        names[info['sample_id']] = dataset.image_name(info['img_path'])
    return names


def most_suspicious(
    label_decisions: Dict[str, np.ndarray], names: Sequence[str], limit: int
) -> Review:
    """The samples that are worth a look.

    Args:
        label_decisions (dict): See :func:`read_decisions`.
        names (Sequence[str]): Of all samples, by ``sample_id``.
        limit (int): How many at most.
    """
    order = np.argsort(-label_decisions['noise_score'], kind='stable')[:limit]
    return Review(
        rows=order,
        given=label_decisions['given_label'][order],
        suggested=label_decisions['suggested_label'][order],
        score=label_decisions['noise_score'][order],
        decision=label_decisions['decision'][order],
        images=[names[i] for i in label_decisions['sample_id'][order]],
    )


class Text(NamedTuple):
    """A file in which some lines depend on what a person decides.

    Attributes:
        between (list[str]): What stands before the first, between, and after
            the last of these lines, with line ends; one more than lines.
        lines (list): Each of them in all its forms.
        order (list[int]): Which sample of the review each line is of.
    """

    between: List[str]
    lines: list
    order: List[int]


def list_text(
    dataset: FERDataset, label_decisions: Dict[str, np.ndarray], review: Review
) -> Optional[Text]:
    """The data set's own list, whatever its format.

    It is written once for each class, as if all samples were of that class.
    What differs are the lines of the samples.

    Args:
        dataset (FERDataset): As given, without decisions.
        label_decisions (dict): See :func:`read_decisions`, of all its samples.
        review (Review): Samples of which a person decides; of the others the
            table does.

    Returns:
        Text, optional: Lines in the forms of all classes; None if the data
        set has no list of its own.
    """
    if dataset.list_suffix is None:
        return None
    ids, count = label_decisions['sample_id'], dataset.num_classes
    with tempfile.TemporaryDirectory() as folder:
        path = osp.join(folder, f'list{dataset.list_suffix}')
        forms = []
        for label in range(count):
            dataset.write_list(path, ids, np.full(len(ids), label))
            with open(path, newline='', encoding='utf-8') as file:
                # Not splitlines(): it also splits at characters a name may
                # contain.
                forms.append(re.findall(r'[^\n]*\n|[^\n]+', file.read()))
    if len(set(map(len, forms))) != 1:
        raise ValueError(
            f'{type(dataset).__name__}: its lists do not have one line for each sample.'
        )
    reviewed = {int(row): i for i, row in enumerate(review.rows)}
    labels = np.where(
        label_decisions['decision'] == 'relabel',
        label_decisions['suggested_label'],
        label_decisions['given_label'],
    )
    between, lines, order = [[]], [], []
    row = 0
    for line in zip(*forms):
        if len(set(line)) == 1 and count > 1:
            between[-1].append(line[0])
            continue
        if row in reviewed:
            lines.append(list(line))
            order.append(reviewed[row])
            between.append([])
        elif label_decisions['decision'][row] != 'drop':
            between[-1].append(line[labels[row]])
        row += 1
    if row != len(ids):
        raise ValueError(
            f'{type(dataset).__name__}: its list has {row} lines that depend '
            f'on labels, for {len(ids)} samples.'
        )
    return Text([''.join(part) for part in between], lines, order)


def table_text(
    label_decisions: Dict[str, np.ndarray], names: Sequence[str], review: Review
) -> Text:
    """A ``sample_scores.csv`` with the columns that ``decisions`` reads.

    Its lines lack the last two columns, suggested label and decision.
    """
    reviewed = {int(row): i for i, row in enumerate(review.rows)}
    between, lines, order = [[','.join(COLUMNS) + '\n']], [], []
    for row, sample_id in enumerate(label_decisions['sample_id'].tolist()):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator='').writerow(
            [
                sample_id,
                names[sample_id],
                label_decisions['given_label'][row],
                f'{label_decisions["noise_score"][row]:.6g}',
            ]
        )
        if row in reviewed:
            lines.append(buffer.getvalue())
            order.append(reviewed[row])
            between.append([])
        else:
            between[-1].append(
                f'{buffer.getvalue()},{label_decisions["suggested_label"][row]},'
                f'{label_decisions["decision"][row]}\n'
            )
    return Text([''.join(part) for part in between], lines, order)


def thumbnail(image: np.ndarray, side: int) -> bytes:
    """A JPEG of an image, no larger than ``side`` x ``side``."""
    scale = side / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def read_images(dataset: FERDataset, sample_ids: Sequence[int]):
    """Images of samples one by one; None for those that cannot be read."""
    position = {int(s): i for i, s in enumerate(dataset.sample_ids)}
    for sample_id in sample_ids:
        info = dataset.get_data_info(position[int(sample_id)])
        if 'img' in info:
            yield info['img']
            continue
        try:
            image = read_image(info['img_path'])
        except UnreadableImageError:
            image = None
        yield image


def shrink(text: bytes, side: int) -> bytes:
    """A JPEG no larger than ``side`` x ``side``; as it is where it fits."""
    image = cv2.imdecode(np.frombuffer(text, np.uint8), cv2.IMREAD_UNCHANGED)
    return text if max(image.shape[:2]) <= side else thumbnail(image, side)


def base64_size(text: bytes) -> int:
    """Characters of ``text`` in base64."""
    return -(-len(text) // 3) * 4


def encode_images(images, count: int, budget: int) -> List[str]:
    """Thumbnails in base64, as large as the budget allows.

    One image at a time is in memory, of the others the thumbnail only. When
    thumbnails turn out too large for the budget, those at hand are made
    smaller, and so are all that follow.

    Args:
        images (Iterable[np.ndarray]): As of :func:`read_images`.
        count (int): How many there are.
        budget (int): Bytes for all of them.

    Raises:
        ValueError: They do not fit, however small.
    """
    made, taken, sides = [], 0, list(SIDES)
    for image in images:
        made.append(b'' if image is None else thumbnail(image, sides[0]))
        taken += base64_size(made[-1])
        ahead = count if len(made) % ENOUGH == 0 else len(made)
        while taken * ahead > budget * len(made) and len(sides) > 1:
            sides.pop(0)
            made = [text and shrink(text, sides[0]) for text in made]
            taken = sum(map(base64_size, made))
        if taken > budget:
            raise ValueError(
                f'Only {len(made) - 1} of {count} images fit on the page, '
                f'which may have {MAX_BYTES / 1e6:.6g} MB, though they are '
                f'shrunk to {sides[0]} px. Show fewer with --max-images.'
            )
    return [base64.b64encode(text).decode() for text in made]


def write_page(
    path: str, dataset: FERDataset, table: str, title: str, limit: int = 10000
) -> dict:
    """Write the page.

    Args:
        path (str): The HTML file, which needs nothing else.
        dataset (FERDataset): Training set as given, without decisions.
        table (str): Its ``sample_scores.csv``.
        title (str): Shown at the top, and part of names of downloads.
        limit (int): Images at most. Defaults to 10000.

    Returns:
        dict: ``shown``, ``samples``, ``bytes``.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_decisions`.
        ValueError: A score is not finite, or the page is too large.
    """
    names = image_names(dataset)
    label_decisions = read_decisions(
        table,
        names,
        dataset.given_labels,
        dataset.sample_ids,
        dataset.num_classes,
        dataset.CLASSES,
    )
    check_scores(table, label_decisions, names)
    review = most_suspicious(label_decisions, names, limit)
    own = list_text(dataset, label_decisions, review)
    decisions = table_text(label_decisions, names, review)
    data = dict(
        title=title,
        classes=list(dataset.CLASSES),
        given=review.given.tolist(),
        suggested=review.suggested.tolist(),
        score=[float(f'{s:.4g}') for s in review.score],
        decision=review.decision.tolist(),
        names=review.images,
        list=None if own is None else own._asdict(),
        listName=f'{title}_reviewed{dataset.list_suffix}',
        table=decisions._asdict(),
        tableName=f'{title}_reviewed_scores.csv',
        images=[],
    )
    # By this the browser knows the decisions that it keeps for this page.
    data['key'] = hashlib.sha256(as_script(data).encode()).hexdigest()[:32]
    data['list'], data['table'] = pack(data['list']), pack(data['table'])
    with open(TEMPLATE, encoding='utf-8') as file:
        template = file.read()
    lists = len(fill(template, title, data))
    if lists > MAX_BYTES:
        raise ValueError(
            f'The page may have {MAX_BYTES / 1e6:.6g} MB, but the lists of '
            f'all {len(label_decisions["sample_id"])} samples and the names of '
            f'{len(review.rows)} images take {lists / 1e6:.6g} MB. Show fewer '
            'images with --max-images; should that not suffice, review a '
            'part of the data set.'
        )
    # With two quotes each, and commas between.
    data['images'] = encode_images(
        read_images(dataset, label_decisions['sample_id'][review.rows]),
        len(review.rows),
        MAX_BYTES - lists - 3 * len(review.rows) + 1,
    )
    text = fill(template, title, data)
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    write_atomic(path, text)
    return dict(
        shown=len(review.rows),
        samples=len(label_decisions['sample_id']),
        bytes=len(text),
    )


def check_scores(
    table: str, label_decisions: Dict[str, np.ndarray], names: Sequence[str]
) -> None:
    """Raise if a score is not finite; images are sorted by it."""
    score = label_decisions['noise_score']
    wrong = np.flatnonzero(~np.isfinite(score))
    if len(wrong):
        sample_id = label_decisions['sample_id'][wrong[0]]
        raise ValueError(
            f'{table}: noise_score of sample {sample_id} '
            f'({names[sample_id]}) is {score[wrong[0]]}, and so for '
            f'{len(wrong)} of {len(score)} samples; images cannot be sorted '
            'by it. Did the training diverge? Write the table again, or '
            'correct these rows.'
        )


def fill(template: str, title: str, data: dict) -> bytes:
    """The page of a template, encoded."""
    parts = {'TITLE': lambda: html.escape(title), 'DATA': lambda: as_script(data)}
    # In one go: a title or a name may read like a place to fill.
    return re.sub(
        r'/\*(TITLE|DATA)\*/', lambda found: parts[found[1]](), template
    ).encode()


def pack(text: Optional[dict]) -> Optional[str]:
    """A :class:`Text` deflated, in base64.

    It has all samples, also those that are not shown: the lists of AffectNet
    would fill a page by themselves.
    """
    return text and base64.b64encode(zlib.compress(as_script(text).encode())).decode()


def as_script(data: dict) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(
        data, ensure_ascii=False, allow_nan=False, separators=(',', ':')
    ).replace('<', '\\u003c')
