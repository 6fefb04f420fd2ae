"use strict";
// A forest plot: each result as a dot on its 95 % interval, on one axis.

(function () {
  const HEIGHT = 26, TOP = 8, BOTTOM = 34;

  // rows: [{name, value, low, high, number, open}] in fractions; options: {title, best: draw a line at the lowest}
  report.forest = function (rows, options) {
    const frame = report.el("figure", { class: "forest" });
    const draw = () => frame.replaceChildren(picture(rows, options, Math.max(320, frame.clientWidth || 900)));
    new ResizeObserver(draw).observe(frame);
    return frame;
  };

  function picture(rows, options, width) {
    const longest = Math.max(...rows.map((row) => row.name.length));
    const left = Math.min(width * 0.36, 16 + 7.4 * longest), right = 20 + 7.2 * Math.max(...rows.map((row) => options.format(row).length));
    const low = Math.min(...rows.map((row) => row.low), options.zero ? 0 : Infinity);
    const high = Math.max(...rows.map((row) => row.high), options.zero ? 0 : -Infinity);
    const spare = (high - low) * 0.05 || 0.005;
    const from = options.zero ? low - spare : Math.max(0, low - spare), to = high + spare;
    const at = (value) => left + ((value - from) / (to - from)) * (width - left - right);
    const height = TOP + rows.length * HEIGHT + BOTTOM;
    const parts = [];
    for (const tick of ticks(from, to, Math.max(3, Math.floor((width - left - right) / 90)))) {
      parts.push(report.svg("line", { x1: at(tick), x2: at(tick), y1: TOP, y2: height - BOTTOM, class: "grid" }),
        report.svg("text", { x: at(tick), y: height - BOTTOM + 16, "text-anchor": "middle" }, Number((100 * tick).toFixed(4)).toString()));
    }
    parts.push(report.svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle", class: "axis-title" }, options.axis));
    const reference = options.zero ? 0 : Math.min(...rows.map((row) => row.value));
    parts.push(report.svg("line", { x1: at(reference), x2: at(reference), y1: TOP, y2: height - BOTTOM, class: "reference" }));
    rows.forEach((row, index) => {
      const y = TOP + (index + 0.5) * HEIGHT;
      const group = report.svg("g", {
        class: row.open ? "result open" : "result", tabindex: row.open ? "0" : null, role: row.open ? "link" : "listitem", style: { color: row.number === undefined ? "var(--ink)" : report.cssColour(row.number) },
        onclick: row.open, onkeydown: (event) => { if (row.open && event.key === "Enter") row.open(); },
        "aria-label": `${row.name}: ${options.format(row)}`,
      },
      report.svg("rect", { x: 0, y: y - HEIGHT / 2, width, height: HEIGHT, class: "hit" }),
      report.svg("text", { x: 4, y: y + 4, class: "name" }, shortened(row.name, left), report.svg("title", {}, row.name)),
      report.svg("line", { x1: at(row.low), x2: at(row.high), y1: y, y2: y, class: "interval" }),
      report.svg("line", { x1: at(row.low), x2: at(row.low), y1: y - 5, y2: y + 5, class: "interval" }),
      report.svg("line", { x1: at(row.high), x2: at(row.high), y1: y - 5, y2: y + 5, class: "interval" }),
      report.svg("circle", { cx: at(row.value), cy: y, r: 5 }),
      report.svg("text", { x: width - right + 10, y: y + 4, class: "figures" }, options.format(row)));
      parts.push(group);
    });
    return report.svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": options.title }, parts);
  }

  function shortened(name, width) {
    const fits = Math.floor((width - 12) / 7.2);
    return name.length <= fits ? name : name.slice(0, Math.max(1, fits - 1)) + "…";
  }

  function ticks(from, to, count) {
    const rough = (to - from) / count;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= rough);
    const found = [];
    for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) found.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
    return found;
  }
})();
