"use strict";
// One utterance: reference and hypothesis, its audio, and the output of the model over time.

(function () {
  report.view("utterance", null, async function (parameters) {
    const evaluation = report.findEvaluation(parameters);
    if (!evaluation) return [report.el("p", { class: "note" }, "This report has no such evaluation.")];
    const rows = await report.utterances(evaluation);
    const row = rows.find((one) => one.id === parameters.get("id"));
    if (!row) return [report.el("p", { class: "note" }, "There is no such utterance in this evaluation.")];
    const others = report.data.evaluations.filter((one) => one.utterances_file === evaluation.utterances_file && one !== evaluation);
    return [report.section(row.id, await navigation(evaluation, rows, row, parameters),
      report.el("dl", { class: "facts" }, facts(evaluation, row).map(([name, value]) => report.el("div", {}, report.el("dt", {}, name), report.el("dd", {}, value)))),
      report.columns(report.aligned(row)),
      report.el("p", { class: "note" }, "Top: reference; bottom: hypothesis of ", report.el("b", {}, report.evaluationName(evaluation)), "; ≠ substituted, − deleted, + inserted."),
      await player(evaluation, row),
      report.noteField("utterances", report.utteranceKey(evaluation, row.id), `Note on ${row.id}`)),
    report.section("Is the reference wrong?", report.marking(evaluation.recipe, row.id, row.reference), report.marksStatus(evaluation.recipe)),
    await nbest(evaluation, row),
    others.length ? report.section("Other runs on this utterance", await comparison(others, row, parameters.get("with"))) : null].filter(Boolean);
  });

  // The utterances before and after it are those of the list that it was opened from.
  async function navigation(evaluation, rows, row, parameters) {
    const from = parameters.get("from") || report.addressOf(evaluation, "errors").slice(1), mark = from.indexOf("?");
    const walked = report.walk && report.walk.file === evaluation.file && report.walk.view === from.slice(0, mark) ? report.walk.ids
      : from.startsWith("errors?") ? await report.listed(evaluation, new URLSearchParams(from.slice(mark + 1))) : [];
    const ids = walked.includes(row.id) ? walked : rows.map((one) => one.id);
    const kept = Object.fromEntries(["from", "with"].filter((name) => parameters.has(name)).map((name) => [name, parameters.get(name)]));
    const place = ids.indexOf(row.id);
    const link = (id, text, key) => (id === undefined ? report.el("span", { class: "button off" }, text) : report.el("a", { class: "button", href: report.addressOf(evaluation, "utterance", { id, ...kept }), "data-key": key }, text));
    return report.el("div", { class: "controls" }, report.el("a", { class: "button", href: "#" + from, "data-key": "u" }, "↑ all utterances"),
      link(ids[place - 1], "← previous", "p"), link(ids[place + 1], "next →", "n"), report.el("span", { class: "note" }, `${place + 1} of ${ids.length}`));
  }

  function facts(evaluation, row) {
    const { unit } = row, characters = report.items(row.reference, "character").length;
    return [
      ["run", report.evaluationName(evaluation)], ["split", evaluation.split], ["speaker", report.text(row.speaker || "unknown")],
      [report.rateName(unit), `${report.percent(report.rate(row))} %`], ["errors", `${row.errors} of ${report.count(row.size, unit)}`],
      ...(unit === "word" ? [["CER", `${report.percent(row.character_errors / characters)} %`]] : []),
      ["duration", `${row.seconds.toFixed(2)} s`], ["speaking rate", `${row.speed.toFixed(1)} ${unit}s/s`],
      [evaluation.decoder === "greedy" ? "confidence" : "confidence of the greedy path", row.confidence === null || row.confidence === undefined ? "–" : `${report.percent(row.confidence, 0)} %`],
      ["CTC loss per token", row.loss === null || row.loss === undefined ? "–" : row.loss.toFixed(2)],
      ...Object.entries(row.fields).filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [name, report.text(String(value))]),
      ["estimated SNR", row.level === null ? "–" : `${row.level.toFixed(0)} dB`],
    ];
  }

  async function comparison(others, row, first) {
    const sorted = others.slice().sort((left, right) => (report.evaluationName(right) === first) - (report.evaluationName(left) === first));
    return Promise.all(sorted.map(async (one) => {
      const own = (await report.utterances(one))[row.place];
      return report.el("div", { class: "other" }, report.el("h3", {}, report.swatch(one.run), report.el("a", { href: report.addressOf(one, "utterance", { id: row.id }) }, report.evaluationName(one)), `: ${report.count(own.errors, "error")}`),
        report.columns(report.aligned(own)));
    }));
  }

  async function player(evaluation, row) {
    const audio = row.audio ? report.el("audio", { controls: true, preload: "metadata", src: row.audio }) : null;
    const why = row.format ? `Browsers do not play ${row.format} files: build the report with --audio embed.` : "This report has no audio of this utterance.";
    const parts = [audio || report.el("p", { class: "note" }, why)];
    if (row.pictured) {
      const [picture, output] = await Promise.all([report.load(`${evaluation.utterances_file}-${row.place}`), report.load(`${evaluation.file}-${row.place}`)]);
      parts.push(report.picture(picture, output, row, audio), legend(evaluation, output));
    } else if (evaluation.has_model) {
      parts.push(report.el("p", { class: "note" }, "This utterance has no picture: `asr report --pictures N` draws more, the worst of each evaluation first."));
    }
    return report.el("div", {}, parts);
  }

  const TOKENS = { char: "characters", bpe: "word pieces", phone: "phones" };

  function legend(evaluation, output) {
    const tokens = TOKENS[report.runOf(evaluation).settings["tokenizer.kind"]] || "tokens";
    const words = output.of_hypothesis === false ? `the words of the greedy path, since this ${evaluation.decoder} hypothesis cannot be aligned` : "the words of the hypothesis";
    return report.el("p", { class: "note" }, `Log-mel spectrogram. Vertical lines are the ${tokens} that the model outputs, their height is the probability. Boxes: ${words}`,
      output.reference && output.reference.length ? ", and below them those of the reference" : "", `, aligned to a few output frames of ${(1000 * output.frame_seconds).toFixed(0)} ms. `,
      `Blank in ${report.percent(output.blank_share, 0)} % of the frames. Click to play from there.`);
  }

  // The n-best list of a beam search: each hypothesis aligned with the reference.
  async function nbest(evaluation, row) {
    const found = evaluation.nbest ? (await report.load(`${evaluation.file}-nbest`))[row.place] : null;
    if (!found) return null;
    const items = found.map(([text, score]) => ({ text, score, steps: report.steps(row.reference, text, row.unit) }));
    const exporter = report.exporter(`n-best list of ${row.id}`, () => [["rank", "score", "errors", "hypothesis"], ...items.map((one, rank) => [rank + 1, one.score, one.steps.replaceAll("=", "").length, one.text].map(String))]);
    return report.section("n-best list", report.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "n-best list" }, report.el("table", { class: "plain nbest" },
      report.el("thead", {}, report.el("tr", {}, ["#rank", "#score", "#errors", "reference → hypothesis"].map(report.heading))),
      report.el("tbody", {}, items.map(({ text, score, steps }, rank) => {
        return report.el("tr", {}, report.el("td", { class: "numeric" }, rank + 1), report.el("td", { class: "numeric" }, score.toFixed(2)), report.el("td", { class: "numeric" }, steps.replaceAll("=", "").length),
          report.el("td", {}, text ? report.inline({ reference: row.reference, hypothesis: text, steps, unit: row.unit }) : report.el("span", { class: "faint" }, "∅ empty")));
      })))), exporter);
  }
})();
