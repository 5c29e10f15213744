"""The report of a scan in words, and what the console shows."""

import textwrap
from typing import Iterable, List

import numpy as np

from mmfer.utils.checks import join_words

from .findings import SMALL_CLASS, Findings, class_summaries, confusions, small_classes
from .scoring import ENOUGH_IMAGES, MIN_IMAGES
from .sources import Source

# Number of rows that a part of the report lists.
LISTED = 30
MOST = 3
# Share of unreadable images that is worth a warning, and of flagged labels.
MANY_BROKEN = 0.05
MANY_FLAGGED = 0.5
# Width of the text.
WIDTH = 88


def percent(share: float) -> str:
    """Return a share as a whole percentage; one digit below 10 %."""
    value = 100 * share
    if 99.5 <= value < 100:
        return '>99 %'
    return f'{value:.1f} %' if 0 < value < 9.95 else f'{value:.0f} %'


def number(count: int, word: str) -> str:
    """Return a number with its noun, such as '1 image' or '1,200 images'."""
    plural = f'{word}es' if word.endswith('s') else f'{word}s'
    return f'{count:,} {word if count == 1 else plural}'


def warnings_of(findings: Findings) -> List[str]:
    """Return what makes the results doubtful, most important first."""
    scores, found = findings.scores, []
    count = int(findings.valid.sum())
    strength = scores.strength
    if strength.is_weak:
        found.append(
            f'THE ENCODER DOES NOT KNOW. From the images, {findings.encoder!r} '
            f'predicts {percent(strength.accuracy)} of the given labels; the most '
            'frequent class '
            f'alone has {percent(strength.majority)}. So nothing is flagged, and the '
            'order of the images means little. Perhaps most labels are wrong, the '
            'images are no faces, or another --encoder is needed.'
        )
    if not scores.decided:
        found.append(
            f'{count} images are too few to decide (fewer than {MIN_IMAGES}). The '
            'images are only sorted, and no label is flagged.'
        )
    elif scores.weak:
        quality = scores.quality
        found.append(
            f'{count} images are few (fewer than {ENOUGH_IMAGES}), so the scores are '
            f'weak: from the other images, {percent(strength.accuracy)} of the given '
            f'labels are predicted, against {percent(strength.majority)} by chance'
            + (
                f'. Of the flagged labels, about {percent(quality.precision)} are '
                f'wrong, and of the wrong ones about {percent(quality.recall)} are '
                'flagged'
                if quality
                else ''
            )
            + '. Look at the page before you delete anything.'
        )
    if findings.decides and not scores.symmetric and not scores.weak:
        found.append(
            'How many labels are wrong cannot be estimated here. If most are right, '
            'many flagged ones are faces on which people differ. Look at the page '
            'before you drop them.'
        )
    flagged = int(findings.suspicious.sum())
    if flagged > MANY_FLAGGED * count:
        found.append(
            f'{flagged} of {count} labels are flagged, more than half. Then the scores '
            'are often wrong, not the labels. Look at the page, and use --careful.'
        )
    lost = [
        row.name
        for row in class_summaries(findings)
        if row.images >= SMALL_CLASS and row.suspicious > MANY_FLAGGED * row.images
    ]
    if lost and flagged <= MANY_FLAGGED * count:
        found.append(
            f'More than half of the labels are flagged in {join_words(lost, "and")}. '
            'Of rare classes, right labels are flagged, too. Look at these on the page '
            'before you drop them, or keep more with --keep-share.'
        )
    small = small_classes(findings)
    if small:
        found.append(
            f'Fewer than {SMALL_CLASS} images: {join_words(small, "and")}. The labels '
            'of so small classes can hardly be judged.'
        )
    if len(findings.errors) > MANY_BROKEN * len(findings.labels):
        found.append(
            f'{number(len(findings.errors), "image")} of {len(findings.labels)} cannot '
            'be read. Was the data set copied completely?'
        )
    return found + findings.source.warnings


# -- console -----------------------------------------------------------------
def describe_source(source: Source, labels: np.ndarray, limit: int = 12) -> str:
    """Return a line on how many images there are of which classes."""
    classes = source.dataset.CLASSES
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    shown = [f'{name} {count}' for name, count in zip(classes, counts)]
    more = len(shown) - limit
    return (
        f'{number(len(labels), "image")} in {number(len(classes), "class")}: '
        + ', '.join(shown[:limit])
        + (f', and {more} more' if more > 0 else '')
    )


