"use strict";

// ---- Stored arrays ------------------------------------------------------------------------------

const stored = JSON.parse(document.getElementById("stored").textContent);
const KINDS = {
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, float32: Float32Array,
};
const NOTHING = -32768;

function flat(array) {
  const bytes = Uint8Array.from(atob(array.data), (letter) => letter.charCodeAt(0));
  return new KINDS[array.type](bytes.buffer);
}

// A packed array as arrays in arrays. Lines have a scale each; the lowest number stands for NaN.
function unpacked(array) {
  const numbers = flat(array), steps = array.shape.at(-1);
  const scale = array.scale && flat(array.scale), shift = array.shift && flat(array.shift);
  let next = 0;
  const value = () => {
    const own = next++, line = Math.floor(own / steps);
    if (!scale) return numbers[own];
    return numbers[own] === NOTHING ? NaN : numbers[own] * scale[line] + shift[line];
  };
  const read = (depth) => (depth === array.shape.length ? value()
    : Array.from({length: array.shape[depth]}, () => read(depth + 1)));
  return read(0);
}

const PACKED = ["codes", "others", "occurrences", "along", "train", "test", "chi2", "lift",
  "residuals", "places", "examples", "shown"];
const opened = new Map();

// Row `place` with its arrays unpacked, which happens when it is first looked at.
function rowAt(place) {
  if (!opened.has(place)) {
    const row = {...stored.rows[place]};
    PACKED.forEach((name) => { row[name] = unpacked(row[name]); });
    row.difference = row.difference && unpacked(row.difference);
    row.place = new Map(row.codes.map((code, unit) => [code, unit]));
    opened.set(place, row);
  }
  return opened.get(place);
}

const series = unpacked(stored.series);
const chosen = unpacked(stored.chosen);
const labels = unpacked(stored.labels);
const classes = stored.classes;
const labelled = classes.length > 1;
const tested = stored.test_sizes.some((size) => size > 0);
const MARKED = 3; // residuals beyond it are marked
const PLOTS = 12; // series at first

// ---- Elements -----------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}
const html = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);
const byId = (id) => document.getElementById(id);

const percent = (share) =>
  share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`;
const number = (value) => Number(value.toPrecision(3)).toLocaleString("en", {
  maximumSignificantDigits: 3, useGrouping: false});
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const arrow = (residual) => (residual > MARKED ? "▲" : residual < -MARKED ? "▼" : "");

// The d of a line through values at x(0), x(1), ..., with gaps where there is none.
function line(values, x, y) {
  let d = "", pen = "M";
  values.forEach((value, i) => {
    if (Number.isNaN(value)) { pen = "M"; return; }
    d += `${pen}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  });
  return d;
}

// A scale from the range of some numbers to the height of a drawing.
function upwards(values, height, around = 3) {
  const known = values.filter((value) => !Number.isNaN(value));
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const range = known.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1;
  return (value) => height - around - ((value - low) / range) * (height - 2 * around);
}

// The least and the largest value of a channel: all series are drawn to one scale.
const ends = (channel) => {
  const values = series.flatMap((each) => each[channel]);
  return [Math.min, Math.max].map((best) => values.reduce((a, b) => best(a, b)));
};

// ---- What is looked at --------------------------------------------------------------------------

const state = {row: 0, channel: 0, class: -1, order: "used", kept: null, seen: null, only: false,
  count: PLOTS};

// Codes in a row that are looked at, [code] or an n-gram: under the pointer, else kept.
const current = () => state.seen ?? state.kept ?? [rowAt(state.row).codes[0]];
const same = (a, b) => a != null && b != null && a.length === b.length && a.every((x, i) => x === b[i]);

// First columns of the places of `codes` in series `s` of the row.
function placesIn(s, codes) {
  const own = rowAt(state.row).shown[s], found = [];
  for (let w = 0; w + codes.length <= own.length; w++) {
    if (codes.every((code, i) => own[w + i] === code)) found.push(w);
  }
  return found;
}

function look(codes) {
  if (same(codes, state.seen)) return;
  state.seen = codes;
  refresh();
}
// Marks alone: were the detail drawn anew, the series would move away under the pointer.
function glance(codes) {
  state.seen = codes;
  markTiles();
  markSeries();
}
function keep(codes) {
  const again = same(codes, state.kept);
  Object.assign(state, {kept: again ? null : codes, seen: again ? codes : null});
  refresh(true);
}
function refresh(listsToo = false) {
  markTiles();
  drawDetail();
  if (listsToo && state.only) drawSeries();
  else markSeries();
  markNgrams();
}

