// -- counts: how much was looked at, and what a download does --------------------------
function count() {
  const sums = { keep: 0, relabel: 0, drop: 0 };
  let seen = 0, open = 0;
  decision.forEach((d, i) => {
    if (looked[i]) { sums[d]++; seen++; }
    else if (data.decision[i] !== 'keep') open++;
  });
  const bar = byId('bar');
  for (const kind of Object.keys(sums))
    bar.querySelector('.' + kind).style.width = 100 * sums[kind] / (total || 1) + '%';
  bar.setAttribute('aria-valuemax', total);
  bar.setAttribute('aria-valuenow', seen);
  const share = Math.floor(100 * seen / (total || 1));
  byId('count').replaceChildren(
    element('b', '', `${number(seen)} of ${number(total)} looked at`),
    ` (${share} %)`, element('span', 'detail', seen ? `: ${number(sums.keep)} keep, ` +
      `${number(sums.relabel)} relabel, ${number(sums.drop)} drop` : ''),
    (open ? `. ${plural(open, 'suggestion', 'suggestions')} left` : '') +
    (shown.length < total ? `. ${number(shown.length)} shown` : ''));
  byId('notice').textContent = notice + (refused ? ' This browser does not store your ' +
    'decisions. Click "Save", then "Save progress" before you leave.' : '');
  describeDownloads(seen, sums);
}

// Say beside the buttons what they do with samples that nobody looked at.
function describeDownloads(seen, sums) {
  const rest = data.total - seen;
  let relabel = data.hidden.relabel, drop = data.hidden.drop;
  const elsewhere = relabel + drop;
  decision.forEach((d, i) => {
    if (looked[i]) return;
    if (d === 'relabel') relabel++;
    if (d === 'drop') drop++;
  });
  const own = seen ? `Applies your ${plural(seen, 'decision', 'decisions')}: ` +
    `${plural(sums.keep, 'label', 'labels')} kept, ${number(sums.relabel)} changed, ` +
    `${plural(sums.drop, 'sample', 'samples')} dropped. ` :
    'You have not looked at any image yet. ';
  byId('aboutLooked').textContent = own + (rest === 1 ?
    'The other sample keeps its given label.' :
    `The other ${number(rest)} samples keep their given labels.`);
  const all = byId('aboutAll');
  const effects = [relabel && 'changes ' + plural(relabel, 'label', 'labels'),
    drop && 'drops ' + plural(drop, 'sample', 'samples')].filter(Boolean);
  all.replaceChildren(own + `${plural(rest, 'sample was', 'samples were')} not looked ` +
    'at. ', effects.length ? element('strong', 'warn',
    `This also ${effects.join(' and ')} you did not look at, as the table says` +
    (elsewhere ? ` (${number(elsewhere)} not on this page).` : '.')) :
    'These keep their given labels.');
}
