"use strict";
// The state of the page lives in its address (#images?dataset=…&sort=…), so that a view can be
// shared, printed or tested.
const { datasets, methods, colours } = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("controls");
const gallery = document.getElementById("gallery");
const PAGE = 12;
let page = 0;

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const number = (value, unit) => (value === null ? "undefined" : value.toFixed(1) + unit);
const shown = () => new FormData(form).getAll("show");

function outline(path, colour, size) {
  const width = size / 110;
  return `<path d="${path}" class="halo" stroke-width="${2.2 * width}"/>
    <path d="${path}" stroke="${colour}" stroke-width="${width}"/>`;
}

function picture(item, layers) {
  const fill = `x="0" y="0" width="${item.width}" height="${item.height}" preserveAspectRatio="none"`;
  const parts = [`<image href="${item.image}" ${fill}/>`];
  if (layers.includes("relevance")) parts.push(`<image href="${item.relevance}" ${fill} opacity=".6"/>`);
  if (layers.includes("truth")) parts.push(outline(item.truth, "#fff", item.width));
  for (const name of Object.keys(methods)) {
    if (layers.includes(name)) parts.push(outline(item.masks[name].path, colours[methods[name]], item.width));
  }
  const label = `Image ${item.id} with outlines: ${layers.join(", ")}`;
  return `<svg viewBox="0 0 ${item.width} ${item.height}" role="img" aria-label="${escaped(label)}">${parts.join("")}</svg>`;
}

function card(item, layers) {
  const rows = Object.entries(methods).map(([name, row]) => {
    const { dice, iou } = item.masks[name];
    return `<tr><th scope="row"><i class="swatch" style="background:${colours[row]}"></i>${escaped(row)}</th>
      <td class="number">${number(dice, "")}</td><td class="number">${number(iou, "")}</td></tr>`;
  });
  return `<figure>${picture(item, layers)}<figcaption><b>${escaped(item.id)}</b> · ${escaped(item.split)}<br>
    label ${escaped(item.label)}, explained for ${escaped(item.target)}; completeness error ${number(100 * item.completeness, " %")}
    <table><thead><tr><th scope="col">%</th><th scope="col" class="number">Dice</th><th scope="col" class="number">IoU</th></tr></thead>
    <tbody>${rows.join("")}</tbody></table></figcaption></figure>`;
}

function ordered() {
  const { dataset, sort, by } = Object.fromEntries(new FormData(form));
  const items = [...datasets[dataset]];
  if (sort === "id") return items.sort((a, b) => (a.id < b.id ? -1 : 1));
  const sign = sort === "best" ? -1 : 1;
  return items.sort((a, b) => sign * (a.masks[by].dice - b.masks[by].dice));
}

function draw() {
  const items = ordered();
  const pages = Math.max(1, Math.ceil(items.length / PAGE));
  page = Math.min(Math.max(page, 0), pages - 1);
  const layers = shown();
  const visible = items.slice(page * PAGE, (page + 1) * PAGE);
  gallery.innerHTML = visible.map((item) => card(item, layers)).join("");
  const { place, back, next } = form.elements;
  place.value = items.length
    ? `${page * PAGE + 1}–${page * PAGE + visible.length} of ${items.length}`
    : "no image";
  back.disabled = page === 0;
  next.disabled = page === pages - 1;
}

function remember() {
  const state = new URLSearchParams(new FormData(form));
  state.delete("show");
  state.set("show", shown().join(","));
  state.set("page", page + 1);
  history.replaceState(null, "", `#images?${state}`);
}

function recall() {
  const [section, query] = location.hash.slice(1).split("?");
  if (section !== "images" || !query) return;
  const state = new URLSearchParams(query);
  for (const name of ["dataset", "sort", "by"]) {
    const options = [...form.elements[name].options].map((option) => option.value);
    if (options.includes(state.get(name))) form.elements[name].value = state.get(name);
  }
  if (state.has("show")) {
    const layers = state.get("show").split(",");
    for (const box of form.elements.show) box.checked = layers.includes(box.value);
  }
  page = (parseInt(state.get("page"), 10) || 1) - 1;
  document.getElementById(section).scrollIntoView({ behavior: "instant" });
}

// Each of the tables is there once for all images and for each side of the split.
const switches = [...document.querySelectorAll(".switch input")];

function split({ name, value }) {
  for (const input of switches.filter((other) => other.name === name)) {
    for (const table of document.getElementsByClassName(`${name}-${input.value}`)) {
      table.hidden = input.value !== value;
    }
  }
}

document.documentElement.classList.add("scripted");
recall();
draw();
switches.filter((input) => input.checked).forEach(split);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  if (event.target.name !== "show") page = 0;
  draw();
  remember();
});
for (const [name, step] of [["back", -1], ["next", 1]]) {
  form.elements[name].addEventListener("click", () => {
    page += step;
    draw();
    remember();
  });
}
addEventListener("hashchange", () => {
  recall();
  draw();
});
for (const input of switches) input.addEventListener("change", () => split(input));
