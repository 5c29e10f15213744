// -- layout: only the cards in sight exist --------------------------------------------
// Width of a card and gap between cards, and the largest number of cards in a window.
// If more cards would fit, they are drawn larger.
const WIDTH = 164, GAP = 12, CARDS = 80, HEADING = 40;
const layout = { columns: 1, width: 0, height: 0, rows: [], end: 0, key: '' };
// Cards and headings are made again only when their contents have changed.
const cards = new Map(), headings = new Map();
// Places of `shown` where a section begins, with its heading.
let sections = [];

function makeCard(place) {
  const i = shown[place];
  const card = element('div', `card ${decision[i]}` + (looked[i] ? ' decided' : '') +
    (place === current ? ' current' : ''));
  card.id = 'card' + i;
  card.dataset.index = i;
  card.setAttribute('role', 'option');
  card.setAttribute('aria-selected', place === current);
  card.setAttribute('aria-posinset', place + 1);
  card.setAttribute('aria-setsize', shown.length);
  card.setAttribute('aria-label', spokenText(i));
  card.title = `${data.names[i]}\nsample ${data.ids[i]}`;
  const name = element('div', 'name', shortName(i));
  card.append(thumbnail(i), element('div', 'line', chipElement(i)),
    element('div', 'labels', ...pairElements(i)), element('div', 'word',
      ...scoreElements(i)), name);
  addBadge(card, i);
  const next = shown[place + 1];
  if (next !== undefined && groupOf(i) >= 0 && groupOf(i) === groupOf(next) &&
      (place + 1 - layout.rows[rowOf(place)].from) < layout.columns)
    card.classList.add('joined');
  const row = layout.rows[rowOf(place)];
  card.style.left = GAP + (place - row.from) * (layout.width + GAP) + 'px';
  card.style.top = row.top + 'px';
  card.addEventListener('click', () => {
    const again = place === current;
    move(place);
    focusImages();
    // A second tap shows the image where there is no panel for it.
    if (again && byId('enlarge').clientWidth < 100) openViewer();
  });
  card.addEventListener('dblclick', openViewer);
  return card;
}

function addBadge(card, i) {
  const others = data.twins[i], group = alike(i);
  if (others) {
    card.title += `\nThe same image is also sample ${others.join(', ')}. ` +
      (data.duplicates ? '' : 'Each sample has a decision of its own.');
  }
  if (group.length > 1)
    card.append(element('span', 'several', `${group.length} ${alikeWord}`));
  else if (others)
    card.append(element('span', 'several', `${others.length + 1} samples`));
}

function spokenText(i) {
  const [given, suggested] = pairOf(i);
  const score = data.images[i] ? `Score ${scoreText(i)}, ${data.words[data.level[i]]}` :
    'The image cannot be read';
  return `${data.names[i]}. Given ${given}, suggested ${suggested}. ${score}. ` +
    `${looked[i] ? 'Decided' : 'Table'}: ${describe(i)}.`;
}

// The end of a long name tells images apart, so its middle is left out.
function shortName(i) {
  const name = oneLine(data.names[i].split(/[\\/]/).pop());
  const room = Math.max(8, Math.floor((layout.width - 16) / (0.52 * layout.font)));
  const letters = [...name];
  if (letters.length <= room) return name;
  const end = Math.floor((room - 1) / 2);
  return letters.slice(0, room - 1 - end).join('') + '\u2026' +
    letters.slice(-end).join('');
}

// Choose the size of the cards, and where each row lies.
function measure() {
  const view = byId('scroll'), room = view.clientWidth - GAP;
  const wanted = WIDTH * byId('size').value * (innerWidth < 1800 ? 1 : 1.3);
  const whole = Math.sqrt(room * view.clientHeight / (CARDS * 1.55));
  const least = Math.max(wanted, whole);
  layout.columns = Math.max(1, Math.floor(room / (least + GAP)));
  layout.width = Math.floor(room / layout.columns) - GAP;
  layout.font = Math.min(18, 12 * Math.max(1, Math.sqrt(layout.width / WIDTH)));
  const picture = layout.width - 16, space = byId('space').style;
  space.setProperty('--card-width', layout.width + 'px');
  space.setProperty('--card-picture', picture + 'px');
  space.setProperty('--card-font', layout.font + 'px');
  layout.height = Math.ceil(picture + 16 + textHeight());
  space.setProperty('--card-height', layout.height + 'px');
}

// Height of the text of the card with the longest labels, which wrap.
function textHeight() {
  const pairs = new Map();
  for (let i = 0; i < total; i++) {
    const text = pairOf(i).join(' \u2192 ');
    if (!pairs.has(text)) pairs.set(text, i);
  }
  const longest = [...pairs].sort((a, b) => b[0].length - a[0].length).slice(0, 40);
  const probe = element('div', 'card');
  probe.style.height = 'auto';
  probe.style.visibility = 'hidden';
  probe.append(element('div', 'line', element('span', 'chip', 'x')));
  const words = element('div', 'labels');
  probe.append(words, element('div', 'word', 'x'), element('div', 'name', 'x'));
  byId('space').append(probe);
  let height = 0;
  for (const [, i] of longest) {
    words.replaceChildren(...pairElements(i));
    height = Math.max(height, probe.offsetHeight);
  }
  probe.remove();
  return height - 16;
}