// ---- Controls -----------------------------------------------------------------------------------

function select(name, label, options, choose) {
  const element = html("select", {id: name, onchange: () => choose(element.value)},
    options.map(([value, words]) => html("option", {value}, words)));
  return options.length > 1 ? html("label", {}, label, element) : null;
}

function drawControls() {
  const orders = [["used", "most used"], ["classes", "tells classes apart"], ["number", "number"]];
  const take = (name) => (value) => {
    Object.assign(state, {[name]: Number(value)});
    if (name === "row") Object.assign(state, {kept: null, seen: null, only: false});
    drawAll();
  };
  fill(byId("controls"), {}, [
    select("row", "Row", stored.rows.map((row, i) => [i, row.name]), take("row")),
    select("channel", "Channel",
      Array.from({length: stored.channels}, (_, i) => [i, i + 1]), take("channel")),
    select("class", "Class", labelled ? [[-1, "all"], ...classes.map((name, i) => [i, name])] : [],
      take("class")),
    select("order", "Order", labelled ? orders : [orders[0], orders[2]], (value) => {
      state.order = value;
      drawTiles();
    }),
  ]);
}

// ---- Tiles --------------------------------------------------------------------------------------

// Share of the train series, or of those of the chosen class, that have unit `unit`.
function shareOf(row, unit) {
  const own = row.train[unit], sizes = stored.train_sizes;
  return state.class < 0 ? sum(own) / sum(sizes) : own[state.class] / Math.max(1, sizes[state.class]);
}

function ordered(row) {
  const units = row.codes.map((_, unit) => unit);
  const by = {
    used: (unit) => (state.class < 0 ? -row.occurrences[unit][0] : -shareOf(row, unit)),
    classes: (unit) => (state.class < 0 ? -row.chi2[unit] : -row.residuals[unit][state.class]),
    number: (unit) => row.codes[unit],
  }[state.order];
  return units.sort((a, b) => by(a) - by(b));
}

function classMarks(row, unit) {
  const told = classes.map((name, i) => [arrow(row.residuals[unit][i]), name, i])
    .filter(([mark, , i]) => mark && (state.class < 0 || state.class === i));
  told.sort((a, b) => row.residuals[unit][b[2]] - row.residuals[unit][a[2]]);
  return told.map(([mark, name]) => `${mark} ${name}`).join("  ");
}

function drawTiles() {
  const row = rowAt(state.row), H = 44, W = 96;
  const all = row.difference ? row.difference.flatMap((each) => each[state.channel]) : [0];
  const y = upwards([...all, 0], H);
  const most = Math.max(1, ...row.along.flat());
  const tiles = ordered(row).map((unit) => {
    const code = row.codes[unit], made = row.difference?.[unit][state.channel] ?? [];
    const x = (i) => (i / Math.max(1, made.length - 1)) * W;
    const columns = row.along[unit];
    const [from, to] = ownColumn(row).map(x);
    const picture = svg("svg", {viewBox: `0 0 ${W} ${H + 8}`, "aria-hidden": "true"},
      row.placed && made.length ? svg("rect", {class: "own", x: from, width: to - from, height: H}) : null,
      svg("line", {class: "zero", x2: W, y1: y(0), y2: y(0)}),
      svg("path", {class: "line made", d: line(made, x, y)}),
      row.placed ? columns.map((count, w) => svg("rect", {class: "bar", y: H + 2, height: 5,
        ...columnOf(row, w, W), opacity: count / most})) : null);
    const share = shareOf(row, unit);
    return html("div", {class: "tile", role: "option", tabindex: -1, "data-code": code,
      "aria-label": `code ${code}, in ${percent(share)} of the series ${classMarks(row, unit)}`,
      onmouseenter: () => look([code]), onfocus: () => look([code]), onclick: () => keep([code])},
    html("div", {class: "top"}, html("b", {}, code), html("span", {}, percent(share))),
    picture,
    labelled ? html("div", {class: "classes"}, classMarks(row, unit)) : null);
  });
  byId("tiles").replaceChildren(...tiles);
  const hidden = row.used - row.codes.length;
  const whose = state.class < 0 ? "train series" : `train series of class ${classes[state.class]}`;
  byId("codes-note").textContent =
    `${row.used} of ${row.codebook_size} codes are used in this row${hidden ? `; the ${row.codes.length} most used are shown` : ""}. `
    + `Each with the share of ${whose} that have it${row.difference
      ? `, the difference it makes${row.placed ? " (its own column shaded)" : " over the whole series"}` : ""}${
      row.placed ? " and, below, where along time it stands" : ""}.${
      row.difference ? "" : " This model has no decoder, so no difference can be shown."}`;
  markTiles();
}

