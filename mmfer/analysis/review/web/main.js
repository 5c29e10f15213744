// -- main: connect the controls -------------------------------------------------------
// Theme of all review pages; its key does not begin with PREFIX.
const THEME = 'mmfer theme';

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  byId('theme').setAttribute('aria-pressed', dark);
}

function prepareTheme() {
  const system = matchMedia('(prefers-color-scheme: dark)');
  let chosen = null;
  try { chosen = localStorage.getItem(THEME); } catch (error) { /* Not stored. */ }
  setTheme(chosen ? chosen === 'dark' : system.matches);
  system.addEventListener('change', () => {
    if (!chosen) setTheme(system.matches);
  });
  byId('theme').addEventListener('click', () => {
    chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    setTheme(chosen === 'dark');
    try { localStorage.setItem(THEME, chosen); } catch (error) { /* Not stored. */ }
  });
}

function onClick(id, action) {
  byId(id).addEventListener('click', () => {
    action();
    focusImages();
  });
}

// Each of the first ten classes has a key and a button; the others are in a list.
function makeLegend() {
  const legend = byId('legend');
  legend.append(element('p', '', 'Relabel to'));
  data.classes.slice(0, 10).forEach((name, k) => {
    const button = element('button', '', element('kbd', '', (k + 1) % 10), ' ' + name);
    button.title = name;
    button.id = 'class' + k;
    legend.append(button);
    onClick(button.id, () => decide('relabel', k));
  });
  if (data.classes.length <= 10) return;
  const select = document.createElement('select');
  select.id = 'other';
  select.title = 'any class';
  select.setAttribute('aria-label', 'any class');
  data.classes.forEach((name, k) => select.append(new Option(name, k)));
  select.value = 10;
  // The list needs a button, because arrow keys change its selection.
  const button = element('button', '', 'relabel to this');
  button.id = 'apply';
  legend.append(select, button);
  onClick('apply', () => decide('relabel', +select.value));
}

function showNotes() {
  for (const id of ['subtitle', 'about']) {
    byId(id).textContent = byId(id).title = data.subtitle;
    byId(id).hidden = !data.subtitle;
  }
  byId('meaning').textContent = data.meaning;
  const several = data.warnings.length;
  byId('warnings').append(...data.warnings.map(text => element('li', '', text)));
  byId('warnings').hidden = byId('warned').hidden = !several;
  byId('warned').textContent = '\u26a0\ufe0e ' + several;
  const name = plural(several, 'warning', 'warnings');
  byId('warned').setAttribute('aria-label', name);
  byId('warned').title = name;
  onClick('warned', () => { byId('scroll').scrollTop = 0; });
}

function prepareDialogs() {
  for (const [button, dialog] of [['openDownloads', 'downloads'],
    ['openSaved', 'saved'], ['openMore', 'saved'], ['openKeys', 'keys']])
    byId(button).addEventListener('click', () => byId(dialog).showModal());
  byId('moreTheme').addEventListener('click', () => byId('theme').click());
  byId('moreKeys').addEventListener('click', () => {
    byId('saved').close();
    byId('keys').showModal();
  });
  for (const dialog of document.querySelectorAll('dialog')) {
    dialog.addEventListener('close', focusImages);
    // A click beside the dialog closes it.
    dialog.addEventListener('click', event => {
      if (event.target === dialog) dialog.close();
    });
  }
  byId('openFilters').addEventListener('click', () => {
    const open = byId('filters').classList.toggle('open');
    byId('openFilters').setAttribute('aria-expanded', open);
    draw(true);
    move(current);
  });
}

function resize(by) {
  const size = byId('size');
  size.selectedIndex = Math.min(size.length - 1, Math.max(0, size.selectedIndex + by));
  draw(true);
  move(current);
}

const KEYS = {
  k: () => decide('keep'),
  r: () => decide('relabel', data.suggested[shown[current]]),
  d: () => decide('drop'),
  u: undo,
  z: () => byId('viewer').open ? closeViewer() : openViewer(),
  arrowleft: () => move(current - 1),
  arrowright: () => move(current + 1),
  arrowup: () => moveRows(-1),
  arrowdown: () => moveRows(1),
  home: () => move(0),
  end: () => move(shown.length - 1),
  '+': () => resize(1),
  '-': () => resize(-1)
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const open = document.querySelector('dialog[open]'), viewer = byId('viewer').open;
  // The dialogs have their own keys, and Escape closes them.
  if (open && !viewer) return;
  const key = event.key.toLowerCase(), target = event.target;
  const control = target.matches('input:not([type=checkbox]), select');
  if (viewer && key === 'escape') return;
  if (key === 'escape' || (control && key === 'enter')) { focusImages(); return; }
  if (control) return;
  const pressable = target.matches('button, input');
  if (/^[0-9]$/.test(key)) decide('relabel', (+key + 9) % 10);
  else if (key === ' ' && !pressable) KEYS.z();
  else if (key === 'enter' && !pressable && shown.length)
    decide(decision[shown[current]], label[shown[current]]);
  else if (KEYS[key]) KEYS[key]();
  else return;
  event.preventDefault();
}

function connect() {
  for (const id of ['list', 'listLooked']) byId(id).hidden = !data.list;
  byId('together').checked = data.duplicates;
  onClick('keep', KEYS.k);
  onClick('relabel', KEYS.r);
  onClick('drop', KEYS.d);
  onClick('undo', undo);
  onClick('restart', startOver);
  byId('list').addEventListener('click', () => saveList(false));
  byId('table').addEventListener('click', () => saveTable(false));
  byId('listLooked').addEventListener('click', () => saveList(true));
  byId('tableLooked').addEventListener('click', () => saveTable(true));
  byId('save').addEventListener('click', saveProgress);
  byId('load').addEventListener('click', () => byId('file').click());
  byId('file').addEventListener('change', event => {
    if (event.target.files.length) loadProgress(event.target.files[0]);
    event.target.value = '';
  });
  byId('scroll').addEventListener('scroll', () => draw(false));
  // Another number of columns moves the rows, and the current card with them.
  new ResizeObserver(() => { draw(false); move(current); }).observe(byId('scroll'));
  window.addEventListener('pagehide', store);
  window.addEventListener('beforeunload', event => {
    store();
    if (unsaved) event.preventDefault();
  });
  document.addEventListener('keydown', onKey);
}

prepareTheme();
makeLegend();
showNotes();
prepareFilters();
prepareViewer();
prepareDialogs();
connect();
restoreStored();
filter();
focusImages();
