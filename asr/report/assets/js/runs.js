"use strict";
// All runs: results with intervals, training diagnostics, and the settings in which they differ.

(function () {
  report.view("runs", "Runs", function (parameters) {
    const data = report.data;
    report.recallChosen();
    const splits = report.splits();
    const split = splits.includes(parameters.get("split")) ? parameters.get("split") : splits[0];
    const since = report.get("since", ""), recent = (run) => !since || (run.date || "") >= since;
    const results = data.evaluations.filter((one) => one.split === split && (recent(data.runs[one.run]) || report.evaluationName(one) === report.get("baseline")));
    const byFigure = results.slice().sort((left, right) => report.rate(left) - report.rate(right));
    const rateNames = report.rateNames(results);
    const parts = [];
    if (splits.length) {
      parts.push(report.section({ WER: "Word error rate", CER: "Character error rate" }[rateNames] || "Error rate",
        report.choice("Split", splits.map((one) => [one, one]), split, (one) => report.go("runs", { split: one })),
        report.el("p", { class: "lead" }, ...verdict(byFigure, split)),
        ...recipesOf(byFigure).map(([recipe, found]) => report.el("div", {},
          recipesOf(byFigure).length > 1 ? report.el("h3", {}, recipe) : null,
          report.forest(found.map((one) => ({
            name: report.evaluationName(one), value: report.rate(one), low: report.rate(one, "_low"), high: report.rate(one, "_high"), number: one.run,
            open: () => { location.hash = report.addressOf(one, "errors"); },
          })), { title: `${split} ${report.rateNames(found)}`, axis: `${split} ${report.rateNames(found)}, % (line: 95 % interval)`, format: figures })))));
    }
    if (data.unreadable.length) parts.push(report.section("Runs that cannot be read", report.el("ul", { id: "unreadable" },
      ...data.unreadable.map((one) => report.el("li", {}, report.el("b", {}, one.name), `: ${one.sentence}`)))));
    parts.push(report.section("All runs", report.el("p", { class: "note" },
      "Choose two or more runs to compare. ", report.el("a", { href: "#compare", class: "button", id: "compare-chosen" }, "Compare selected runs")),
    report.el("div", { class: "controls" }, results.length > 1 ? report.select("Baseline", [["", "none"], ...results.map((one) => [report.evaluationName(one), report.evaluationName(one)])], report.get("baseline", ""), (one) => report.go("runs", { baseline: one })) : null,
    new Set(data.runs.map((run) => (run.date || "").slice(0, 10))).size > 1 ? report.el("label", { class: "field" }, report.el("span", {}, "Since"), report.el("input", { type: "date", value: since, onchange: (event) => report.go("runs", { since: event.target.value }) })) : null),
    ...table(results, split, recent)));
    if (data.differences.length) parts.push(report.section("Settings that differ", differences()));
    parts.push(report.notesSection());
    return parts;
  });

  const figures = (one) => `${report.percent(one.value, 2)}  (${report.interval(one, " – ", one.low, one.high)})`;

  function recipesOf(results) {
    const recipes = [...new Set(results.map((one) => one.recipe))];
    return recipes.map((recipe) => [recipe, results.filter((one) => one.recipe === recipe)]);
  }

  function verdict(results, split) {
    return recipesOf(results).flatMap(([recipe, found]) => {
      const [best, ...others] = found;
      const start = [report.el("b", {}, report.evaluationName(best)),
        ` has the lowest ${split} ${report.rateName(best.unit)} of ${recipe}, ${report.percent(report.rate(best), 2)} % (${report.said(best)}). `];
      if (!others.length) return start;
      const behind = others.filter((one) => { const pair = report.pair(best, one); return pair && pair.p_corrected < 0.05; }).length;
      return [...start, behind === others.length ? "It is significantly better than all others. "
        : behind ? `It is significantly better than ${behind} of ${others.length} others. `
          : "No other run differs significantly from it. "];
    });
  }

  function table(results, split, recent) {
    const data = report.data;
    const byEntry = new Map(results.map((one) => [report.evaluationName(one), one]));
    const rows = report.entries().map(({ name, number, decoder }) => ({ name, run: data.runs[number], number, decoder, result: byEntry.get(name) || null })).filter((row) => row.result || recent(row.run));
    const several = new Set(data.runs.map((run) => run.recipe)).size > 1;
    const of = (key) => (row) => (row.result ? row.result[key] : null);
    const column = (key, title, show, hint, width) => ({ key, title, hint, numeric: true, width: width || 5, value: of(key), cell: (row) => (row.result ? show(row.result[key]) : "–") });
    const HINTS = { word: `Word error rate on ${split}`, character: `Character error rate on ${split}, including spaces` };
    const rate = (unit, width) => column(report.rateKey(unit), `${report.rateName(unit)} %`, (value) => report.percent(value, 2), HINTS[unit], width);
    // The rate that counts for the first; the interval is of the one that counts for its own run.
    const first = results.length ? results[0].unit : "word";
    const baseline = results.find((one) => report.evaluationName(one) === report.get("baseline"));
    const apart = (row) => (baseline && row.result && row.result !== baseline ? report.pair(row.result, baseline) : null);
    const told = (key, title, hint, width, show = (value) => value) => (data.runs.some((run) => run[key] && run[key].length)
      ? { key, title, hint, width, value: (row) => (row.run[key] && row.run[key].length ? String(row.run[key]) : null), cell: (row) => (row.run[key] && row.run[key].length ? report.el("span", { title: String(row.run[key]) }, show(row.run[key])) : "–") } : null);
    const columns = [
      { key: "chosen", title: "", width: 1.4, cell: (row) => chooser(row.name) },
      { key: "name", title: "Run", width: 12, grow: 2, value: (row) => row.run.name, cell: (row) => name(row) },
      report.hasDecoders() ? { key: "decoder", title: "Decoder", width: 4.5, value: (row) => row.decoder, cell: (row) => row.decoder || "–" } : null,
      several ? { key: "recipe", title: "Recipe", width: 5, value: (row) => row.run.recipe, cell: (row) => row.run.recipe } : null,
      { key: "seed", title: "Seed", width: 3, numeric: true, value: (row) => row.run.settings.seed, cell: (row) => report.setting(row.run.settings.seed) },
      rate(first, 5.2),
      { key: "interval", title: "95 % CI", width: 6.5, numeric: true, value: (row) => (row.result ? report.rate(row.result, "_low") : null), cell: (row) => (row.result ? report.interval(row.result) : "–") },
      baseline ? { key: "apart", title: "− baseline", hint: "Points of error rate above the baseline; ≠ where the difference is significant (matched pairs, corrected for all pairs of this report)", width: 6, numeric: true, value: (row) => (row.result === baseline ? 0 : apart(row) && apart(row).mean), cell: (row) => difference(row, apart(row), baseline) } : null,
      rate(report.otherUnit(first), 4),
      { key: "best", title: "Best dev %", width: 6.8, numeric: true, hint: `Lowest dev ${report.rateNames(data.runs)}, and its epoch`, value: (row) => row.run.best_dev && row.run.best_dev[report.rateKey(row.run.unit)], cell: (row) => (row.run.best_dev ? `${report.percent(row.run.best_dev[report.rateKey(row.run.unit)], 2)} @ ${Math.round(row.run.best_dev.epoch)}` : "–") },
      { key: "diagnostics", title: "Diagnostics", width: 6, numeric: true, hint: "Training diagnostics", value: (row) => weight(row.run), cell: (row) => diagnostics(row) },
      { key: "epoch", title: "Epochs", width: 5, numeric: true, value: (row) => row.run.epoch, cell: (row) => `${Math.round(row.run.epoch * 10) / 10} / ${row.run.epochs ?? "?"}` },
      { key: "ser", title: "SER %", width: 4.4, numeric: true, hint: `Sentence error rate on ${split}: utterances with an error`, value: of("ser"), cell: (row) => (row.result && typeof row.result.ser === "number" ? report.percent(row.result.ser, 2) : "–") },
      { key: "correct", title: "Corr %", width: 4.4, numeric: true, hint: `Words, or characters, of ${split} that are right`, value: (row) => right(row.result), cell: (row) => (row.result ? report.percent(right(row.result), 2) : "–") },
      column("parameters", "Params", report.millions, "Trainable parameters of the model", 5),
      { key: "seconds", title: "Training", width: 4.6, numeric: true, hint: "Training time, h:mm:ss", value: (row) => row.run.seconds, cell: (row) => report.clock(row.run.seconds) },
      column("real_time_factor", "RTF", report.significant, "Real-time factor: decoding time per second of audio", 3.5),
      { key: "counts", title: "S / D / I", width: 6.5, numeric: true, hint: "Substitutions, deletions and insertions; sorted by deletions", value: of("deletions"), cell: (row) => (row.result ? `${row.result.substitutions} / ${row.result.deletions} / ${row.result.insertions}` : "–") },
      told("date", "Date", "When the training last wrote something", 8),
      told("commit", "Commit", "Of the code that trained", 5, (commit) => commit.slice(0, 8) + (commit.endsWith("+dirty") ? "+" : "")),
      told("host", "Host", "The machine on which the training began", 5),
      told("tags", "Tags", "tracker.tags", 5, (tags) => tags.join(", ")),
      told("notes", "Notes", "tracker.notes", 8, (notes) => (notes.length > 40 ? `${notes.slice(0, 39)}…` : notes)),
      told("command", "Command", "That began the training", 8, (command) => (command.length > 40 ? `${command.slice(0, 39)}…` : command)),
      report.hasNotes("runs") ? { key: "note", title: "Note", width: 10, grow: 1, value: (row) => report.noteOf("runs", row.run.key), cell: (row) => report.text(report.noteOf("runs", row.run.key)) } : null,
    ].filter(Boolean);
    const grid = report.table({ label: "Runs", columns, rows, sort: [report.rateKey(first), false], open: (row) => { if (row.result) location.hash = report.addressOf(row.result, "errors"); } });
    return [grid, grid.exporter];
  }

  // By how much a run is above the baseline, which leads to both of them side by side.
  function difference({ name, result }, pair, baseline) {
    if (result === baseline) return report.el("b", {}, "baseline");
    if (!pair) return "–";
    const first = report.evaluationName(baseline), address = new URLSearchParams([["split", result.split], ["run", first], ["run", name], ["a", first], ["b", name]]);
    const told = pair.p_corrected < 0.05 ? report.el("b", { class: pair.mean > 0 ? "bad" : "good" }, `≠ ${report.points(pair.mean)}`) : report.points(pair.mean);
    return report.el("a", { href: `#compare?${address}` }, told);
  }

  // Of all words of the references, or characters.
  function right(result) {
    const size = result && result[result.unit === "character" ? "characters" : "words"];
    return size ? (size - result.substitutions - result.deletions) / size : null;
  }

  function name(row) {
    const href = row.result ? report.addressOf(row.result, "errors") : "#training?" + new URLSearchParams({ run: row.run.name });
    return report.el("a", { href, title: row.run.name }, report.swatch(row.number), row.run.name);
  }

  const weight = (run) => run.diagnostics.reduce((sum, one) => sum + (one.severity === "problem" ? 100 : 1), 0);

  function diagnostics(row) {
    const address = "#training?" + new URLSearchParams({ run: row.run.name });
    const count = row.run.diagnostics.length;
    const bad = row.run.diagnostics.some((one) => one.severity === "problem");
    return report.el("a", { href: address, class: count ? (bad ? "bad" : "warn") : "good" }, count ? `${bad ? "✖" : "▲"} ${report.count(count, "finding")}` : "✓ none");
  }

  const chooser = (name) => report.el("input", {
    type: "checkbox", "aria-label": `Choose ${name}`, checked: report.chosen.has(name), onchange: (event) => report.choose(name, event.target.checked),
  });

  function differences() {
    const runs = report.data.runs;
    const rows = report.data.differences.map((key) => {
      const values = runs.map((run) => report.setting(run.settings[key]));
      const counts = new Map();
      for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
      const [usual, most] = [...counts].sort((left, right) => right[1] - left[1])[0];
      return report.el("tr", {}, report.el("th", { scope: "row" }, report.el("code", {}, key)),
        values.map((value) => (most > 1 && value === usual ? report.el("td", {}, value) : report.el("td", { class: "differs" }, report.el("b", {}, most > 1 ? "≠ " : ""), value))));
    });
    return [report.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Settings that differ" }, report.el("table", { class: "plain" },
      report.el("thead", {}, report.el("tr", {}, report.el("th", { scope: "col" }, "setting"), runs.map((run, number) => report.el("th", { scope: "col" }, report.swatch(number), run.name)))),
      report.el("tbody", {}, rows))),
    report.exporter("Settings that differ", () => [["setting", ...runs.map((run) => run.name)], ...report.data.differences.map((key) => [key, ...runs.map((run) => report.setting(run.settings[key]))])])];
  }
})();