// Where a code's own column begins and ends among the steps drawn of its difference.
function ownColumn(row) {
  return [row.before / stored.thin, (row.before + row.span) / stored.thin];
}

// Where a column, or some in a row, lie along a series that is W wide.
function columnOf(row, w, W, columns = 1) {
  const [x, end] = [row.edges[w], row.edges[w + columns]].map((edge) => (edge / stored.length) * W);
  return {x, width: end - x};
}

function markTiles() {
  const tiles = [...byId("tiles").children], now = current();
  let reached = tiles.find((tile) => same([Number(tile.dataset.code)], now)) ?? tiles[0];
  if (tiles.includes(document.activeElement)) reached = document.activeElement;
  tiles.forEach((tile) => {
    const own = [Number(tile.dataset.code)];
    tile.classList.toggle("current", now.includes(own[0]));
    tile.setAttribute("aria-selected", String(same(own, state.kept)));
    tile.tabIndex = tile === reached ? 0 : -1;
  });
}

function onTileKey(event) {
  const tiles = [...byId("tiles").children], at = tiles.indexOf(document.activeElement);
  if (at < 0) return;
  const top = tiles[0].offsetTop, across = Math.max(1, tiles.filter((t) => t.offsetTop === top).length);
  // On a phone tiles run down first, in two lines.
  const down = getComputedStyle(byId("tiles")).gridAutoFlow.startsWith("column");
  const steps = down
    ? {ArrowRight: 2, ArrowLeft: -2, ArrowDown: 1, ArrowUp: -1}
    : {ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across};
  let next = at + (steps[event.key] ?? 0);
  if (event.key === "Home") next = 0;
  else if (event.key === "End") next = tiles.length - 1;
  else if (event.key === "Enter" || event.key === " ") keep([Number(tiles[at].dataset.code)]);
  else if (event.key === "Escape") { state.kept = null; refresh(true); }
  else if (!(event.key in steps)) return;
  event.preventDefault();
  tiles[Math.min(Math.max(next, 0), tiles.length - 1)].focus();
}

// ---- The code in detail -------------------------------------------------------------------------

function axis(from, to, W, H) {
  return svg("g", {}, svg("text", {y: H}, from),
    svg("text", {x: W, y: H, "text-anchor": "end"}, to));
}

function differenceFigure(row, unit) {
  const made = row.difference[unit][state.channel], W = 520, H = 150, left = 64;
  if (made.every(Number.isNaN)) {
    return html("figure", {}, html("figcaption", {},
      "It is the only code of its row, so there is none to compare it with."));
  }
  const y = upwards([...made, 0], H - 20, 6);
  const x = (i) => left + (i / Math.max(1, made.length - 1)) * (W - left);
  const [from, to] = ownColumn(row), known = made.filter((value) => !Number.isNaN(value));
  const tips = [Math.max(...known, 0), Math.min(...known, 0)];
  const first = row.placed ? -row.before : 0, last = first + (made.length - 1) * stored.thin;
  return html("figure", {},
    svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img",
      "aria-label": `mean difference from ${number(tips[1])} to ${number(tips[0])}`},
    row.placed ? svg("rect", {class: "own", x: x(from), width: x(to) - x(from), height: H - 18}) : null,
    svg("line", {class: "zero", x1: left, x2: W, y1: y(0), y2: y(0)}),
    svg("path", {class: "line made", d: line(made, x, y)}),
    tips.filter((tip) => tip).map((tip) =>
      svg("text", {x: left - 6, y: y(tip) + 4, "text-anchor": "end"}, number(tip))),
    svg("text", {x: left, y: H}, first),
    svg("text", {x: W, y: H, "text-anchor": "end"}, last)),
    html("figcaption", {}, `Mean difference it makes, decoded with it and with code ${row.others[unit]} `
      + `in its place, over ${row.places[unit]} places. `
      + (row.placed ? "Steps from the start of its own column, which is shaded."
        : "This code has no place in time: it is everywhere, and the difference runs over the whole series.")));
}

