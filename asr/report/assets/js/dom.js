"use strict";
// Elements and formats. Text from a run is always inserted as text, never as HTML.

const report = {};

report.el = function (tag, attributes, ...children) {
  return report.fill(document.createElement(tag), attributes, children);
};

report.svg = function (tag, attributes, ...children) {
  return report.fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
};

report.fill = function (element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
};

report.percent = (share, digits = 1) => (share === null || share === undefined ? "–" : (100 * share).toFixed(digits));

// An interval of rates in per cent. One without width is none: no utterance differs from another, as where there is one.
report.interval = (one, between = " – ", low = report.rate(one, "_low"), high = report.rate(one, "_high")) => (low === high ? "no interval" : report.percent(low) + between + report.percent(high));
report.said = (one) => (report.rate(one, "_low") === report.rate(one, "_high") ? "no interval" : `95 % interval ${report.interval(one, " to ")}`);
report.points = (share) => (share > 0 ? "+" : share < 0 ? "−" : "") + Math.abs(100 * share).toFixed(2);

report.number = function (value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2);
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
};

// Two significant digits, never rounded to 0.
report.significant = (value) => (value === null || value === undefined ? "–" : value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(2))));

report.millions = (value) => (value ? (value / 1e6).toFixed(2) + " M" : "–");

report.clock = function (seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  const pad = (value) => String(value).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
};

report.setting = (value) => (value === null || value === undefined ? "null" : Array.isArray(value) ? value.join(", ") || "[]" : String(value));

report.count = (number, one, many) => `${report.number(number)} ${number === 1 ? one : many || one + "s"}`;

// "rtl" or "ltr", by the first letter of a text.
report.direction = function (text) {
  const [letter] = /\p{L}/u.exec(text) || [""];
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u.test(letter) ? "rtl" : "ltr";
};

// Text of unknown direction, isolated from its surroundings.
report.text = (value, attributes) => report.el("bdi", { dir: "auto", ...attributes }, value);

report.select = function (label, options, chosen, onchange) {
  const select = report.el("select", { onchange: (event) => onchange(event.target.value) },
    options.map(([value, text]) => report.el("option", { value, selected: value === chosen }, text)));
  return report.el("label", { class: "field" }, report.el("span", {}, label), select);
};

report.choice = function (label, options, chosen, onchange) {
  const buttons = options.map(([value, text]) => report.el("button", {
    type: "button", "aria-pressed": String(value === chosen), "data-value": value,
    onclick: (event) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
      onchange(value);
    },
  }, text));
  return report.el("div", { class: "choice", role: "group", "aria-label": label }, buttons);
};

report.search = function (label, value, oninput) {
  return report.el("label", { class: "field search" }, report.el("span", {}, label),
    report.el("input", { type: "search", value, placeholder: "text, id or speaker", "data-search": true, oninput: (event) => oninput(event.target.value) }));
};

// What may be wider than the window scrolls by itself.
report.wide = (label, ...children) => report.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);

report.section = (title, ...children) => report.el("section", { class: "card" }, report.el("h2", {}, title), ...children);

// What errors are counted in, "word" or "character", and the name of the error rate that follows.
report.rateKey = (unit) => (unit === "character" ? "cer" : "wer");
report.rateName = (unit) => report.rateKey(unit).toUpperCase();
report.otherUnit = (unit) => (unit === "character" ? "word" : "character");

// The error rate that counts for a run, an evaluation, a subgroup or an utterance, or an end of its interval.
report.rate = (one, end = "") => one[report.rateKey(one.unit) + end];

// The names of the error rates of several: "WER", "CER" or both.
report.rateNames = (several) => [...new Set(several.map((one) => report.rateName(one.unit)))].join(" / ") || "WER";

// The words or the characters of a text, split as jiwer does.
report.items = (text, unit) => (unit === "character" ? [...text.trim()] : text.replace(/\s\s+/g, " ").trim().split(" ").filter((word) => word));

