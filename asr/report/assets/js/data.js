"use strict";
// The corpus: durations, speakers, characters, out-of-vocabulary words, and the findings of the corpus check.

(function () {
  report.view("data", "Data", function (parameters) {
    const corpora = report.data.corpora;
    if (!corpora.length) return [report.el("p", { class: "note" }, "No manifests were found: build the report with --data FOLDER.")];
    const corpus = corpora.find((one) => one.key === parameters.get("corpus")) || corpora[0];
    const splits = Object.entries(corpus.splits);
    return [
      report.section(`Corpus ${corpus.name}`,
        corpora.length > 1 ? report.select("Corpus", corpora.map((one) => [one.key, `${one.name} (${one.folder})`]), corpus.key, (key) => report.go("data", { corpus: key })) : null,
        report.el("p", { class: "note" }, corpus.folder), overview(splits)),
      report.section("Corpus check", corpusCheck(corpus)),
      corpus.suspicious.length ? report.section("Suspicious transcripts", report.el("p", { class: "note" }, "Found by `asr check` with check.model, the least fitting first."), report.suspicious(corpus)) : null,
      report.section("Durations", report.el("div", { class: "charts" }, splits.map(([split, one]) => histogram(split, one, corpus.edges)))),
      report.section("Out-of-vocabulary words", report.el("div", { class: "groups" }, splits.filter(([split]) => split !== "train").map(([split, one]) => unknown(split, one)))),
      report.section("Speakers", report.el("div", { class: "groups" }, splits.map(([split, one]) => speakers(split, one)))),
      report.section("Characters", characters(corpus, splits.map(([split]) => split))),
    ];
  });

  function plain(label, headings, rows) {
    return [report.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, report.el("table", { class: "plain" }, report.el("thead", {}, report.el("tr", {}, headings.map(report.heading))), report.el("tbody", {}, rows))),
      report.exporter(label, () => report.textsOf(headings, rows))];
  }

  const number = (value) => report.el("td", { class: "numeric" }, value);

  function overview(splits) {
    return plain("Splits", ["split", "#utterances", "#duration", "#shortest", "#median", "#longest", "#speakers", "#words", "#distinct words", "#out of vocabulary"], splits.map(([split, one]) =>
      report.el("tr", {}, report.el("th", { scope: "row" }, split), number(report.number(one.utterances)), number(report.clock(one.seconds)), number(`${one.shortest.toFixed(1)} s`),
        number(`${one.median.toFixed(1)} s`), number(`${one.longest.toFixed(1)} s`), number(report.number(one.speakers.filter(([name]) => name).length)), number(report.number(one.words)), number(report.number(one.different_words)),
        number(split === "train" ? "–" : `${report.number(one.unknown_words)} (${report.percent(one.unknown_words / one.words)} %)`))));
  }

  function corpusCheck(corpus) {
    if (!corpus.findings.length) return report.el("p", {}, report.el("b", { class: "good" }, "✓ "), "No findings. Headers and transcripts were checked; `asr check` also decodes the audio.");
    const rest = corpus.finding_count - corpus.findings.length;
    return report.el("div", {}, report.el("ul", { class: "sentences" }, corpus.findings.map((one) => report.el("li", { class: one.severity === "error" ? "problem" : "warning" },
      report.el("b", { class: "sign" }, one.severity === "error" ? "✖ " : "▲ "), report.text(one.message)))), rest > 0 ? report.el("p", { class: "note" }, `${report.number(rest)} more are listed by \`asr check\`.`) : null);
  }

  function histogram(split, one, edges) {
    const width = 420, height = 150, bottom = 22, most = Math.max(...one.histogram, 1), bar = width / one.histogram.length;
    const parts = one.histogram.map((count, place) => report.svg("rect", { class: "column", x: place * bar + 0.5, width: Math.max(1, bar - 1), y: (height - bottom) * (1 - count / most), height: (height - bottom) * (count / most) },
      report.svg("title", {}, `${count} utterances from ${edges[place].toFixed(1)} to ${edges[place + 1].toFixed(1)} s`)));
    const labels = [0, 0.25, 0.5, 0.75, 1].map((share) => report.svg("text", { x: share * width, y: height - 5, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, `${(share * edges[edges.length - 1]).toFixed(1)} s`));
    return report.el("figure", { class: "chart" }, report.el("figcaption", {}, split, report.el("span", { class: "hint" }, `bins of ${(edges[1] - edges[0]).toFixed(2)} s, the highest has ${report.count(most, "utterance")}`)),
      report.svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": `Durations of ${split}: from ${one.shortest} to ${one.longest} s, median ${one.median} s` }, parts, labels));
  }

  function unknown(split, one) {
    const title = `${split}: ${report.number(one.unknown_words)} of ${report.count(one.words, "word")}`;
    return report.el("div", {}, report.el("h3", {}, title), one.unknown.length ? report.more(one.unknown, ([word, count]) => report.el("tr", {}, number(report.number(count)), report.el("td", {}, report.item(word))), ["#count", "word"], `Out-of-vocabulary words of ${split}`)
      : report.el("p", { class: "note" }, "None."));
  }

  function speakers(split, one) {
    return report.el("div", {}, report.el("h3", {}, `${split}: ${one.speakers.length}`), report.more(one.speakers, ([name, count, seconds]) =>
      report.el("tr", {}, report.el("td", {}, report.text(name || "unknown")), number(report.number(count)), number(report.clock(seconds))), ["speaker", "#utterances", "#duration"], `Speakers of ${split}`));
  }

  function characters(corpus, splits) {
    const absent = (row) => row[1] === 0 || !splits.includes("train");
    return plain("Characters", ["character", ...splits.map((split) => `#${split}`)], corpus.characters.map((row) => report.el("tr", { class: absent(row) ? "differs" : null },
      report.el("th", { scope: "row" }, report.item(row[0])), row.slice(1).map((count) => number(report.number(count))))));
  }
})();
