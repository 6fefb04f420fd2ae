"use strict";
// Every utterance of an evaluation: search, sort, and filter by error type, confusion and subgroup.

(function () {
  const SHOWN = 12;
  const USUAL = "wrong";

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
    const rows = await report.utterances(evaluation);
    const analysis = await report.load(evaluation.file);
    const chosen = report.select("Evaluation", evaluations.map((one) => [one.file, `${report.evaluationName(one)}, ${one.split}`]), evaluation.file,
      (file) => report.go("errors", report.parametersOf(evaluations.find((one) => one.file === file))));
    const found = report.el("span", { class: "note", role: "status" });
    const active = report.el("span", { class: "filters" });
    let state = filters(parameters, analysis);
    const grid = table(evaluation, rows, filtered(rows, state), (shown) => {
      found.textContent = `${report.count(shown.length, "utterance")} of ${report.number(rows.length)}`;
      report.walk = { view: "errors", file: evaluation.file, ids: shown.map((row) => row.id) };
    });
    const drawActive = () => active.replaceChildren(...["group", "pair"].filter((name) => state[name]).map((name) =>
      report.el("button", { type: "button", class: "filter", onclick: () => change({ [name]: null }) }, state[name].label, " ✕")));
    const change = (changes) => {
      report.set(changes);
      state = filters(report.here()[1], analysis);
      for (const button of which.children) button.setAttribute("aria-pressed", String(button.dataset.value === state.kind));
      drawActive();
      grid.update(filtered(rows, state));
    };
    const fields = report.fieldFilters(rows, () => change({}));
    const narrow = (changes) => { change({ which: "all", ...changes }); grid.scrollIntoView({ block: "center" }); };
    drawActive();
    const kinds = Object.entries(KINDS).map(([kind, [title, is]]) => [kind, `${title} (${report.number(rows.filter(is).length)})`]);
    const which = report.choice("Which", kinds, state.kind, (kind) => change({ which: kind === USUAL ? null : kind }));
    return [
      report.section("Errors", report.el("div", { class: "controls" }, chosen),
        report.el("p", { class: "lead" }, ...summary(evaluation, rows))),
      report.section("Utterances",
        report.el("div", { class: "controls" },
          which, report.search("Search", state.text, (text) => change({ search: text })), fields, active, found), grid, grid.exporter),
      report.section("Top confusions", confusions(analysis.confusions, (pair) => narrow({ pair }))),
      report.section(`${report.rateName(evaluation.unit)} by subgroup`, report.el("p", { class: "note" }, `Bars show the ${report.rateName(evaluation.unit)}; choose a subgroup to see its utterances.`),
        report.el("div", { class: "groups broad" }, Object.entries(analysis.groups).filter(([, groups]) => groups.length > 1)
          .map(([measure, groups]) => report.groupTable(evaluation.unit, measure, groups, (group) => narrow({ group: groupKey(measure, group) }))))),
      (analysis.word_classes || []).length > 1 ? report.section("Errors by class of words", report.el("p", { class: "note" }, "Substituted and deleted words of the references; choose a class to see its utterances with such errors."),
        report.wordClassTable(analysis.word_classes, (one) => narrow({ group: groupKey("words", one) }))) : null,
      evaluation.reliability ? report.reliability(evaluation.reliability) : null,
    ];
  });

  const groupKey = (measure, group) => `${measure}: ${group.label}`;
  const pairKey = (unit, pair) => `${unit}\t${pair.reference}\t${pair.hypothesis}`;

  // Positions from the distance of each to the one before.
  const positions = (distances) => { let place = 0; return distances.map((distance) => (place += distance)); };

  // The filters of an address: what it names and this evaluation has.
  function filters(parameters, analysis) {
    const groups = [...Object.entries(analysis.groups), ["words", analysis.word_classes || []]].flatMap(([measure, all]) => all.map((group) => [groupKey(measure, group), group.places, groupKey(measure, group)]));
    const pairs = Object.entries(analysis.confusions).flatMap(([unit, all]) => all.map((pair) => [pairKey(unit, pair), pair.places, `\u2068${pair.reference || "∅"}\u2069 → \u2068${pair.hypothesis || "∅"}\u2069`]));
    const chosen = (all, wanted) => { const one = all.find(([key]) => key === wanted); return one ? { members: new Set(positions(one[1])), label: one[2] } : null; };
    return {
      text: parameters.get("search") || "", kind: parameters.get("which") in KINDS ? parameters.get("which") : USUAL,
      hasFields: report.hasFields(parameters), group: chosen(groups, parameters.get("group")), pair: chosen(pairs, parameters.get("pair")),
    };
  }

  // The ids that the view of an address lists, in its order.
  report.listed = async function (evaluation, parameters) {
    const [rows, analysis] = await Promise.all([report.utterances(evaluation), report.load(evaluation.file)]);
    return report.inOrder(filtered(rows, filters(parameters, analysis)), columnsOf(evaluation, rows), parameters.get("sort"), SORT).map((row) => row.id);
  };

  function summary(evaluation, rows) {
    const wrong = rows.filter((row) => row.errors).length, { unit } = evaluation, other = report.otherUnit(unit);
    return [report.el("b", {}, `${report.rateName(unit)} ${report.percent(report.rate(evaluation), 2)} %`), ` (${report.said(evaluation)}), ${report.rateName(other)} ${report.percent(evaluation[report.rateKey(other)], 2)} %: `,
      `${report.count(evaluation.substitutions, "substitution")}, ${report.count(evaluation.deletions, "deletion")} and ${report.count(evaluation.insertions, "insertion")} in ${report.count(evaluation[`${unit}s`], unit)}. `,
      `${report.number(wrong)} of ${report.count(rows.length, "utterance")} have errors.`];
  }

  function filtered(rows, { text: typed, kind, group, pair, hasFields }) {
    const text = typed.toLowerCase(), is = KINDS[kind][1];
    return rows.filter((row) => is(row) && hasFields(row) && (!text || row.haystack.includes(text)) && (!group || group.members.has(row.place)) && (!pair || pair.members.has(row.place)));
  }

  const SORT = ["errors", true];

  const address = (evaluation, row) => report.addressOf(evaluation, "utterance", { id: row.id, from: location.hash.slice(1) });

  function columnsOf(evaluation, rows) {
    const { unit } = evaluation, [Unit, units] = [unit === "word" ? "Word" : "Character", `${unit}s`];
    const numeric = (key, title, hint, width, show) => ({ key, title, hint, numeric: true, width, value: (row) => row[key], cell: (row) => (row[key] === null || row[key] === undefined ? "–" : show(row[key])) });
    return [
      { key: "id", title: "Utterance", width: 8, grow: 1, value: (row) => row.id, cell: (row) => report.el("a", { href: address(evaluation, row) }, report.text(row.id)) },
      numeric(report.rateKey(unit), `${report.rateName(unit)} %`, `${Unit} error rate of the utterance`, 4, (value) => (100 * value).toFixed(0)),
      numeric("errors", "Errors", "Substitutions, deletions and insertions", 4, String),
      { key: "aligned", title: "Reference → hypothesis", hint: "≠ reference→hypothesis, − deleted, + inserted", width: 18, grow: 6, value: (row) => row.reference, cell: (row) => report.inline(row), export: [["Reference", (row) => row.reference], ["Hypothesis", (row) => row.hypothesis]] },
      { key: "speaker", title: "Speaker", width: 6, grow: 0.4, value: (row) => row.speaker, cell: (row) => report.text(row.speaker || "–") },
      numeric("seconds", "Seconds", "Duration of the utterance", 4.4, (value) => value.toFixed(1)),
      numeric("speed", `${Unit}s/s`, `Speaking rate: reference ${units} per second`, 4.4, (value) => value.toFixed(1)),
      ...(rows.some((row) => row.confidence !== null && row.confidence !== undefined) ? [numeric("confidence", evaluation.decoder === "greedy" ? "Confidence %" : "Greedy confidence %", "Mean probability of the tokens of the greedy path", 3.6, (value) => (100 * value).toFixed(0))] : []),
      ...(rows.some((row) => row.loss !== null && row.loss !== undefined) ? [numeric("loss", "CTC loss", "CTC loss per token of the reference: high where the model does not find it", 3.6, (value) => value.toFixed(2))] : []),
      numeric("level", "SNR dB", "Estimated signal-to-noise ratio: power of loud frames over quiet ones", 3.2, (value) => value.toFixed(0)),
      ...(report.hasNotes("utterances") ? [{ key: "note", title: "Note", width: 8, grow: 1, value: (row) => noteOf(evaluation, row), cell: (row) => report.text(noteOf(evaluation, row)) }] : []),
    ];
  }

  const noteOf = (evaluation, row) => report.noteOf("utterances", report.utteranceKey(evaluation, row.id));

  const table = (evaluation, rows, shown, arranged) => report.table({
    label: "Utterances", columns: columnsOf(evaluation, rows), rows: shown, all: rows, sort: SORT, arranged, open: (row) => { location.hash = address(evaluation, row); },
  });

  function confusions(found, choose) {
    const row = (unit) => (pair) => report.el("tr", {},
      report.el("td", { class: "numeric" }, report.number(pair.count)),
      report.el("td", {}, report.el("button", { type: "button", class: "link", onclick: () => choose(pairKey(unit, pair)) },
        report.item(pair.reference), " → ", report.item(pair.hypothesis))));
    const list = (title, unit) => report.el("div", {}, report.el("h3", {}, title),
      found[unit].length ? more(found[unit], row(unit), ["#count", "reference → hypothesis"], `Confusions of ${unit}`) : report.el("p", { class: "note" }, "None."));
    return report.el("div", { class: "groups" }, list("Words", "words"), list("Characters", "characters"));
  }

  // The heading of a numeric column starts with "#".
  report.heading = (heading) => report.el("th", { scope: "col", class: heading.startsWith("#") ? "numeric" : null }, heading.replace("#", ""));

  // A table of the first rows, with a button for the rest.
  function more(items, row, headings, label) {
    const body = report.el("tbody", {}, items.slice(0, SHOWN).map(row));
    const table = report.el("table", { class: "plain" }, report.el("thead", {}, report.el("tr", {}, headings.map(report.heading))), body);
    const button = items.length <= SHOWN ? null
      : report.el("button", { type: "button", onclick: () => { body.append(...items.slice(SHOWN).map(row)); button.remove(); } }, `${items.length - SHOWN} more`);
    return report.el("div", {}, table, button, report.exporter(label, () => report.textsOf(headings, items.map(row))));
  }
  report.more = more;
})();
