// -- progress: decisions outlive a reload, and go to another browser ------------------
// Decisions by sample, because an image may be that of several samples.
function progress() {
  const decisions = {};
  looked.forEach((yes, i) => {
    if (yes) decisions[data.ids[i]] = decision[i] === 'relabel' ?
      ['relabel', label[i]] : [decision[i]];
  });
  return JSON.stringify({ format: 2, title: data.title, samples: data.samples,
    decisions });
}

function saveProgress() {
  download(data.title + '_progress.json', [progress()], 'application/json');
  if (refused) unsaved = false;
}

function store() {
  clearTimeout(timer);
  if (!unsaved) return;
  try {
    localStorage.setItem(STORE, progress());
    unsaved = refused = false;
  } catch (error) { refused = true; }
  count();
}

function storeSoon() {
  unsaved = true;
  clearTimeout(timer);
  timer = setTimeout(store, 200);
}

// Version 0.1 saved decisions by name. Return them by position on the page, and how
// many of them are for an image of several samples.
function byName(seen) {
  const known = new Map(data.names.map((name, i) => [name, i]));
  const entries = [];
  let unclear = 0;
  for (const [name, entry] of Object.entries(seen)) {
    const i = known.get(name);
    if (i !== undefined && data.twins[i]) unclear++;
    else entries.push([i, entry]);
  }
  return { entries, unclear };
}

// Return how many decisions were restored and how many entries were ignored; null if
// the text is no saved progress. foreign: the decisions are on other samples.
function restore(text) {
  let seen;
  try { seen = JSON.parse(text); } catch (error) { return null; }
  if (!seen || typeof seen !== 'object' || Array.isArray(seen)) return null;
  let found;
  if (seen.format === 2) {
    if (!seen.decisions || typeof seen.decisions !== 'object') return null;
    if (seen.samples !== data.samples) return { foreign: true };
    const places = new Map(data.ids.map((id, i) => [String(id), i]));
    found = { unclear: 0, entries: Object.entries(seen.decisions).map(
      ([id, entry]) => [places.get(id), entry]) };
  } else found = byName(seen);
  let taken = 0, ignored = 0;
  for (const [i, entry] of found.entries) {
    const [kind, to] = Array.isArray(entry) ? entry : [];
    if (i === undefined || !['keep', 'relabel', 'drop'].includes(kind) ||
        (kind === 'relabel' && !isClass(to))) { ignored++; continue; }
    decision[i] = kind;
    if (kind === 'relabel') label[i] = to;
    looked[i] = true;
    taken++;
  }
  return { taken, ignored, unclear: found.unclear };
}

function describeRestored(found, from) {
  const left = found.ignored ? `; ${found.ignored} entries ignored, because ` +
    'they belong to other images or classes' : '';
  const unclear = found.unclear ? `; ${found.unclear} entries ignored, because ` +
    'their images are those of several samples, and the file names only the image' : '';
  return `${found.taken} decisions restored from ${from}${left}${unclear}.`;
}

async function loadProgress(file) {
  const found = restore(await file.text().catch(() => ''));
  if (found && found.foreign) {
    alert(file.name + ' has decisions on other samples: of another data set, or of ' +
      'this one before its images, labels or classes changed. None was applied.');
    return;
  }
  if (!found || (found.ignored && !found.taken && !found.unclear)) {
    alert(file.name + ' is not a saved progress of this page. Choose a file ' +
      'that "Save progress" has written.');
    return;
  }
  // Undo must not restore decisions that were made before the load.
  history.length = 0;
  notice = describeRestored(found, file.name);
  storeSoon();
  filter();
}

function restoreStored() {
  let text = null;
  // Some browsers block the storage for pages that are opened from a file.
  try { text = localStorage.getItem(STORE); } catch (error) { refused = true; }
  if (text === null) { noticeOthers(); return; }
  const found = restore(text);
  if (!found || found.foreign) notice = 'The decisions stored in this browser cannot be read.';
  else if (found.taken || found.ignored)
    notice = describeRestored(found, 'an earlier visit');
}

// Say that decisions for another table of this title are not used. Their samples, labels
// or suggestions may be others. If only the suggestions are, a button takes the largest
// part of them, because a new scan must not cost the work of a person.
function noticeOthers() {
  let count = 0, most = 0;
  try {
    for (let k = 0; k < localStorage.length; k++) {
      const key = localStorage.key(k);
      if (!key.startsWith(PREFIX)) continue;
      try {
        const other = JSON.parse(localStorage.getItem(key));
        if (other.title !== data.title) continue;
        const made = Object.keys(other.decisions).length;
        count += made;
        if (other.samples === data.samples && made > most) {
          most = made;
          offerStored(key, made);
        }
      } catch (error) { /* No progress of such a page. */ }
    }
  } catch (error) { return; }
  if (count) notice = `${plural(count, 'decision', 'decisions')} that this browser ` +
    `stored for another table of ${data.title} are not used here.`;
}

function offerStored(key, made) {
  const button = byId('takeStored');
  button.textContent = `Use ${plural(made, 'stored decision', 'stored decisions')}`;
  button.hidden = false;
  button.onclick = () => {
    const own = progress();
    const found = restore(localStorage.getItem(key));
    // What was decided on this page counts.
    restore(own);
    history.length = 0;
    button.hidden = true;
    notice = describeRestored(found, 'another table of these images');
    storeSoon();
    filter();
  };
}

function startOver() {
  if (!confirm('Delete all decisions made on this page?')) return;
  for (let i = 0; i < total; i++) {
    decision[i] = data.decision[i];
    label[i] = data.suggested[i];
    looked[i] = false;
  }
  history.length = 0;
  clearTimeout(timer);
  unsaved = false;
  notice = '';
  try { localStorage.removeItem(STORE); } catch (error) { refused = true; }
  filter();
}
