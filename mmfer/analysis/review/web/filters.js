// -- filters and order ----------------------------------------------------------------
const compareTexts = (a, b) => a < b ? -1 : a > b ? 1 : 0;
const pairKey = i => `${data.given[i]} ${data.suggested[i]}`;

// Counts of the values of a function over the page, in order of its positions.
function tally(of) {
  const counts = new Map();
  for (let i = 0; i < total; i++) counts.set(of(i), (counts.get(of(i)) || 0) + 1);
  return counts;
}

const pairCounts = tally(pairKey);

// Order by pairs, the most frequent one first.
function comparePairs(a, b) {
  const one = pairKey(a), other = pairKey(b);
  return pairCounts.get(other) - pairCounts.get(one) ||
    data.given[a] - data.given[b] || data.suggested[a] - data.suggested[b] || a - b;
}

const conflicts = i => conflicting.has(groupOf(i));
const alone = i => groupOf(i) < 0;

// Groups with different labels first, samples of no group last.
function compareGroups(a, b) {
  return alone(a) - alone(b) || conflicts(b) - conflicts(a) ||
    alike(a)[0] - alike(b)[0] || a - b;
}

// For each order: comparison, and the heading of an image's section.
const ORDERS = {
  score: [(a, b) => a - b, null],
  least: [(a, b) => data.score[a] - data.score[b] || b - a, null],
  pair: [comparePairs, i => pairOf(i).join(' \u2192 ')],
  given: [(a, b) => data.given[a] - data.given[b] || a - b,
    i => 'Given ' + nameOf(data.given[i])],
  suggested: [(a, b) => data.suggested[a] - data.suggested[b] || a - b,
    i => 'Suggested ' + nameOf(data.suggested[i])],
  group: [compareGroups, i => alone(i) ? 'In no group' :
    (data.duplicates ? 'Nearly the same picture' : 'Group') +
    (conflicts(i) ? ', different labels' : '')],
  name: [(a, b) => compareTexts(data.names[a], data.names[b]) || a - b, null]
};

function matches(i) {
  const state = byId('state').value;
  for (const id of ['given', 'suggested', 'level'])
    if (byId(id).value !== '' && data[id][i] !== +byId(id).value) return false;
  if (byId('pair').value !== '' && pairKey(i) !== byId('pair').value) return false;
  if (state === 'open' ? looked[i] : state === 'decided' ? !looked[i] :
      state !== 'all' && decision[i] !== state) return false;
  return !(data.score[i] < parseFloat(byId('low').value) ||
    data.score[i] > parseFloat(byId('high').value));
}

// fromStart: begin with the first image, not with the current one.
function filter(fromStart) {
  const before = fromStart ? -1 : shown[current];
  const [compare, heading] = ORDERS[byId('sort').value];
  shown = [];
  for (let i = 0; i < total; i++) if (matches(i)) shown.push(i);
  shown.sort(compare);
  sections = heading ? findSections(heading) : [];
  current = Math.max(0, shown.indexOf(before));
  byId('scroll').scrollTop = 0;
  draw(true);
  count();
  move(current);
}

function findSections(heading) {
  const found = [];
  const same = (a, b) => heading(a) === heading(b) &&
    (byId('sort').value !== 'group' || groupOf(a) === groupOf(b));
  shown.forEach((i, place) => {
    if (!place || !same(shown[place - 1], i))
      found.push({ place, text: heading(i), count: 0 });
    found[found.length - 1].count++;
  });
  return found;
}

function addOptions(id, entries) {
  byId(id).append(new Option('all', ''));
  for (const [text, value, n] of entries)
    byId(id).append(new Option(`${oneLine(text)} (${number(n)})`, value));
}

function prepareFilters() {
  for (const id of ['given', 'suggested']) {
    const counts = tally(i => data[id][i]);
    addOptions(id, data.classes.map((name, k) => [name, k, counts.get(k) || 0]));
  }
  const first = new Map();
  for (let i = 0; i < total; i++) if (!first.has(pairKey(i))) first.set(pairKey(i), i);
  addOptions('pair', [...first.values()].sort(comparePairs).map(i =>
    [pairOf(i).join(' \u2192 '), pairKey(i), pairCounts.get(pairKey(i))]));
  const levels = tally(i => data.level[i]);
  addOptions('level', data.words.map((word, n) => [word, n, levels.get(n) || 0])
    .filter(entry => entry[2]));
  let low = Infinity, high = -Infinity;
  for (const score of data.score) {
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  byId('low').value = Math.floor(100 * low) / 100;
  byId('high').value = Math.ceil(100 * high) / 100;
  const group = byId('sort').querySelector('[value=group]');
  if (members.size) group.textContent = data.duplicates ? 'duplicates first' : 'by group';
  else group.remove();
  for (const id of ['given', 'suggested', 'pair', 'level', 'state', 'low', 'high', 'sort'])
    byId(id).addEventListener('change', () => filter(id === 'sort'));
  byId('size').addEventListener('change', () => { draw(true); move(current); });
}