def console_lines(findings: Findings) -> List[str]:
    """Return the lines that the console shows after a scan, without paths."""
    lines = [f'WARNING: {text}' for text in warnings_of(findings)]
    flagged = findings.suspicious
    count = int(findings.valid.sum())
    if findings.errors:
        lines.append(
            f'Unreadable: {number(len(findings.errors), "image")}, such as '
            + _few(findings.names[row] for row in sorted(findings.errors))
        )
    if findings.decides:
        rate = findings.scores.noise_rate
        lines.append(
            f'Suspicious labels: {int(flagged.sum()):,} of {count:,} '
            f'({percent(flagged.sum() / max(1, count))})'
            + (
                f'; estimated wrong: {percent(rate)}'
                if rate is not None
                else ', where another class is twice as probable'
            )
        )
        worst = sorted(
            (row for row in class_summaries(findings) if row.images >= SMALL_CLASS),
            key=lambda row: -row.suspicious / row.images,
        )
        lines.append(
            'Most in: '
            + ', '.join(
                f'{row.name} {row.suspicious} of {row.images}'
                for row in worst[:4]
                if row.suspicious
            )
            if flagged.any()
            else 'No label is flagged.'
        )
        pairs = confusions(findings, 3)
        if pairs:
            names = findings.classes
            lines.append(
                'Most frequent: '
                + ', '.join(
                    f'{names[p.given]} that looks like {names[p.suggested]} '
                    f'({p.images})'
                    for p in pairs
                )
            )
    lines += [
        text for text in (_duplicate_line(findings), _face_line(findings)) if text
    ]
    return lines


def _duplicate_line(findings: Findings) -> str:
    """Return a line on duplicates; empty if there are none."""
    found = findings.duplicates
    exact = int(found.is_exact_copy.sum())
    near = int(found.is_copy.sum()) - exact
    if not exact + near:
        return 'Duplicates: none'
    differing = len(found.conflicts(findings.labels))
    return (
        f'Duplicates: {exact:,} exact and {near:,} near '
        f'{"copy" if exact + near == 1 else "copies"}; '
        f'{number(differing, "group")} with different labels'
    )


def _face_line(findings: Findings) -> str:
    """Return a line on images without a face; empty if there are none."""
    count = int(findings.faceless.sum())
    if not count:
        return ''
    if findings.face_scores is None:
        return f'Perhaps no face: {number(count, "image")} that look unlike the others'
    return f'Perhaps no face: {number(count, "image")} (no upright face found)'


def _few(names: Iterable[str], limit: int = 3) -> str:
    """Return some names for a line."""
    found = list(names)
    more = len(found) - limit
    return ', '.join(found[:limit]) + (f', and {more} more' if more > 0 else '')


# -- report ------------------------------------------------------------------
def report_text(findings: Findings, next_steps: str) -> str:
    """Return the report of a scan.

    Args:
        findings (Findings): Results of a scan.
        next_steps (str): What to do next, with commands.
    """
    parts = [_title(f'Scan of {findings.source.path}')]
    warnings = warnings_of(findings)
    if warnings:
        parts += [_title('WARNINGS', '-'), _items(warnings)]
    parts += [
        _title('What was found', '-'),
        '\n'.join(
            [
                _wrapped(describe_source(findings.source, findings.labels), '  '),
                *_overview(findings),
            ]
        ),
    ]
    if findings.decides:
        parts += [_title('Labels by class', '-'), _class_table(findings)]
        parts += _confusion_part(findings)
        parts += _suspect_part(findings)
    parts += _duplicate_part(findings)
    parts += _face_part(findings)
    if findings.errors:
        texts = [findings.errors[row] for row in sorted(findings.errors)]
        parts += [_title('Images that cannot be read', '-'), _items(texts, LISTED)]
    notes = findings.source.notes + findings.notes
    if notes:
        parts += [_title('Notes', '-'), _items(notes)]
    parts += [_title('How sure is this?', '-'), _sureness(findings)]
    parts += [_title('What to do next', '-'), next_steps]
    return '\n\n'.join(parts) + '\n'


def _title(text: str, line: str = '=') -> str:
    """Return an underlined title."""
    return f'{text}\n{line * len(text)}'


