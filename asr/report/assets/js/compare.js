"use strict";
// Two or more runs side by side: curves, tests of every pair, and a per-utterance comparison.

(function () {
  const MOST_PAIRS = 60;

  // The test of two evaluations, as the error rate of the first less that of the second.
  report.pair = function (first, second) {
    for (const pair of report.data.pairs) {
      if (pair.first === first.file && pair.second === second.file) return pair;
      if (pair.first === second.file && pair.second === first.file) {
        return { ...pair, first: pair.second, second: pair.first, mean: -pair.mean, low: -pair.high, high: -pair.low, improvement: 1 - pair.improvement };
      }
    }
    return null;
  };

  report.view("compare", "Compare", function (parameters) {
    report.recallChosen();
    if (report.chosen.size < 2 && !report.getAll("run").length) for (const name of firstChoice()) report.choose(name, true);
    const place = report.el("div", {});
    const redraw = () => place.replaceChildren(...content(parameters));
    const picker = report.picker("Runs to compare", report.entries(), report.chosen, (name, on) => { report.choose(name, on); redraw(); });
    redraw();
    return [report.section("Runs to compare", picker), place];
  });

  // The two with the lowest error rates on the same utterances, which can be tested.
  function firstChoice() {
    const results = report.data.evaluations.filter((one) => one.split === report.splits()[0]).sort((left, right) => report.rate(left) - report.rate(right));
    const same = results.filter((one) => one.utterances_file === results[0].utterances_file && one.unit === results[0].unit);
    return [...new Set([...same.map(report.evaluationName), ...report.entries().map((one) => one.name)])].slice(0, 2);
  }

  function content(parameters) {
    const chosen = report.entries().filter((one) => report.chosen.has(one.name));
    if (chosen.length < 2) return [report.el("p", { class: "note" }, "Choose two or more runs.")];
    const numbers = [...new Set(chosen.map((one) => one.number))];
    const splits = report.splits();
    const split = splits.includes(parameters.get("split")) ? parameters.get("split") : splits[0];
    const results = report.data.evaluations.filter((one) => one.split === split && report.chosen.has(report.evaluationName(one)));
    return [curves(numbers), splits.length ? tests(results, splits, split) : null, results.length > 1 ? perUtterance(results) : null].filter(Boolean);
  }

  function curves(numbers) {
    const place = report.el("div", { class: "charts" }), state = report.curveState();
    const redraw = async () => {
      const loaded = await Promise.all(numbers.map((number) => report.load(report.data.runs[number].file)));
      const lines = (name) => loaded.map((rows, index) => ({ name: report.data.runs[numbers[index]].name, number: numbers[index], ...report.points_of(rows, name, state.axis) }));
      const shared = { ...state, smoothing: 0 };
      place.replaceChildren(
        ...[...new Set(numbers.map((number) => report.data.runs[number].unit))].map((unit) => report.chart(lines(`dev/${report.rateKey(unit)}`), { ...shared, title: `Dev ${report.rateName(unit)}`, unit: "%", scale: 100 })),
        report.chart(lines("train/loss"), { ...shared, title: "Training loss", smoothing: state.smoothing, hint: "smoothed; faint: raw values" }),
      );
    };
    redraw();
    return report.section("Curves", report.el("div", { class: "controls" }, report.curveChoices(state, redraw)), place);
  }

  function tests(results, splits, split) {
    const pairs = [];
    results.forEach((first, index) => results.slice(index + 1).forEach((second) => {
      const [left, right] = report.rate(first) <= report.rate(second) ? [first, second] : [second, first];
      const pair = report.pair(left, right);
      if (pair) pairs.push({ left, right, pair });
    }));
    const choice = report.choice("Split", splits.map((one) => [one, one]), split, (one) => report.go("compare", { split: one }));
    const title = `${report.rateNames(results)} differences`;
    const most = report.data.most_tested;
    const untested = report.data.evaluations.filter((one) => one.split === split).length > most ? `, or they are not among the ${most} with the lowest error rates, which alone are tested in pairs` : "";
    if (!pairs.length) return report.section(title, choice, report.el("p", { class: "note" }, `No two of these runs were evaluated on the same utterances of ${split}${untested}.`));
    // Of many, those with the lowest error rate: against it every other run is judged.
    const best = results.reduce((one, other) => (report.rate(other) < report.rate(one) ? other : one));
    const drawn = pairs.length > MOST_PAIRS ? pairs.filter(({ left, right }) => left === best || right === best).slice(0, MOST_PAIRS) : pairs;
    return report.section(title, choice,
      drawn.length < pairs.length ? report.el("p", { class: "note" }, `${drawn.length} of ${report.number(pairs.length)} pairs: those of the lowest error rate. Choose fewer runs to see the others.`) : null,
      report.forest(drawn.map(({ left, right, pair }) => ({
        name: `${report.evaluationName(left)} − ${report.evaluationName(right)}`, value: pair.mean, low: pair.low, high: pair.high,
      })), { title, axis: `${report.rateNames(results)} difference, points (below 0: the first is better)`, zero: true, format: (row) => `${report.points(row.value)}  (${report.points(row.low)} to ${report.points(row.high)})` }),
      report.el("ul", { class: "sentences" }, drawn.map(sentence)),
      report.el("p", { class: "note" }, "Matched-pair bootstrap over speakers, or over utterances if there is only one speaker. Each run is a single training, so these intervals do not include the variation between seeds; `asr compare` trains several seeds."));
  }

  function sentence({ left, right, pair }) {
    const rate = report.rateName(left.unit);
    const names = [report.el("b", {}, report.evaluationName(left)), report.el("b", {}, report.evaluationName(right))];
    const corrected = pair.p_corrected > pair.p ? `, corrected for all pairs of this report ${shown(pair.p_corrected)}` : "";
    const figures = (low, high) => `(95 % interval ${low} to ${high}; p ${shown(pair.p)}${corrected})`;
    return pair.p_corrected < 0.05
      ? report.el("li", {}, names[0], " is better than ", names[1], ` by ${report.percent(-pair.mean, 2)} points of ${rate} ${figures(report.percent(-pair.high, 2), report.percent(-pair.low, 2))}.`)
      : report.el("li", {}, "No significant difference between ", names[0], " and ", names[1], `: ${report.points(pair.mean)} points of ${rate} ${figures(report.points(pair.low), report.points(pair.high))}.`);
  }

  const shown = (p) => (p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`);

  function perUtterance(results) {
    const place = report.el("div", {});
    const byRate = results.slice().sort((left, right) => report.rate(left) - report.rate(right));
    const pick = (name) => results.find((one) => report.evaluationName(one) === name);
    let first = pick(report.get("a")) || byRate.find((one) => one !== pick(report.get("b")));
    let second = pick(report.get("b")) || byRate.find((one) => one !== first);
    const options = results.map((one) => [report.evaluationName(one), report.evaluationName(one)]);
    const redraw = async () => place.replaceChildren(...await pairTable(first, second));
    redraw();
    return report.section("Per-utterance comparison",
      report.el("div", { class: "controls" },
        report.select("A", options, report.evaluationName(first), (name) => { first = pick(name); report.set({ a: name }); redraw(); }),
        report.select("B", options, report.evaluationName(second), (name) => { second = pick(name); report.set({ b: name }); redraw(); })), place);
  }

  async function pairTable(first, second) {
    if (first.file === second.file) return [report.el("p", { class: "note" }, "Choose two different runs.")];
    if (first.utterances_file !== second.utterances_file) return [report.el("p", { class: "note" }, "These two were not evaluated on the same utterances.")];
    if (first.unit !== second.unit) return [report.el("p", { class: "note" }, "The errors of one are counted in words, those of the other in characters.")];
    const [left, right] = await Promise.all([report.utterances(first), report.utterances(second)]);
    const rows = left.map((one, place) => ({ one, other: right[place], gain: right[place].errors - one.errors, haystack: one.haystack + "\n" + right[place].hypothesis.toLowerCase() }));
    const kinds = {
      different: ["different hypotheses", (row) => row.one.hypothesis !== row.other.hypothesis],
      better: ["A has fewer errors", (row) => row.gain > 0],
      worse: ["B has fewer errors", (row) => row.gain < 0],
      both: ["both have errors", (row) => row.one.errors && row.other.errors],
      all: ["all", () => true],
    };
    const counts = Object.fromEntries(Object.entries(kinds).map(([kind, [, is]]) => [kind, rows.filter(is).length]));
    const address = (row) => report.addressOf(first, "utterance", { id: row.one.id, with: report.evaluationName(second), from: location.hash.slice(1) });
    const columns = [
      { key: "id", title: "Utterance", width: 7.5, grow: 1, value: (row) => row.one.id, cell: (row) => report.el("a", { href: address(row) }, report.text(row.one.id)) },
      { key: "gain", title: "B − A", hint: "Errors of B minus errors of A: above 0, A is better", width: 4, numeric: true, value: (row) => row.gain, cell: (row) => (row.gain > 0 ? `+${row.gain} A` : row.gain < 0 ? `−${-row.gain} B` : "0") },
      { key: "seconds", title: "Seconds", width: 4.4, numeric: true, value: (row) => row.one.seconds, cell: (row) => row.one.seconds.toFixed(1) },
      { key: "first", title: `A: ${report.evaluationName(first)}`, width: 14, grow: 4, value: (row) => row.one.errors, cell: (row) => report.inline(row.one), export: [["Reference", (row) => row.one.reference], [`A: ${report.evaluationName(first)}`, (row) => row.one.hypothesis]] },
      { key: "second", title: `B: ${report.evaluationName(second)}`, width: 14, grow: 4, value: (row) => row.other.errors, cell: (row) => report.inline(row.other), export: [[`B: ${report.evaluationName(second)}`, (row) => row.other.hypothesis]] },
    ];
    const found = report.el("span", { role: "status", class: "note" });
    let kind = report.get("which") in kinds ? report.get("which") : "different", text = report.get("search", "");
    const chosen = () => rows.filter((row) => kinds[kind][1](row) && report.hasFields(report.here()[1])(row.one) && row.haystack.includes(text.toLowerCase()));
    const grid = report.table({
      label: "Per-utterance comparison", columns, rows: chosen(), all: rows, sort: ["gain", true], height: "50vh",
      arranged: (shown) => {
        found.textContent = report.count(shown.length, "utterance");
        report.walk = { view: "compare", file: first.file, ids: shown.map((row) => row.one.id) };
      },
      open: (row) => { location.hash = address(row); },
    });
    const update = () => grid.update(chosen());
    const fields = report.fieldFilters(left, update);
    const byField = report.differencesByField(rows, first.unit, (name, value) => {
      report.set({ field: `${name}=${value}` });
      update();
      fields.replaceWith(report.fieldFilters(left, update));
      grid.scrollIntoView({ block: "center" });
    });
    return [report.el("p", { class: "lead" }, `A has fewer errors in ${report.count(counts.better, "utterance")}, B in ${report.number(counts.worse)}; in ${report.number(rows.length - counts.better - counts.worse)} both have the same number.`),
      report.el("div", { class: "controls" },
        report.choice("Which", Object.entries(kinds).map(([key, [title]]) => [key, `${title} (${counts[key]})`]), kind, (key) => { kind = key; report.set({ which: key }); update(); }),
        report.search("Search", text, (typed) => { text = typed; report.set({ search: typed }); update(); }), fields, found), grid, grid.exporter,
      byField ? [report.el("h3", {}, "For whom B differs from A"), report.el("p", { class: "note" }, "Above 0, A is better. Bold: the 95 % interval of the matched pairs, of this subgroup alone, excludes 0; of many subgroups some do by chance."), byField] : null].flat().filter(Boolean);
  }
})();
