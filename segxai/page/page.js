"use strict";
// The state of the page lives in its address (#images?dataset=…&by=…), so that a view can be
// linked to, shared or tested.
const browser = JSON.parse(document.getElementById("data-browser").textContent);
const form = document.getElementById("controls");
const gallery = document.getElementById("gallery");
const SELECTS = ["dataset", "by", "score", "order", "cases"];
const PAGE = 12;
let current = 0; // place of the chosen image in the order
let large = false;

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const chosen = () => browser[form.elements.dataset.value];
const boxes = () => [...form.querySelectorAll("input[name=show]")];
const shown = () => boxes().filter((box) => box.checked).map((box) => box.value);
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

// Layers over an image, with their keys.
function layers({ refined, masks }) {
  const maps = [{ value: "relevance", name: "relevance", key: "r", swatch: "heat" }];
  if (refined) maps.push({ value: "inside", name: "relevance inside the mask", key: "x", swatch: "heat" });
  const outlines = Object.entries(masks).map(([value, mask], k) => ({ value, ...mask, key: String(k + 1) }));
  return [{ value: "truth", name: "truth", key: "t", swatch: "truth" }, ...maps, ...outlines];
}

function fill(select, names, value) {
  select.innerHTML = Object.entries(names)
    .map(([key, name]) => `<option value="${escaped(key)}">${escaped(name)}</option>`)
    .join("");
  if (value in names) select.value = value;
}

// Each data set has its own methods, scores and layers.
function offer() {
  const set = chosen();
  const methods = Object.entries(set.methods).map(([key, { name }]) => [key, name]);
  fill(form.elements.by, Object.fromEntries(methods), set.first);
  fill(form.elements.score, set.scores);
  form.querySelector(".cases").hidden = !set.predicted;
  form.elements.cases.value = "all";
  const on = ["truth", ...(set.predicted ? ["relevance", "segmentation"] : [set.first])];
  document.getElementById("layers").innerHTML = layers(set)
    .map(({ value, name, key, swatch, colour }) => `<label><input type="checkbox" name="show" value="${escaped(value)}"
      data-key="${key}" aria-keyshortcuts="${key}"${on.includes(value) ? " checked" : ""}>
      <i class="swatch ${swatch || ""}"${colour ? ` style="background:${colour}"` : ""}></i>${escaped(name)} <kbd>${key}</kbd></label>`)
    .join(" ");
}

function outline(path, colour, size) {
  const width = size / 110;
  return `<path d="${path}" class="halo" stroke-width="${2.2 * width}"/>
    <path d="${path}" stroke="${colour}" stroke-width="${width}"/>`;
}

