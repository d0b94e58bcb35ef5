/** A colour for everybody, the same in every view and at every visit. */

// Okabe and Ito's colours, and others of like lightness, told apart by people who do not see all of them: on dark pictures, and with
// dark text on them.
const COLOURS = [
  ...['#e69f00', '#56b4e9', '#2bbf93', '#f0e442', '#cc79a7', '#ff8c5a', '#8fb8ff', '#b6d957'],
  ...['#e4a1ff', '#5ad1d1', '#ffb3c1', '#c9b18f'],
];
const OF_NOBODY = '#b8b8c0';

/** Return the colour of somebody by id, a person's or a stranger's; of nobody where there is none. */
export function colourOf(id) {
  return id ? COLOURS[placeOf(id)] : OF_NOBODY;
}

/** Return a colour for each of those who are shown together: their own, or where another one has it the next that is free. */
export function coloursOf(ids) {
  const taken = new Set();
  const found = new Map();
  for (const id of [...new Set(ids)].filter(Boolean).sort()) {
    let place = placeOf(id);
    for (let i = 0; i < COLOURS.length && taken.has(place); i += 1) place = (place + 1) % COLOURS.length;
    taken.add(place);
    if (taken.size === COLOURS.length) taken.clear();
    found.set(id, COLOURS[place]);
  }
  return found;
}

function placeOf(id) {
  let hash = 2166136261;
  for (const unit of id) hash = Math.imul(hash ^ unit.codePointAt(0), 16777619);
  return (hash >>> 0) % COLOURS.length;
}