// A little apart from its neighbours.
function bar({x, width}) {
  return {x: x + 1, width: Math.max(1, width - 2)};
}

function alongFigure(row, unit) {
  const counts = row.along[unit], W = 520, H = 74;
  const most = Math.max(...counts), of = sum(stored.train_sizes);
  return html("figure", {},
    svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img",
      "aria-label": `where along time: ${counts.map((c) => percent(c / of)).join(", ")}`},
    counts.map((count, w) => svg("g", {},
      svg("title", {}, `steps ${row.edges[w]} to ${row.edges[w + 1] - 1}: ${count} of ${of}`),
      svg("rect", {class: "bar", ...bar(columnOf(row, w, W)),
        height: (count / most) * (H - 18), y: (1 - count / most) * (H - 18)}))),
    svg("line", {class: "zero", x2: W, y1: H - 18, y2: H - 18}),
    axis(0, stored.length - 1, W, H - 4)),
    html("figcaption", {}, `Where along time: train series with it in each column, at most ${percent(most / of)}.`));
}

const times = (count) => (count === 1 ? "once" : `${count} times`);
const cell = (count, size) => `${count} of ${size}${size ? ` (${percent(count / size)})` : ""}`;

function classTable(row, unit) {
  const head = ["class", "train series", "lift", "residual", ...(tested ? ["test series"] : [])];
  const order = classes.map((_, i) => i)
    .sort((a, b) => row.residuals[unit][b] - row.residuals[unit][a]);
  return html("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "classes"},
    html("table", {},
      html("thead", {}, html("tr", {}, head.map((words) => html("th", {scope: "col"}, words)))),
      html("tbody", {}, order.map((i) => html("tr", {class: i === state.class ? "chosen" : null},
        html("th", {scope: "row"}, classes[i]),
        html("td", {}, cell(row.train[unit][i], stored.train_sizes[i])),
        html("td", {}, row.lift[unit][i].toFixed(2)),
        html("td", {}, `${arrow(row.residuals[unit][i])} ${signed(row.residuals[unit][i])}`),
        tested ? html("td", {}, cell(row.test[unit][i], stored.test_sizes[i])) : null)))));
}

function caption(s) {
  return `train series ${chosen[s]}${labelled ? `, class ${classes[labels[s]]}` : ""}`;
}

function exampleFigures(row, unit) {
  const found = row.examples[unit].filter(([s]) => s >= 0);
  return html("div", {class: "examples"}, found.map(([s, w]) => {
    const values = series[s][state.channel], W = 170, H = 60;
    const x = (i) => (i / Math.max(1, values.length - 1)) * W, y = upwards(ends(state.channel), H);
    const own = row.placed ? band(row, w, 1, W, H) : null;
    return html("figure", {}, svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img",
      "aria-label": `${caption(s)}, steps ${row.edges[w]} to ${row.edges[w + 1] - 1} marked`},
    own, svg("path", {class: "line", d: line(values, x, y)})),
    html("figcaption", {}, caption(s)));
  }));
}

// The steps of `columns` columns from `w`: a tint, and lines at both ends.
function band(row, w, columns, W, H) {
  const {x, width} = columnOf(row, w, W, columns), end = x + width;
  return svg("g", {}, svg("rect", {class: "own", x, width, height: H}),
    svg("line", {class: "edge", x1: x, x2: x, y2: H}),
    svg("line", {class: "edge", x1: end, x2: end, y2: H}));
}

function drawDetail() {
  const row = rowAt(state.row), codes = current();
  const parts = codes.map((code) => row.place.get(code)).filter((unit) => unit != null);
  const heading = html("h3", {}, `${codes.length > 1 ? "Codes" : "Code"} ${codes.join(" → ")}`);
  if (codes.length > 1 || !parts.length) {
    byId("detail").replaceChildren(heading, html("p", {class: "note"}, codes.length > 1
      ? `An n-gram of ${row.name}; each of its codes:`
      : "It is not among the most used codes of its row, so nothing was measured of it."),
    ...parts.flatMap((unit) => [html("h4", {}, `Code ${row.codes[unit]}`),
      row.difference ? differenceFigure(row, unit) : ""]));
    return;
  }
  const [unit] = parts, [train, test] = row.occurrences[unit];
  const all = stored.train * row.along[unit].length;
  const held = stored.test ? `, ${times(test)} in test` : "";
  byId("detail").replaceChildren(heading,
    html("p", {class: "note"}, `${row.name}. Used ${times(train)} in train (${percent(train / all)} of the row's places)${held}; `
      + `in ${cell(sum(row.train[unit]), sum(stored.train_sizes))} train series. encode writes ${codes[0] + row.offset}.`),
    row.difference ? differenceFigure(row, unit) : "",
    ...(row.placed ? [html("h4", {}, "Where"), alongFigure(row, unit)] : []),
    ...(labelled ? [html("h4", {}, `Classes (χ² ${row.chi2[unit].toFixed(1)} on train)`), classTable(row, unit)] : []),
    html("h4", {}, row.difference ? "Typical examples" : "Examples"), exampleFigures(row, unit));
}

