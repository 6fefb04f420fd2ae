"use strict";
// The panel: the same few utterances of dev after every epoch, so that one sees the model learn to write.

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
    return report.section("The same utterances after every epoch",
      report.el("p", { class: "note" }, "What the model wrote of one utterance of dev: ≠ spoken→written, − deleted, + inserted."),
      report.el("div", { class: "controls" }, report.select("Utterance", ids.map((id) => [id, id]), ids[0], show)), place);
  };

  function history(source, id, named) {
    const written = source.rows.map((row) => ({ epoch: row.epoch, ...row.utterances.find((one) => one.id === id) })).filter((row) => row.id);
    if (!written.length) return null;
    const body = report.el("tbody", {});
    const line = (row) => report.el("tr", {}, report.el("td", { class: "numeric" }, report.number(row.epoch)), report.el("td", { class: "numeric" }, `${report.percent(row.wer, 0)} %`),
      report.el("td", {}, row.hypothesis ? report.inline(report.aligned(row.reference, row.hypothesis, row.alignment)) : report.el("span", { class: "faint" }, "∅ nothing")));
    // Where nothing changed for some epochs, the first of them stands for all.
    const changed = written.filter((row, index) => index === 0 || row.hypothesis !== written[index - 1].hypothesis || index === written.length - 1);
    const between = changed.slice(FIRST, Math.max(FIRST, changed.length - LAST));
    const rest = changed.slice(FIRST + between.length);
    body.append(...changed.slice(0, FIRST).map(line));
    if (between.length) {
      const button = report.el("button", { type: "button", onclick: (event) => event.currentTarget.closest("tr").replaceWith(...between.map(line)) }, `${between.length} more`);
      body.append(report.el("tr", {}, report.el("td", { colspan: 3 }, button)));
    }
    body.append(...rest.map(line));
    return report.el("div", { class: "other panel" }, named ? report.el("h3", {}, report.swatch(source.number), source.run.name) : null,
      report.el("p", {}, report.el("b", {}, "spoken: "), report.text(written[0].reference)),
      report.el("table", { class: "plain" }, report.el("thead", {}, report.el("tr", {}, ["#epoch", "#WER", "what changed"].map(report.heading))), body));
  }
})();
