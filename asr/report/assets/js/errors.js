"use strict";
// Every utterance of an evaluation: search, sort, and filter by error type, confusion and subgroup.

(function () {
  const SHOWN = 12;
  const fresh = () => ({ text: "", kind: "wrong", group: null, pair: null });
  let state = fresh(), of = null;

  const KINDS = {
    wrong: ["with errors", (row) => row.errors > 0],
    substitutions: ["≠ substituted", (row) => row.count.S > 0],
    deletions: ["− deleted", (row) => row.count.D > 0],
    insertions: ["+ inserted", (row) => row.count.I > 0],
    right: ["correct", (row) => row.errors === 0],
    all: ["all", () => true],
  };

  report.view("errors", "Errors", async function (parameters) {
    const evaluations = report.data.evaluations;
    if (!evaluations.length) return [report.el("p", { class: "note" }, "No run has been evaluated yet: run `asr evaluate`.")];
    const evaluation = report.findEvaluation(parameters) || evaluations.find((one) => one.split === report.splits()[0]) || evaluations[0];
    if (of !== evaluation.file) [state, of] = [fresh(), evaluation.file];
    const rows = await report.utterances(evaluation);
    const analysis = await report.load(evaluation.file);
    const chosen = report.select("Evaluation", evaluations.map((one) => [one.file, `${report.evaluationName(one)}, ${one.split}`]), evaluation.file,
      (file) => { location.hash = report.addressOf(evaluations.find((one) => one.file === file), "errors"); });
    const found = report.el("span", { class: "note", role: "status" });
    const filters = report.el("span", { class: "filters" });
    const grid = table(evaluation, rows, (shown) => {
      found.textContent = `${report.count(shown.length, "utterance")} of ${report.number(rows.length)}`;
      report.walk = { file: evaluation.file, ids: shown.map((row) => row.id) };
    });
    const update = () => {
      filters.replaceChildren(...[["group", state.group && `${state.group.measure}: ${state.group.label}`], ["pair", state.pair && state.pair.label]]
        .filter(([, label]) => label).map(([name, label]) => report.el("button", { type: "button", class: "filter", onclick: () => { state[name] = null; update(); } }, label, " ✕")));
      grid.update(filtered(rows));
    };
    update();
    const kinds = Object.entries(KINDS).map(([kind, [title, is]]) => [kind, `${title} (${report.number(rows.filter(is).length)})`]);
    return [
      report.section("Errors", report.el("div", { class: "controls" }, chosen),
        report.el("p", { class: "lead" }, ...summary(evaluation, rows))),
      report.section("Utterances",
        report.el("div", { class: "controls" },
          report.choice("Which", kinds, state.kind, (kind) => { state.kind = kind; update(); }),
          report.search("Search", state.text, (text) => { state.text = text; update(); }), filters, found), grid),
      report.section("Top confusions", confusions(analysis.confusions, (pair) => { state.pair = pair; state.kind = "all"; update(); grid.scrollIntoView({ block: "center" }); })),
      report.section(`${report.rateName(evaluation.unit)} by subgroup`, report.el("p", { class: "note" }, `Bars show the ${report.rateName(evaluation.unit)}; choose a subgroup to see its utterances.`),
        report.el("div", { class: "groups" }, Object.entries(analysis.groups).filter(([, groups]) => groups.length > 1)
          .map(([measure, groups]) => groupTable(evaluation.unit, measure, groups, (group) => { state.group = group; state.kind = "all"; update(); grid.scrollIntoView({ block: "center" }); })))),
    ];
  });

  function summary(evaluation, rows) {
    const wrong = rows.filter((row) => row.errors).length, { unit } = evaluation, other = report.otherUnit(unit);
    return [report.el("b", {}, `${report.rateName(unit)} ${report.percent(report.rate(evaluation), 2)} %`), ` (95 % interval ${report.percent(report.rate(evaluation, "_low"))} to ${report.percent(report.rate(evaluation, "_high"))}), ${report.rateName(other)} ${report.percent(evaluation[report.rateKey(other)], 2)} %: `,
      `${report.count(evaluation.substitutions, "substitution")}, ${report.count(evaluation.deletions, "deletion")} and ${report.count(evaluation.insertions, "insertion")} in ${report.count(evaluation[`${unit}s`], unit)}. `,
      `${report.number(wrong)} of ${report.count(rows.length, "utterance")} have errors.`];
  }

  function filtered(rows) {
    const text = state.text.toLowerCase(), is = KINDS[state.kind][1], group = state.group, pair = state.pair;
    return rows.filter((row) => is(row) && (!text || row.haystack.includes(text)) && (!group || group.members.has(row.place)) && (!pair || pair.members.has(row.place)));
  }

  function table(evaluation, rows, arranged) {
    const { unit } = evaluation, [Unit, units] = [unit === "word" ? "Word" : "Character", `${unit}s`];
    const address = (row) => report.addressOf(evaluation, "utterance", { id: row.id });
    const numeric = (key, title, hint, width, show) => ({ key, title, hint, numeric: true, width, value: (row) => row[key], cell: (row) => (row[key] === null || row[key] === undefined ? "–" : show(row[key])) });
    const columns = [
      { key: "id", title: "Utterance", width: 8, grow: 1, value: (row) => row.id, cell: (row) => report.el("a", { href: address(row) }, report.text(row.id)) },
      numeric(report.rateKey(unit), `${report.rateName(unit)} %`, `${Unit} error rate of the utterance`, 4, (value) => (100 * value).toFixed(0)),
      numeric("errors", "Errors", "Substitutions, deletions and insertions", 4, String),
      { key: "aligned", title: "Reference → hypothesis", hint: "≠ reference→hypothesis, − deleted, + inserted", width: 18, grow: 6, value: (row) => row.reference, cell: (row) => report.inline(row) },
      { key: "speaker", title: "Speaker", width: 6, grow: 0.4, value: (row) => row.speaker, cell: (row) => report.text(row.speaker || "–") },
      numeric("seconds", "Seconds", "Duration of the utterance", 4.4, (value) => value.toFixed(1)),
      numeric("speed", `${Unit}s/s`, `Speaking rate: reference ${units} per second`, 4.4, (value) => value.toFixed(1)),
      ...(rows.some((row) => row.confidence !== null && row.confidence !== undefined) ? [numeric("confidence", "Confidence %", "Mean token probability of the hypothesis", 3.6, (value) => (100 * value).toFixed(0))] : []),
      numeric("level", "SNR dB", "Estimated signal-to-noise ratio: power of loud frames over quiet ones", 3.2, (value) => value.toFixed(0)),
    ];
    return report.table({ label: "Utterances", columns, rows: filtered(rows), all: rows, sort: ["errors", true], open: (row) => { location.hash = address(row); }, arranged });
  }

  function confusions(found, choose) {
    const row = (pair) => report.el("tr", {},
      report.el("td", { class: "numeric" }, report.number(pair.count)),
      report.el("td", {}, report.el("button", { type: "button", class: "link", onclick: () => choose({ label: `${pair.reference || "∅"} → ${pair.hypothesis || "∅"}`, members: new Set(pair.places) }) },
        report.item(pair.reference), " → ", report.item(pair.hypothesis))));
    const list = (title, pairs) => report.el("div", {}, report.el("h3", {}, title),
      pairs.length ? more(pairs, row, ["#count", "reference → hypothesis"]) : report.el("p", { class: "note" }, "None."));
    return report.el("div", { class: "groups" }, list("Words", found.words), list("Characters", found.characters));
  }

  function groupTable(unit, measure, groups, choose) {
    const rate = report.rateKey(unit);
    const highest = Math.max(...groups.map((group) => group[rate]), 1e-9);
    const row = (group) => report.el("tr", {},
      report.el("th", { scope: "row" }, report.el("button", { type: "button", class: "link", onclick: () => choose({ measure, label: group.label, members: new Set(group.places) }) }, report.text(group.label))),
      report.el("td", { class: "bar-cell" }, report.el("span", { class: "bar", "aria-hidden": "true" }, report.el("span", { class: "part part-0", style: { width: `${(100 * group[rate]) / highest}%` } }))),
      report.el("td", { class: "numeric" }, `${report.percent(group[rate])} %`),
      report.el("td", { class: "numeric faint", title: `${group.errors} errors in ${group[`${unit}s`]} ${unit}s` }, report.number(group.utterances)));
    return report.el("div", {}, report.el("h3", {}, `By ${measure}`), more(groups, row, ["", "", `#${report.rateName(unit)}`, "#utterances"]));
  }

  // The heading of a numeric column starts with "#".
  report.heading = (heading) => report.el("th", { scope: "col", class: heading.startsWith("#") ? "numeric" : null }, heading.replace("#", ""));

  // A table of the first rows, with a button for the rest.
  function more(items, row, headings) {
    const body = report.el("tbody", {}, items.slice(0, SHOWN).map(row));
    const table = report.el("table", { class: "plain" }, report.el("thead", {}, report.el("tr", {}, headings.map(report.heading))), body);
    if (items.length <= SHOWN) return table;
    const button = report.el("button", { type: "button", onclick: () => { body.append(...items.slice(SHOWN).map(row)); button.remove(); } }, `${items.length - SHOWN} more`);
    return report.el("div", {}, table, button);
  }
  report.more = more;
})();