// ---- Series -------------------------------------------------------------------------------------

function middle({x, width}) {
  return x + width / 2;
}

function drawSeries() {
  const row = rowAt(state.row), codes = current(), W = 280, H = 80, strip = row.placed ? 18 : 0;
  const y = upwards(ends(state.channel), H);
  const fitting = series.map((_, s) => s).filter((s) =>
    (state.class < 0 || labels[s] === state.class) && (!state.only || placesIn(s, codes).length));
  const figures = fitting.slice(0, state.count).map((s) => {
    const values = series[s][state.channel];
    const x = (i) => (i / Math.max(1, values.length - 1)) * W;
    const room = columnOf(row, 0, W).width > 7 * Math.max(...row.shown[s].map((code) => String(code).length));
    return html("figure", {"data-series": s}, svg("svg",
      {viewBox: `0 0 ${W} ${H + strip}`, role: "img"},
      svg("g", {class: "marks"}),
      svg("path", {class: "line", d: line(values, x, y)}),
      strip ? row.shown[s].map((code, w) => svg("g", {},
        svg("rect", {class: "cell", "data-column": w, ...columnOf(row, w, W), y: H + 3, height: strip - 4,
          onmouseenter: () => glance([code]), onclick: () => keep([code])}),
        room ? svg("text", {class: "number", "data-column": w, x: middle(columnOf(row, w, W)), y: H + 13}, code)
          : svg("title", {}, code))) : null),
    html("figcaption"));
  });
  byId("plots").replaceChildren(...figures);
  byId("series-note").textContent = "Places are marked, and all series are drawn to one scale."
    + (row.placed ? " Under each are its codes; choose one there too." : "");
  byId("more").hidden = fitting.length <= state.count;
  markSeries();
}

function markSeries() {
  const row = rowAt(state.row), codes = current(), W = 280, H = 80;
  let having = 0;
  series.forEach((_, s) => {
    if (state.class < 0 || labels[s] === state.class) having += placesIn(s, codes).length > 0;
  });
  document.querySelectorAll("#plots figure").forEach((figure) => {
    const s = Number(figure.dataset.series), places = placesIn(s, codes);
    const inside = (w) => places.some((first) => first <= w && w < first + codes.length);
    figure.querySelector(".marks").replaceChildren(
      ...places.map((w) => band(row, w, codes.length, W, H)));
    figure.querySelectorAll("[data-column]").forEach((each) =>
      each.classList.toggle("on", inside(Number(each.dataset.column))));
    const words = row.placed
      ? (places.length ? `${places.length} ×` : "not in it")
      : `code ${row.shown[s][0]}${places.length ? ", this one" : ""}`;
    figure.querySelector("figcaption").textContent = `${caption(s)}: ${words}`;
    figure.querySelector("svg").setAttribute("aria-label", figure.textContent);
  });
  const whose = state.class < 0 ? "" : ` of class ${classes[state.class]}`;
  byId("series-now").textContent = `Code${codes.length > 1 ? "s" : ""} ${codes.join(" → ")}: `
    + `in ${having} series${whose} here`;
}

// ---- n-grams ------------------------------------------------------------------------------------

// The class an n-gram is most over-represented in, by share, unless one is chosen.
function classOf(gram) {
  if (state.class >= 0) return state.class;
  const shares = gram.train.map((count, i) => (stored.train_sizes[i] ? count / stored.train_sizes[i] : 0));
  return shares.indexOf(Math.max(...shares));
}

