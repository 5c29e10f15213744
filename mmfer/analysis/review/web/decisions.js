// -- decisions ------------------------------------------------------------------------
// Samples that a decision on sample i is for.
function decidedTogether(i) {
  return byId('together').checked ? alike(i) : [i];
}

// Decide on the current image. All samples of its group get the same label, so that
// those with another given label are relabelled.
function decide(kind, to) {
  if (!shown.length) return;
  const i = shown[current];
  if (kind === 'relabel' && !isClass(to)) return;
  const wanted = kind === 'keep' ? data.given[i] : to;
  const samples = decidedTogether(i);
  history.push(samples.map(k => [k, decision[k], label[k], looked[k]]));
  for (const k of samples) {
    if (kind === 'drop') decision[k] = 'drop';
    else if (wanted === data.given[k]) decision[k] = 'keep';
    else { decision[k] = 'relabel'; label[k] = wanted; }
    looked[k] = true;
  }
  const result = describe(i);
  notice = samples.length > 1 ?
    `${number(samples.length)} images ${alikeWord} decided together (${result}).` : '';
  byId('spoken').textContent = `${data.names[i]}: ${result}. ${notice}`;
  storeSoon();
  redrawSamples(samples);
  count();
  // The others of the group need no further look.
  let next = current + 1;
  if (samples.length > 1)
    while (next < shown.length && groupOf(shown[next]) === groupOf(i)) next++;
  move(next);
}

function undo() {
  if (!history.length) return;
  const changes = history.pop();
  for (const [k, kind, to, seen] of changes) {
    decision[k] = kind; label[k] = to; looked[k] = seen;
  }
  notice = changes.length > 1 ? `${number(changes.length)} decisions undone.` : '';
  storeSoon();
  count();
  redrawSamples(changes.map(change => change[0]));
  const place = changes.map(([k]) => shown.indexOf(k)).find(p => p >= 0);
  if (place === undefined) filter();
  else move(place);
}
