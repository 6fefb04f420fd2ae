"use strict";
// How far the confidence of words can be trusted: the share of correct words over their confidence, as `asr calibrate`
// measured it.

(function () {
  const SIZE = 260, LEFT = 44, BOTTOM = 40, TOP = 8;

  report.reliability = function (found) {
    const { bins } = found, most = Math.max(...bins.map((one) => one.words));
    const x = (share) => LEFT + share * SIZE, y = (share) => TOP + (1 - share) * SIZE;
    const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      report.svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
      report.svg("text", { class: "tick", x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, report.percent(share, 0)),
      report.svg("text", { class: "tick", x: x(share), y: TOP + SIZE + 16, "text-anchor": "middle" }, report.percent(share, 0))]);
    const points = bins.map((one) => report.svg("circle", { cx: x(one.confidence), cy: y(one.right), r: 3 + 7 * Math.sqrt(one.words / most) },
      report.svg("title", {}, said(one))));
    const line = report.svg("polyline", { class: "interval", fill: "none", points: bins.map((one) => `${x(one.confidence)},${y(one.right)}`).join(" ") });
    const picture = report.svg("svg", { viewBox: `0 0 ${LEFT + SIZE + 16} ${TOP + SIZE + BOTTOM}`, width: LEFT + SIZE + 16, height: TOP + SIZE + BOTTOM, role: "img", "aria-label": `Reliability: ${bins.map(said).join("; ")}` },
      ticks, report.svg("line", { class: "reference", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }), line, points,
      report.svg("text", { class: "tick", x: x(0.5), y: TOP + SIZE + 34, "text-anchor": "middle" }, "confidence, %"));
    return report.section("Reliability of the confidence of words", report.el("p", {}, `${report.count(found.words, "word")} of the greedy hypotheses, ${report.percent(found.right)} % of them correct: expected calibration error ${report.percent(found.ece)} %`,
      found.nce === null ? "." : `, normalized cross entropy ${found.nce.toFixed(3)}.`),
    report.el("figure", { class: "forest reliability" }, picture, report.el("figcaption", { class: "note" }, "Correct words, %, over their confidence; on the dashed line the two are the same. A larger dot stands for more words. Measured by `asr calibrate`.")));
  };

  const said = (bin) => `of ${report.count(bin.words, "word")} with confidence ${report.percent(bin.confidence, 0)} %, ${report.percent(bin.right, 0)} % are correct`;
})();
