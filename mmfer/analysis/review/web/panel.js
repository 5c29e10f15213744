// -- panel and viewer: the current image ----------------------------------------------
// Show the best source that the browser can load: the file itself, if it is still
// there, or what the page has.
function showLarge(image, i) {
  const sources = largeSources(i);
  image.dataset.index = i;
  image.alt = sources.length ? data.names[i] : 'cannot be read';
  const shownNow = sources[sources[0] && sources[0].startsWith('data:') ? 0 : 1];
  // What the page has is shown until the file is loaded.
  if (shownNow) image.src = shownNow; else image.removeAttribute('src');
  if (!sources.length || sources[0].startsWith('data:')) return;
  const file = new Image();
  file.onload = () => {
    if (image.dataset.index === String(i)) image.src = file.src;
  };
  file.src = sources[0];
}

function showCurrent() {
  const some = shown.length > 0, i = shown[current];
  byId('panel').style.visibility = some ? '' : 'hidden';
  if (!some) { closeViewer(); return; }
  showLarge(byId('picture'), i);
  byId('verdict').className = looked[i] ? 'decided' : '';
  byId('verdict').replaceChildren(chipElement(i),
    looked[i] ? ' your decision' : ' suggested, not looked at');
  byId('labels').replaceChildren(...pairElements(i));
  byId('certainty').replaceChildren(...scoreElements(i));
  byId('certainty').title = data.meaning;
  byId('name').textContent = `${data.names[i]} \u00b7 sample ${data.ids[i]}`;
  const able = isClass(data.suggested[i]) && data.suggested[i] !== data.given[i];
  const to = able ? oneLine(nameOf(data.suggested[i])) : 'relabel';
  byId('keep').lastElementChild.textContent = 'Keep ' + oneLine(nameOf(data.given[i]));
  byId('relabel').lastElementChild.textContent = able ? 'To ' + to : 'No suggestion';
  byId('relabel').disabled = !able;
  showAlike(i);
  if (byId('viewer').open) showInViewer();
}

// The other samples of the group, with their labels: duplicates with different labels
// are wrong at least once.
function showAlike(i) {
  const others = alike(i).filter(other => other !== i);
  byId('alike').hidden = !others.length;
  byId('togetherLabel').hidden = !others.length;
  if (!others.length) return;
  const row = element('div', '');
  for (const other of others.slice(0, 8)) {
    const given = oneLine(nameOf(data.given[other]));
    const button = element('button', '', thumbnail(other), given);
    button.title = `${data.names[other]}, given ${given}`;
    button.addEventListener('click', () => {
      const place = shown.indexOf(other);
      if (place >= 0) move(place);
      focusImages();
    });
    row.append(button);
  }
  const more = others.length > 8 ? ` (${number(others.length - 8)} more)` : '';
  const labels = new Set(alike(i).map(k => data.given[k])).size;
  byId('alike').replaceChildren(element('p', labels > 1 ? 'chip drop' : 'hint',
    (data.duplicates ? 'Nearly the same picture' : 'Same group') +
    (labels > 1 ? `, ${labels} different labels` : '') + more), row);
  byId('togetherLabel').lastElementChild.textContent =
    `Decide all ${others.length + 1} together: they get the same label`;
}

function openViewer() {
  if (!shown.length || byId('viewer').open) return;
  byId('viewer').showModal();
  byId('stage').focus();
  showInViewer();
}

function closeViewer() {
  if (byId('viewer').open) byId('viewer').close();
}

function showInViewer() {
  const i = shown[current];
  byId('stage').classList.remove('actual');
  showLarge(byId('large'), i);
  const [given, suggested] = pairOf(i).map(oneLine);
  byId('captionText').replaceChildren(
    element('strong', '', ...pairElements(i)),
    ` \u00b7 ${scoreText(i)}, ${data.words[data.level[i]]} \u00b7 ` +
    `${looked[i] ? '\u2713 ' : ''}${oneLine(describe(i))} \u00b7 ` +
    `${data.names[i]} \u00b7 ${number(current + 1)} of ${number(shown.length)}`);
  const able = !byId('relabel').disabled;
  byId('viewerRelabel').textContent = able ? 'To ' + suggested : 'No suggestion';
  byId('viewerRelabel').parentElement.disabled = !able;
}

const VIEWER = {
  previous: () => move(current - 1),
  next: () => move(current + 1),
  keep: () => decide('keep'),
  relabel: () => decide('relabel', data.suggested[shown[current]]),
  drop: () => decide('drop'),
  close: closeViewer
};

function prepareViewer() {
  byId('caption').addEventListener('click', event => {
    const button = event.target.closest('button');
    if (button) VIEWER[button.dataset.do]();
  });
  byId('stage').addEventListener('click', () =>
    byId('stage').classList.toggle('actual'));
  byId('enlarge').addEventListener('click', openViewer);
}
