// -- downloads: list and table with the decisions -------------------------------------
// Return the parts between the lines, where samples that are not on this page have
// their given labels.
function betweenAsGiven(text) {
  const changes = text.given, put = changes.put.split('\0');
  const between = text.between.slice();
  let part = 0, done = 0, pieces = [];
  const finish = () => {
    between[part] = pieces.join('') + between[part].slice(done);
    pieces = [];
    done = 0;
  };
  changes.at.forEach((at, n) => {
    if (changes.part[n]) { finish(); part += changes.part[n]; }
    pieces.push(between[part].slice(done, done + at), put[n]);
    done += at + changes.cut[n];
  });
  finish();
  return between;
}

function compose(text, form, onlyLooked) {
  const between = onlyLooked ? betweenAsGiven(text) : text.between;
  const parts = [between[0]];
  text.lines.forEach((line, n) => {
    parts.push(form(line, text.order[n]), between[n + 1]);
  });
  return parts;
}

function download(name, parts, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Browsers from before 2023 may lack DecompressionStream.
async function unpack(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return JSON.parse(await new Response(new Blob([bytes]).stream().pipeThrough(
    new DecompressionStream('deflate'))).text());
}

async function saveText(name, packed, form, onlyLooked, type) {
  try {
    download(name, compose(await unpack(packed), form, onlyLooked), type);
  } catch (error) {
    alert(`${name} cannot be written (${error}). Click "Save progress", open ` +
      'this page in a newer browser, and click "Load progress" there.');
  }
}

// If onlyLooked, samples that nobody looked at keep their given labels.
function saveList(onlyLooked) {
  saveText(onlyLooked ? data.lookedListName : data.listName, data.list, (forms, i) => {
    if (onlyLooked && !looked[i]) return forms[data.given[i]];
    return decision[i] === 'drop' ? '' : forms[finalLabel(i)];
  }, onlyLooked, 'text/plain');
}

function saveTable(onlyLooked) {
  saveText(onlyLooked ? data.lookedTableName : data.tableName, data.table, (line, i) => {
    if (onlyLooked && !looked[i]) return `${line},${data.suggested[i]},keep\n`;
    return `${line},${decision[i] === 'relabel' ? label[i] : data.suggested[i]},` +
      `${decision[i]}\n`;
  }, onlyLooked, 'text/csv');
}