// The alignment of a reference and a hypothesis: [step, reference item, hypothesis item] with step one of = S D I. Of
// characters, correct ones stay together.
report.aligned = function ({ reference, hypothesis, steps, unit }) {
  const left = report.items(reference, unit);
  const together = (pairs) => (unit !== "character" ? pairs : pairs.reduce((joined, pair) => {
    const last = joined.at(-1);
    return pair[0] === "=" && last && last[0] === "=" ? [...joined.slice(0, -1), ["=", last[1] + pair[1], last[2] + pair[2]]] : [...joined, pair];
  }, []));
  if (!steps) return together(left.map((item) => ["=", item, item]));
  const right = report.items(hypothesis, unit);
  let i = 0, j = 0;
  return together([...steps].map((step) => [step, step === "I" ? "" : left[i++] ?? "", step === "D" ? "" : right[j++] ?? ""]));
};

// The alignment of a hypothesis that was not aligned before, with the fewest errors: a letter of = S D I for each step.
report.steps = function (reference, hypothesis, unit) {
  const left = report.items(reference, unit), right = report.items(hypothesis, unit);
  const cost = [...Array(left.length + 1)].map((_, i) => [...Array(right.length + 1)].map((_, j) => (i && j ? 0 : i + j)));
  for (let i = 1; i <= left.length; i++) {
    for (let j = 1; j <= right.length; j++) cost[i][j] = Math.min(cost[i - 1][j - 1] + (left[i - 1] !== right[j - 1]), cost[i - 1][j] + 1, cost[i][j - 1] + 1);
  }
  let i = left.length, j = right.length, steps = "";
  while (i || j) {
    if (i && j && cost[i][j] === cost[i - 1][j - 1] + (left[i - 1] !== right[j - 1])) { steps = (left[i - 1] === right[j - 1] ? "=" : "S") + steps; i -= 1; j -= 1; }
    else if (i && cost[i][j] === cost[i - 1][j] + 1) { steps = "D" + steps; i -= 1; }
    else { steps = "I" + steps; j -= 1; }
  }
  return steps;
};

const SIGNS = { S: "≠", D: "−", I: "+" };
const MEANINGS = { S: "substituted", D: "deleted", I: "inserted" };

// One line: correct words unchanged, "≠reference→hypothesis", "−deleted", "+inserted".
report.inline = function (row) {
  const space = row.unit === "character" ? "" : " ";
  // The words are isolated, so the direction of the line does not follow from them.
  const dir = report.direction(row.reference + row.hypothesis), arrow = dir === "rtl" ? "←" : "→";
  return report.el("span", { class: "aligned-line", dir }, report.aligned(row).flatMap(([step, left, right]) => {
    if (step === "=") return [report.el("bdi", {}, left), space];
    const parts = step === "S" ? [report.el("bdi", {}, left), arrow, report.el("bdi", {}, right)] : [report.el("bdi", {}, left || right)];
    return [report.el("span", { class: `step step-${step}`, title: MEANINGS[step] }, report.el("b", { class: "sign" }, SIGNS[step]), ...parts), space];
  }));
};

// Columns: the reference above, the hypothesis below, the sign in between.
report.columns = function (pairs) {
  return report.el("div", { class: "aligned-columns", dir: report.direction(pairs.map(([, left, right]) => left + right).join(" ")) }, pairs.map(([step, left, right]) =>
    report.el("div", { class: `pair step-${step}`, title: MEANINGS[step] }, report.text(left || "\u00a0", { class: "ref" }),
      report.el("span", { class: "sign", "aria-label": MEANINGS[step] }, SIGNS[step] || "\u00a0"), report.text(right || "\u00a0", { class: "hyp" }))));
};

// A single word or character: combining marks on a circle, invisible characters by their code.
report.item = function (item) {
  if (item === "") return report.el("span", { class: "nothing", title: "nothing" }, "∅");
  const codes = [...item].map((one) => "U+" + one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")).join(" ");
  if (item === " ") return report.el("span", { title: codes }, "space");
  if (/^[\p{C}\p{Z}]+$/u.test(item)) return report.el("span", { title: codes }, codes);
  return report.text(/^\p{M}/u.test(item) ? "◌" + item : item, { title: codes });
};