function arrange() {
  measure();
  const starts = new Map(sections.map(section => [section.place, section]));
  layout.rows = [];
  let top = GAP, place = 0;
  const places = [...starts.keys(), shown.length].filter(p => p > 0);
  while (place < shown.length) {
    const section = starts.get(place) || null;
    const stop = places.find(p => p > place);
    const to = Math.min(place + layout.columns, stop);
    if (section) top += HEADING;
    layout.rows.push({ from: place, to, top, section });
    top += layout.height + GAP;
    place = to;
    while (places.length && places[0] <= place && places[0] < shown.length)
      places.shift();
  }
  layout.end = top;
  byId('space').style.height = top + 'px';
  const view = byId('scroll');
  layout.key = `${view.clientWidth} ${view.clientHeight} ${byId('size').value}`;
}

// Number of the last row that begins at or before a value.
function lastRow(value, of) {
  let low = 0, high = layout.rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (of(layout.rows[middle]) <= value) low = middle; else high = middle - 1;
  }
  return low;
}

const rowOf = place => lastRow(place, row => row.from);

function removeAll(made) {
  made.forEach(one => one.remove());
  made.clear();
}

function draw(fresh) {
  const view = byId('scroll'), space = byId('space');
  const key = `${view.clientWidth} ${view.clientHeight} ${byId('size').value}`;
  if (fresh || key !== layout.key) {
    removeAll(cards);
    removeAll(headings);
    arrange();
  }
  const top = view.scrollTop - space.offsetTop, rows = layout.rows;
  let from = 0, to = 0, first = 0, last = -1;
  if (rows.length) {
    first = Math.max(0, lastRow(top, row => row.top) - 1);
    last = Math.min(rows.length - 1,
      lastRow(top + view.clientHeight, row => row.top) + 1);
    from = rows[first].from;
    to = rows[last].to;
  }
  for (const [place, card] of cards)
    if (place < from || place >= to) { card.remove(); cards.delete(place); }
  for (const [row, heading] of headings)
    if (row < first || row > last) { heading.remove(); headings.delete(row); }
  for (let row = first; row <= last; row++) {
    const section = rows[row].section;
    if (!section || headings.has(row)) continue;
    const heading = element('div', 'heading', oneLine(section.text),
      element('span', '', plural(section.count, 'image', 'images')));
    heading.style.top = rows[row].top - HEADING + 8 + 'px';
    headings.set(row, heading);
    space.append(heading);
  }
  for (let place = from; place < to; place++) {
    if (cards.has(place)) continue;
    const card = makeCard(place);
    cards.set(place, card);
    space.append(card);
  }
  sayWhetherEmpty();
}

function sayWhetherEmpty() {
  const empty = byId('none');
  if (shown.length) {
    if (empty) empty.remove();
  } else if (!empty) {
    const text = element('div', '', 'No image matches these filters.');
    text.id = 'none';
    byId('space').append(text);
  }
}

function redraw(place) {
  const old = cards.get(place);
  if (!old) return;
  const card = makeCard(place);
  old.replaceWith(card);
  cards.set(place, card);
}

function redrawSamples(samples) {
  const changed = new Set(samples);
  for (const place of [...cards.keys()]) if (changed.has(shown[place])) redraw(place);
}

function focusImages() {
  byId('space').focus({ preventScroll: true });
}

function move(place) {
  if (!shown.length) { showCurrent(); return; }
  const before = current;
  current = Math.min(shown.length - 1, Math.max(0, place));
  const view = byId('scroll'), space = byId('space');
  const at = rowOf(current), row = layout.rows[at];
  const top = space.offsetTop + row.top - (row.section ? HEADING : 0);
  const end = space.offsetTop + row.top + layout.height;
  // The first row shows what stands above it, too. Long warnings come before it.
  if (at === 0) {
    if (current === before && view.scrollTop === 0) { /* Nobody has moved. */ }
    else if (end <= view.clientHeight) view.scrollTop = 0;
    else if (top < view.scrollTop || end > view.scrollTop + view.clientHeight)
      view.scrollTop = end + GAP - view.clientHeight;
  } else if (top - GAP < view.scrollTop) view.scrollTop = top - GAP;
  else if (end + GAP > view.scrollTop + view.clientHeight)
    view.scrollTop = end + GAP - view.clientHeight;
  draw(false);
  redraw(before);
  redraw(current);
  space.setAttribute('aria-activedescendant', 'card' + shown[current]);
  showCurrent();
}

// Move by rows, in the same column.
function moveRows(by) {
  if (!shown.length) return;
  const now = rowOf(current), column = current - layout.rows[now].from;
  const to = Math.min(layout.rows.length - 1, Math.max(0, now + by));
  if (to === now) return move(by < 0 ? 0 : shown.length - 1);
  const row = layout.rows[to];
  move(Math.min(row.to - 1, row.from + column));
}
