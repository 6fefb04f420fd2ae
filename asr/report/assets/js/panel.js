"use strict";
// The panel: hypotheses of a few fixed dev utterances after every epoch, which show how the model learns.

(function () {
  const FIRST = 5, LAST = 5;

  // sources: [{run, number, rows}] with the rows of panel.jsonl.
  report.panel = function (sources) {
    const known = sources.filter((one) => one.rows && one.rows.length);
    if (!known.length) return null;
    const ids = [...new Set(known.flatMap((one) => one.rows.flatMap((row) => row.utterances.map((each) => each.id))))].sort();
    const place = report.el("div", {});
    const show = (id) => place.replaceChildren(...known.map((one) => history(one, id, known.length > 1)).filter(Boolean));
    show(ids[0]);
    return report.section("Hypotheses by epoch",
      report.el("p", { class: "note" }, "The hypotheses of one dev utterance: ≠ reference→hypothesis, − deleted, + inserted."),
      report.el("div", { class: "controls" }, report.select("Utterance", ids.map((id) => [id, id]), ids[0], show)), place);
  };

  function history(source, id, named) {
    const epochs = source.rows.map((row) => ({ epoch: row.epoch, ...row.utterances.find((one) => one.id === id) })).filter((row) => row.id);
    if (!epochs.length) return null;
    const body = report.el("tbody", {}), unit = "cer" in epochs[0] ? "character" : "word";
    const line = (row) => report.el("tr", {}, report.el("td", { class: "numeric" }, report.number(row.epoch)), report.el("td", { class: "numeric" }, `${report.percent(row[report.rateKey(unit)], 0)} %`),
      report.el("td", {}, row.hypothesis ? report.inline({ ...row, steps: row.alignment, unit }) : report.el("span", { class: "faint" }, "∅ empty")));
    // Of epochs with the same hypothesis only the first is shown.
    const changed = epochs.filter((row, index) => index === 0 || row.hypothesis !== epochs[index - 1].hypothesis || index === epochs.length - 1);
    const between = changed.slice(FIRST, Math.max(FIRST, changed.length - LAST));
    const rest = changed.slice(FIRST + between.length);
    body.append(...changed.slice(0, FIRST).map(line));
    if (between.length) {
      const button = report.el("button", { type: "button", onclick: (event) => event.currentTarget.closest("tr").replaceWith(...between.map(line)) }, `${between.length} more`);
      body.append(report.el("tr", {}, report.el("td", { colspan: 3 }, button)));
    }
    body.append(...rest.map(line));
    return report.el("div", { class: "other panel" }, named ? report.el("h3", {}, report.swatch(source.number), source.run.name) : null,
      report.el("p", {}, report.el("b", {}, "reference: "), report.text(epochs[0].reference)),
      report.el("table", { class: "plain" }, report.el("thead", {}, report.el("tr", {}, ["#epoch", `#${report.rateName(unit)}`, "hypothesis"].map(report.heading))), body));
  }
})();