function picture(set, item, place) {
  const { width, height, pictures, masks } = set;
  const on = shown();
  const size = large && place === current ? width / 2 : width;
  const fit = `x="0" y="0" width="${width}" height="${height}" preserveAspectRatio="none"`;
  const map = pictures[item.maps[set.methods[form.elements.by.value].map]];
  const parts = [`<image href="${pictures[item.image]}" ${fit}/>`];
  if (map && on.includes("relevance")) parts.push(`<image href="${map}" ${fit} opacity=".6"/>`);
  if (map && on.includes("inside")) {
    parts.push(`<clipPath id="clip-${place}"><path d="${item.masks.segmentation}" clip-rule="evenodd"/></clipPath>
      <image href="${map}" ${fit} opacity=".85" clip-path="url(#clip-${place})"/>`);
  }
  for (const [name, { colour }] of Object.entries(masks)) {
    if (on.includes(name)) parts.push(outline(item.masks[name], colour, size));
  }
  if (on.includes("truth")) parts.push(outline(item.truth, "#fff", size));
  const label = `Image ${item.id} with ${on.join(", ") || "nothing"} over it`;
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${parts.join("")}</svg>`;
}

function card(set, item, place) {
  const head = Object.keys(set.scores).map((key) => `<th scope="col" class="number">${escaped(set.short[key])}</th>`);
  const rows = Object.entries(set.methods).map(([key, { name, colour }]) => {
    const cells = Object.keys(set.scores).map((score) => `<td class="number">${number(item.scores[key][score], set.digits)}</td>`);
    return `<tr${key === form.elements.by.value ? ' class="by"' : ""}><th scope="row"><i class="swatch"
      style="background:${colour}"></i>${escaped(name)}</th>${cells.join("")}</tr>`;
  });
  const state = place === current ? ` tabindex="0"${large ? ' class="large"' : ""}` : ' tabindex="-1"';
  return `<figure data-place="${place}" data-id="${escaped(item.id)}"${state} aria-label="Image ${escaped(item.id)}">
    ${picture(set, item, place)}<figcaption><b>${escaped(item.id)}</b><br>${escaped(item.facts)}
    <div class="scores"><table><thead><tr><th></th>${head.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div></figcaption></figure>`;
}

function ordered() {
  const { by, score, order, cases } = Object.fromEntries(new FormData(form));
  const items = chosen().items.filter(
    ({ scores, correct }) =>
      // Another classifier may not have predicted the label.
      Object.values(scores[by]).some((value) => value !== null) &&
      (cases === "all" || correct === (cases === "correct")),
  );
  const names = (a, b) => (a.id < b.id ? -1 : 1);
  if (order === "name") return items.sort(names);
  const sign = order === "highest" ? -1 : 1;
  // Undefined scores come last.
  const value = ({ scores }) => scores[by][score] ?? sign * Infinity;
  return items.sort((a, b) => (value(a) === value(b) ? names(a, b) : sign * (value(a) - value(b))));
}

function draw() {
  const items = ordered();
  const set = chosen();
  current = Math.min(Math.max(current, 0), Math.max(items.length - 1, 0));
  const start = PAGE * Math.floor(current / PAGE);
  const visible = items.slice(start, start + PAGE);
  gallery.classList.toggle("narrow", set.predicted);
  gallery.innerHTML = visible.map((item, k) => card(set, item, start + k)).join("");
  const { place, back, next } = form.elements;
  place.value = items.length ? `${start + 1}–${start + visible.length} of ${items.length}` : "no image";
  back.disabled = start === 0;
  next.disabled = start + PAGE >= items.length;
  return items;
}

function remember() {
  const state = new URLSearchParams(new FormData(form));
  state.delete("show");
  state.set("show", shown().join(","));
  const item = ordered()[current];
  if (item) state.set("image", item.id);
  history.replaceState(null, "", `#images?${state}`);
}

function recall() {
  const [section, query] = location.hash.slice(1).split("?");
  if (section !== "images" || !query) return;
  const state = new URLSearchParams(query);
  for (const name of SELECTS) {
    const options = [...form.elements[name].options].map((option) => option.value);
    if (options.includes(state.get(name))) form.elements[name].value = state.get(name);
    if (name === "dataset") offer();
  }
  if (state.has("show")) {
    const on = state.get("show").split(",");
    for (const box of boxes()) box.checked = on.includes(box.value);
  } else if (state.has("by")) {
    follow(chosen().first);
  }
  current = Math.max(0, ordered().findIndex(({ id }) => id === state.get("image")));
  document.getElementById(section).scrollIntoView({ behavior: "instant" });
}

// The displayed mask is that of the method.
function follow(before) {
  const [old, now] = [before, form.elements.by.value].map((name) => boxes().find(({ value }) => value === name));
  if (old && now && old !== now && old.checked) [old.checked, now.checked] = [false, true];
}

function go(place) {
  current = place;
  draw();
  remember();
  gallery.querySelector(`[data-place="${current}"]`)?.focus();
}

function enlarge(on) {
  large = on;
  draw();
  gallery.querySelector(`[data-place="${current}"]`)?.focus();
}

function press(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const box = boxes().find(({ dataset }) => dataset.key === event.key.toLowerCase());
  const moves = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: Infinity };
  if (box) box.click();
  else if (event.key in moves) go(moves[event.key]);
  else if (event.key === "Enter") enlarge(!large);
  else if (event.key === "Escape") enlarge(false);
  else return;
  event.preventDefault();
  gallery.querySelector(`[data-place="${current}"]`)?.focus();
}

