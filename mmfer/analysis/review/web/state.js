// -- state: what the page shows, and what was decided ---------------------------------
const data = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);
// Key under which the browser stores this page's decisions.
const PREFIX = 'mmfer review ';
const STORE = PREFIX + data.key;
const total = data.names.length;
const decision = data.decision.slice();
const label = data.suggested.slice();
const looked = new Array(total).fill(false);
// Each entry has the changes of one decision, which may be on several samples.
const history = [];
// shown: positions on the page that match the filters, in their order. current: place
// of the current image among them.
let shown = [], current = 0;
// unsaved: some decisions are not stored yet. refused: the browser does not
// store decisions. notice: message to show.
let unsaved = false, refused = false, notice = '', timer = 0;

const isClass = k => Number.isInteger(k) && k >= 0 && k < data.classes.length;
const nameOf = k => isClass(k) ? data.classes[k] : '-';
const number = n => n.toLocaleString('en');
const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;
// A line break in a name would break the layout.
const oneLine = text => text.replace(/\s/g, ' ');
// Why the samples of a group belong together.
const alikeWord = data.duplicates ? 'alike' : 'in group';

// Positions of the samples of each group on the page.
const members = new Map();
(data.group || []).forEach((group, i) => {
  if (group < 0) return;
  if (!members.has(group)) members.set(group, []);
  members.get(group).push(i);
});
for (const [group, places] of members) if (places.length < 2) members.delete(group);
// Groups whose samples have different given labels.
const conflicting = new Set();
for (const [group, places] of members)
  if (places.some(i => data.given[i] !== data.given[places[0]])) conflicting.add(group);

// Number of the group of a sample; -1 if it is alone on the page.
function groupOf(i) {
  return data.group && members.has(data.group[i]) ? data.group[i] : -1;
}

function alike(i) {
  return members.get(groupOf(i)) || [i];
}

function finalLabel(i) {
  return decision[i] === 'relabel' ? label[i] : data.given[i];
}

function describe(i) {
  if (decision[i] === 'keep') return 'keep';
  if (decision[i] === 'drop') return 'drop';
  return 'to ' + nameOf(label[i]);
}

// Two digits. What is not certain is not written as if it were.
function scoreText(i) {
  const score = data.score[i], size = Math.abs(score);
  if (data.probability) {
    if (score > 0.99 && score < 1) return '>0.99';
    if (score < 0.01 && score > 0) return '<0.01';
  }
  return size === 0 || (size >= 0.01 && size < 1000) ? score.toFixed(2) :
    score.toPrecision(2);
}

function element(kind, className, ...content) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function pairOf(i) {
  return [nameOf(data.given[i]), nameOf(data.suggested[i])];
}

// Given label and suggestion, in full.
function pairElements(i) {
  const [given, suggested] = pairOf(i).map(oneLine);
  const weak = text => element('span', 'arrow', text);
  if (!isClass(data.suggested[i])) return [given, weak(' \u00b7 no suggestion')];
  if (data.suggested[i] === data.given[i]) return [given, weak(' \u00b7 agrees')];
  return [given + ' ', weak('\u2192'), ' ' + suggested];
}

// Decision on a card, where the suggestion stands below it.
function chipElement(i) {
  const short = decision[i] === 'relabel' && label[i] === data.suggested[i];
  const text = short ? 'relabel' : oneLine(describe(i));
  return element('span', 'chip ' + decision[i], (looked[i] ? '\u2713 ' : '') + text);
}

// Score and its word. An image that cannot be read has none that means anything.
function scoreElements(i) {
  if (!data.images[i]) return ['no score'];
  return [element('b', '', scoreText(i)), ' ' + data.words[data.level[i]]];
}

function thumbnail(i) {
  if (!data.images[i]) return element('span', 'none', 'cannot be read');
  const image = document.createElement('img');
  image.alt = '';
  image.src = 'data:image/jpeg;base64,' + data.images[i];
  return image;
}

// Sources of the whole image, the best one first.
function largeSources(i) {
  const sources = [];
  const path = data.paths ? data.paths[i] : data.names[i];
  if (data.folder !== null) sources.push(encodePath(data.folder + path));
  for (const text of [data.large[i], data.images[i]])
    if (text) sources.push('data:image/jpeg;base64,' + text);
  return sources;
}

// A relative path, whatever is in a name: `./` keeps `x:y` from being a scheme.
function encodePath(path) {
  const start = path.startsWith('/') ? 'file://' : './';
  return start + path.split('/').map(encodeURIComponent).join('/');
}
