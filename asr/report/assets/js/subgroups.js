"use strict";
// Slices of an evaluation: filters by the fields of the manifest, error rates by subgroup and by class of words, and for
// whom one run is better than another.

(function () {
  const MOST_VALUES = 50, DRAWS = 500, BLOCKS = 300;

  const pairsOf = (values) => values.map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]);

  // Tests a row by what the address says of its fields, as field=sex=female.
  report.hasFields = function (parameters) {
    const wanted = pairsOf(parameters.getAll("field"));
    return (row) => wanted.every(([name, value]) => String(row.fields[name] ?? "") === value);
  };

  // A choice for each field of the rows that has few values; null where there is none.
  report.fieldFilters = function (rows, onchange) {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.fields)))];
    const values = (name) => [...new Set(rows.map((row) => row.fields[name]).filter((value) => value !== null && value !== undefined).map(String))].sort();
    const known = names.map((name) => [name, values(name)]).filter(([, found]) => found.length > 1 && found.length <= MOST_VALUES);
    if (!known.length) return null;
    const chosen = () => new Map(pairsOf(report.getAll("field")));
    return report.el("span", { class: "fields", role: "group", "aria-label": "Filter by field" }, known.map(([name, found]) =>
      report.select(name, [["", "all"], ...found.map((value) => [value, value])], chosen().get(name) ?? "", (value) => {
        const now = chosen();
        if (value === "") now.delete(name); else now.set(name, value);
        report.set({ field: [...now].map(([one, of]) => `${one}=${of}`) });
        onchange();
      })));
  };

  const bar = (share) => report.el("td", { class: "bar-cell" }, report.el("span", { class: "bar", "aria-hidden": "true" }, report.el("span", { class: "part part-0", style: { width: `${100 * share}%` } })));
  const interval = (low, high) => report.el("td", { class: "numeric faint" }, low === undefined || low === null ? "" : `${report.percent(low)} – ${report.percent(high)}`);
  const named = (label, onclick) => report.el("th", { scope: "row" }, report.el("button", { type: "button", class: "link", onclick }, report.text(label)));

  report.groupTable = function (unit, measure, groups, choose) {
    const rate = report.rateKey(unit), highest = Math.max(...groups.map((group) => group[rate]), 1e-9), known = groups.some((group) => `${rate}_low` in group);
    const row = (group) => report.el("tr", {}, named(group.label, () => choose(group)), bar(group[rate] / highest),
      report.el("td", { class: "numeric" }, `${report.percent(group[rate])} %`), known ? interval(group[`${rate}_low`], group[`${rate}_high`]) : null,
      report.el("td", { class: "numeric faint", title: `${group.errors} errors in ${group[`${unit}s`]} ${unit}s` }, report.number(group.utterances)));
    return report.el("div", { "data-measure": measure }, report.el("h3", {}, `By ${measure}`), report.wide(`By ${measure}`, report.more(groups, row, [measure, "", `#${report.rateName(unit)}`, ...(known ? ["#95 % interval"] : []), "#utterances"], `${report.rateName(unit)} by ${measure}`)));
  };

  report.wordClassTable = function (classes, choose) {
    const highest = Math.max(...classes.map((one) => one.wer), 1e-9);
    const row = (one) => report.el("tr", {}, named(one.label, () => choose(one)), bar(one.wer / highest), report.el("td", { class: "numeric" }, `${report.percent(one.wer)} %`), interval(one.wer_low, one.wer_high),
      report.el("td", { class: "numeric faint" }, `${report.number(one.errors)} of ${report.number(one.words)}`));
    return report.wide("Errors by class of words", report.more(classes, row, ["class", "", "#error rate", "#95 % interval", "#wrong words"], "Errors by class of words"));
  };

  // Numbers from 0 to 1 that follow from a seed (mulberry32).
  function draws(seed) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // The 95 % interval of the difference of the error rates of two runs on the same utterances, by drawing speakers, or
  // utterances where there are not several speakers; of many, blocks of them. Null where there is one.
  function pairedInterval(rows) {
    const several = new Set(rows.map((row) => row.one.speaker).filter(Boolean)).size > 1, units = new Map();
    rows.forEach((row, place) => {
      const unit = several && row.one.speaker ? row.one.speaker : place;
      const sums = units.get(unit) || units.set(unit, [0, 0]).get(unit);
      sums[0] += row.gain;
      sums[1] += row.one.size;
    });
    if (units.size < 2) return null;
    const blocks = [];
    [...units.values()].forEach(([gain, size], place) => {
      const block = (blocks[place % BLOCKS] ||= [0, 0]);
      block[0] += gain;
      block[1] += size;
    });
    const random = draws(1), rates = [];
    for (let draw = 0; draw < DRAWS; draw++) {
      let gain = 0, size = 0;
      for (let count = 0; count < blocks.length; count++) {
        const block = blocks[Math.floor(random() * blocks.length)];
        gain += block[0];
        size += block[1];
      }
      rates.push(gain / size);
    }
    rates.sort((a, b) => a - b);
    return [rates[Math.floor(0.025 * DRAWS)], rates[Math.ceil(0.975 * DRAWS) - 1]];
  }

  // For whom B differs from A: rows are {one, other, gain (errors of B less those of A)}.
  report.differencesByField = function (rows, unit, choose) {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.one.fields)))];
    const tables = [...names, "speaker"].map((name) => {
      const groups = new Map();
      for (const row of rows) {
        const value = name === "speaker" ? row.one.speaker : row.one.fields[name];
        if (value !== null && value !== undefined && value !== "") groups.set(String(value), [...(groups.get(String(value)) || []), row]);
      }
      if (groups.size < 2 || groups.size > MOST_VALUES) return null;
      const lines = [...groups].map(([label, members]) => {
        const sum = (value) => members.reduce((total, row) => total + value(row), 0), size = sum((row) => row.one.size);
        return { label, count: members.length, first: sum((row) => row.one.errors) / size, second: sum((row) => row.other.errors) / size, interval: pairedInterval(members) };
      }).sort((a, b) => b.second - b.first - (a.second - a.first));
      const line = (one) => report.el("tr", {}, name === "speaker" ? report.el("th", { scope: "row" }, report.text(one.label)) : named(one.label, () => choose(name, one.label)),
        report.el("td", { class: "numeric" }, `${report.percent(one.first)} %`), report.el("td", { class: "numeric" }, `${report.percent(one.second)} %`),
        report.el("td", { class: "numeric" }, one.interval && (one.interval[0] > 0 || one.interval[1] < 0) ? report.el("b", {}, report.points(one.second - one.first)) : report.points(one.second - one.first)),
        report.el("td", { class: "numeric faint" }, one.interval ? `${report.points(one.interval[0])} to ${report.points(one.interval[1])}` : ""), report.el("td", { class: "numeric faint" }, report.number(one.count)));
      const rate = report.rateName(unit);
      return report.el("div", { "data-measure": name }, report.el("h3", {}, `By ${name}`), report.wide(`Differences by ${name}`, report.more(lines, line, [name, `#A ${rate}`, `#B ${rate}`, "#B − A, points", "#95 % interval", "#utterances"], `Differences by ${name}`)));
    }).filter(Boolean);
    return tables.length ? report.el("div", { class: "groups broad" }, tables) : null;
  };
})();