document.documentElement.classList.add("scripted");
if (form) start();

function start() {
  offer();
  recall();
  draw();
  let method = form.elements.by.value;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    if (target.name === "dataset") offer();
    if (target.name === "by") follow(method);
    if (target.name !== "show") current = 0;
    method = form.elements.by.value;
    draw();
    remember();
  });
  const turn = (step) => {
    current = PAGE * (Math.floor(current / PAGE) + step);
    draw();
    remember();
  };
  form.elements.back.addEventListener("click", () => turn(-1));
  form.elements.next.addEventListener("click", () => turn(1));
  gallery.addEventListener("keydown", press);
  gallery.addEventListener("click", (event) => {
    const figure = event.target.closest("figure");
    if (figure) go(Number(figure.dataset.place));
  });
  addEventListener("hashchange", () => {
    recall();
    method = form.elements.by.value;
    draw();
  });
}

// Tables: a button in each heading sorts the rows within their group; a second press reverses them.
const numbers = JSON.parse(document.getElementById("numbers").textContent);
const LIMIT = 200;

// Undefined values come last in either direction.
function compare(a, b, sign) {
  const [empty, other] = [a, b].map((value) => value === null || value === "");
  if (empty || other) return empty - other;
  const [x, y] = [Number(a), Number(b)];
  if (!isNaN(x) && !isNaN(y)) return sign * (x - y);
  return sign * (String(a) < String(b) ? -1 : a === b ? 0 : 1);
}

// Put a button into each heading; `sort` gets the column and 1 for rising or -1 for falling.
function sortable(headings, sort) {
  headings.forEach((heading, column) => {
    heading.innerHTML = `<button type="button" class="sort">${heading.innerHTML}</button>`;
    heading.firstChild.addEventListener("click", () => {
      const rising = heading.getAttribute("aria-sort") === "descending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
      sort(column, rising ? 1 : -1);
    });
  });
}

const content = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
for (const table of document.querySelectorAll("table.sortable")) {
  sortable([...table.tHead.rows[0].cells], (column, sign) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      rows.sort((a, b) => compare(content(a, column), content(b, column), sign));
      body.append(...rows);
    }
  });
}

// All numbers of a table: built when it is unfolded, filtered by words that a row must contain.
function unfold(details) {
  const { columns, rows } = numbers[details.dataset.table];
  details.insertAdjacentHTML("beforeend", `<div class="controls"><label>Rows with
    <input type="search" placeholder="words, such as shap test"></label> <output aria-live="polite"></output></div>
    <div class="scroll" role="region" aria-label="All numbers" tabindex="0"><table><thead><tr>${columns
      .map((name) => `<th scope="col">${escaped(name)}</th>`)
      .join("")}</tr></thead><tbody></tbody></table></div>`);
  const search = details.querySelector("input");
  let shown = rows;
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = shown.filter((row) => {
      const text = row.join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    details.querySelector("tbody").innerHTML = matching
      .slice(0, LIMIT)
      .map((row) => `<tr>${row.map((value) => `<td${typeof value === "number" ? ' class="number"' : ""}>${escaped(value ?? "–")}</td>`).join("")}</tr>`)
      .join("");
    const rest = matching.length > LIMIT ? `, the first ${LIMIT} shown` : "";
    details.querySelector("output").value = `${matching.length} of ${rows.length} rows${rest}`;
  };
  sortable([...details.querySelectorAll("th")], (column, sign) => {
    shown = [...rows].sort((a, b) => compare(a[column], b[column], sign));
    show();
  });
  search.addEventListener("input", show);
  show();
}

for (const details of document.querySelectorAll("details.every")) {
  details.addEventListener("toggle", () => unfold(details), { once: true });
}
// Print folded parts of the page, but not all numbers.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not(.every)")) details.open = true;
});