def _wrapped(text: str, indent: str = '') -> str:
    """Break a paragraph into lines; names of files stay whole."""
    return textwrap.fill(
        text,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _items(texts: Iterable[str], limit: int = 1000) -> str:
    """Return a list with a dash before each item."""
    found = list(texts)
    lines = [_wrapped(f'- {text}', '  ') for text in found[:limit]]
    if len(found) > limit:
        lines.append(f'- and {len(found) - limit} more, see sample_scores.csv')
    return '\n'.join(lines)


def _overview(findings: Findings) -> List[str]:
    """Return the lines of the console, without warnings."""
    lines = console_lines(findings)
    return [_wrapped(line, '  ') for line in lines if not line.startswith('WARNING')]


def _class_table(findings: Findings) -> str:
    """Return a table of flagged labels by class."""
    rows = class_summaries(findings)
    width = max(len('class'), *(len(row.name) for row in rows))
    known = findings.scores.symmetric
    lines = [
        f'{"class":<{width}}  images  suspicious' + '  estimated wrong' * known,
        *(
            f'{row.name:<{width}}  {row.images:>6}  {row.suspicious:>10}'
            + f'  {_share(row.wrong):>15}' * known
            for row in rows
        ),
    ]
    return '\n'.join(lines)


def _share(share: float) -> str:
    """Return a share as a percentage; a dash if it is not known."""
    return '-' if np.isnan(share) else percent(share)


def _confusion_part(findings: Findings) -> List[str]:
    """Return the part on which labels are confused."""
    pairs, names = confusions(findings), findings.classes
    if not pairs:
        return []
    lines = [
        f'{p.images:>6}  labelled {names[p.given]}, looks like {names[p.suggested]}'
        for p in pairs
    ]
    return [_title('Which labels are confused', '-'), '\n'.join(lines)]


def _suspect_part(findings: Findings) -> List[str]:
    """Return the part with the most suspicious labels of each class."""
    names, score = findings.classes, findings.scores.noise_score
    order = np.argsort(-np.nan_to_num(score), kind='stable')
    order = order[findings.suspicious[order]]
    if not len(order):
        return []
    given = findings.labels[order]
    rows = np.concatenate([order[given == k][:MOST] for k in range(len(names))])
    lines = [
        f'  {score[r]:.2f}  {findings.names[r]}: labelled {names[findings.labels[r]]}, '
        f'looks like {names[findings.scores.suggested_label[r]]}'
        for r in rows[: 4 * LISTED].tolist()
    ]
    title = _title('The most suspicious labels of each class', '-')
    meaning = 'larger is more suspicious'
    if findings.scores.symmetric:
        meaning = 'probability that the label is wrong'
    return [title, f'Score: {meaning}.', '\n'.join(lines)]


def _duplicate_part(findings: Findings) -> List[str]:
    """Return the part on duplicates, those with different labels first."""
    found, labels, names = findings.duplicates, findings.labels, findings.names
    if not found.is_copy.any():
        return []
    exact = found.conflicts(labels, exact=True).tolist()
    near = found.conflicts(labels).tolist()

    def line(members: np.ndarray, kind: str) -> str:
        listed = [f'{names[r]} ({findings.classes[labels[r]]})' for r in members[:6]]
        more = f', and {len(members) - 6} more' if len(members) > 6 else ''
        return f'{kind}: ' + ', '.join(listed) + more

    texts = [line(np.flatnonzero(found.exact == g), 'same pixels') for g in exact]
    shown = set(exact)
    for group in near:
        members = np.flatnonzero(found.group == group)
        if not shown.intersection(found.exact[members].tolist()):
            texts.append(line(members, 'near duplicates'))
    parts = []
    if texts:
        intro = (
            'At least one label of each of these groups is wrong, or the faces differ '
            'more than their thumbnails do.'
        )
        title = _title('Duplicates with different labels', '-')
        parts += [title, _wrapped(intro), _items(texts, LISTED)]
    equal = np.setdiff1d(found.group[found.is_copy], near).tolist()
    if equal:
        intro = (
            'A face that is there several times counts several times, and must not be '
            'in the training and in the test images. The column duplicate_of has all '
            'of them.'
        )
        title = _title('Duplicates with equal labels', '-')
        texts = [
            line(np.flatnonzero(found.group == group), 'duplicates')
            for group in equal[:LISTED]
        ]
        if len(equal) > LISTED:
            texts.append(f'and {len(equal) - LISTED} more groups')
        parts += [title, _wrapped(intro), _items(texts)]
    return parts


def _face_part(findings: Findings) -> List[str]:
    """Return the part on images without a face."""
    rows = np.flatnonzero(findings.faceless)
    if not len(rows):
        return []
    if findings.face_scores is not None:
        rows = rows[np.argsort(findings.face_scores[rows], kind='stable')]
        intro = (
            'The face detector of dlib finds no upright frontal face in these images, '
            'those without any trace of a face first. Profiles and covered faces are '
            'among them: of the faces of FERPlus, 1.3 % would be listed here, and of '
            'crops without a face 3 of 4. They are not dropped.'
        )
    else:
        intro = (
            'These images look unlike the others. Some of them may be no faces; others '
            'are turned, covered or badly lit. With `pip install "mmfer[face]"` a face '
            'detector looks at each image, and finds more of them. They are not '
            'dropped.'
        )
    names = [findings.names[row] for row in rows.tolist()]
    return [_title('Perhaps no face', '-'), _wrapped(intro), _items(names, LISTED)]


def _sureness(findings: Findings) -> str:
    """Return a paragraph on how far the results can be trusted."""
    scores = findings.scores
    strength, quality = scores.strength, scores.quality
    lines = [
        f'Encoder: {findings.encoder}. Each label was scored by images other than its '
        f'own group ({findings.groups.text}).',
        f'From these, {percent(strength.accuracy)} of the given labels are predicted '
        f'(+- {percent(2 * strength.error)}); the most frequent class alone has '
        f'{percent(strength.majority)}.',
    ]
    if quality and findings.suspicious.any():
        lines.append(
            f'By the scores, about {percent(quality.precision)} of the flagged labels '
            f'are wrong, and about {percent(quality.recall)} of the wrong labels are '
            'flagged. These are estimates: faces on which people differ are among both.'
        )
    if findings.decides and not scores.symmetric:
        lines.append(
            (
                'There are too few images to estimate how many labels are wrong. '
                if scores.weak
                else 'The labels do not look as if mistakes were made at random: some '
                'pairs of classes are confused more than others, or there are few '
                'mistakes. '
            )
            + 'So the scores only sort the images, and a label is flagged where '
            'another class is at least twice as probable.'
        )
    return '\n'.join(map(_wrapped, lines))