function drawNgrams() {
  byId("ngrams").hidden = !labelled;
  if (!labelled) return;
  const share = (counts, sizes, of) => counts[of] / Math.max(1, sizes[of]);
  const shown = stored.ngrams.filter((gram) => state.class < 0
    || share(gram.train, stored.train_sizes, state.class) > sum(gram.train) / sum(stored.train_sizes));
  const beside = (counts, sizes, of) => [html("td", {}, cell(counts[of], sizes[of])),
    html("td", {}, cell(sum(counts) - counts[of], sum(sizes) - sizes[of]))];
  const head = ["n-gram", "χ², train", "class", "train: class", "train: others",
    ...(tested ? ["test: class", "test: others"] : [])];
  byId("ngrams-note").textContent = `Codes next to each other along time, ranked by χ² on train: the best ${stored.ngrams.length} of ${stored.tried} tried`
    + `${state.class < 0 ? "" : `, of them those more frequent in class ${classes[state.class]}`}. `
    + `Series with it are counted${tested ? " on both parts; test had no part in the choice" : ""}. Choose one to mark it in the series.`;
  const rows = shown.map((gram) => {
    const of = classOf(gram), row = stored.rows[gram.row];
    const choose = () => {
      const again = state.row === gram.row && same(gram.codes, state.kept);
      Object.assign(state, {row: gram.row, kept: again ? null : gram.codes, seen: null, only: !again});
      drawRow();
      if (!again) byId("series").scrollIntoView();
    };
    return html("tr", {"data-row": gram.row, "data-codes": gram.codes.join(" "), onclick: choose},
      html("th", {scope: "row"}, html("button", {type: "button"},
      gram.codes.join(" → "), html("span", {class: "spread"}, row.name))),
      html("td", {}, gram.chi2.toFixed(1)), html("td", {}, classes[of]),
      beside(gram.train, stored.train_sizes, of),
      tested ? beside(gram.test, stored.test_sizes, of) : null);
  });
  byId("ngrams-table").replaceChildren(html("table", {},
    html("thead", {}, html("tr", {}, head.map((words) => html("th", {scope: "col"}, words)))),
    html("tbody", {}, rows)));
}

function markNgrams() {
  document.querySelectorAll("#ngrams tbody tr").forEach((line) => {
    const on = Number(line.dataset.row) === state.row && line.dataset.codes === state.kept?.join(" ");
    line.classList.toggle("chosen", on);
    line.querySelector("button").setAttribute("aria-pressed", String(on));
  });
}

// ---- All of it ----------------------------------------------------------------------------------

function drawFacts() {
  const cap = (shown, all, words) => (shown < all ? `the first ${shown} of ${all} ${words}` : "");
  byId("facts").textContent = `${stored.train} train series`
    + `${stored.test ? `, ${stored.test} test series` : ", no test part"}, `
    + `${stored.length} steps${stored.channels_in_all > 1 ? `, ${stored.channels_in_all} channels` : ""}; `
    + `${labelled ? `${classes.length} classes` : "without two classes, so nothing is said of them"}. `
    + `Codes: a grid of ${stored.height} × ${stored.width} a series.`;
  const caps = [
    series.length < stored.train
      ? `${series.length} train series, evenly spaced in each class or an example of a code` : "",
    cap(stored.rows.length, stored.rows_in_all, "rows of codes"),
    cap(stored.channels, stored.channels_in_all, "channels"),
    stored.rows.some((row) => row.used > stored.codes_a_row) ? `the ${stored.codes_a_row} most used codes of each row` : "",
    stored.thin > 1 ? `every ${stored.thin}th step` : "",
  ].filter(Boolean);
  byId("caps").hidden = !caps.length;
  byId("caps").textContent = `To stay small, this page holds only ${caps.join("; ")}. Counts are over all series.`;
}

function drawRow() {
  state.count = PLOTS;
  byId("only").checked = state.only;
  if (byId("row")) byId("row").value = state.row;
  drawTiles();
  drawDetail();
  drawSeries();
  markNgrams();
}

function drawAll() {
  drawNgrams();
  drawRow();
}

byId("tiles").addEventListener("keydown", onTileKey);
byId("tiles").addEventListener("mouseleave", () => look(null));
byId("plots").addEventListener("mouseleave", () => look(null));
byId("only").addEventListener("change", (event) => {
  state.only = event.target.checked;
  drawSeries();
});
byId("more").addEventListener("click", () => {
  state.count += 2 * PLOTS;
  drawSeries();
});
drawFacts();
drawControls();
drawAll();
