"use strict";
// A forest plot: each result as a dot on its 95 % interval, on one axis.

(function () {
  const LETTER = 7.4, TOP = 8, BOTTOM = 24, NARROW = 520, PLOT = 240;

  // rows: [{name, value, low, high, number, open}] in fractions; options: {title, axis, format(row), zero: differences,
  // with a line at 0 instead of the lowest value}
  report.forest = function (rows, options) {
    const place = report.el("div", {}), high = limit(rows, options.zero);
    const beyond = high === null ? 0 : rows.filter((row) => row.high > high || (options.zero && row.low < -high)).length;
    const frame = report.el("figure", { class: "forest" }, place, report.el("figcaption", { class: "note" }, options.axis,
      beyond ? `; ▸ ${report.count(beyond, "interval")} beyond the axis, which shows the typical range` : ""));
    const draw = (width) => place.replaceChildren(picture(rows, options, Math.max(240, width), high));
    new ResizeObserver(() => draw(place.clientWidth || 900)).observe(place);
    frame.printed = draw;
    return frame;
  };

  // One run that diverged does not flatten the others.
  function limit(rows, zero) {
    return report.typicalHigh(rows.map((row) => (zero ? [Math.abs(row.value), Math.max(Math.abs(row.low), Math.abs(row.high))] : [row.low, row.value, row.high])));
  }

  function picture(rows, options, width, most) {
    const longest = (text) => LETTER * Math.max(...rows.map((row) => text(row).length));
    // On a narrow page a name and its figures stand above the interval, each in a line of its own where both are long.
    const narrow = width < NARROW, figures = 12 + longest(options.format), named = 16 + longest((row) => row.name);
    const apart = narrow && named + figures > width, line = apart ? 58 : narrow ? 42 : 26;
    const names = apart ? width : narrow ? width - figures : Math.min(Math.max(width * 0.36, width - figures - PLOT), named);
    const left = narrow ? 12 : names, right = narrow ? 12 : figures + 8;
    const [least, greatest] = most === null ? [-Infinity, Infinity] : [options.zero ? -most : -Infinity, most];
    const low = Math.max(least, Math.min(...rows.map((row) => row.low), options.zero ? 0 : Infinity));
    const high = Math.min(greatest, Math.max(...rows.map((row) => row.high), options.zero ? 0 : -Infinity));
    const spare = (high - low) * 0.05 || 0.005;
    const from = options.zero ? low - spare : Math.max(0, low - spare), to = high + spare;
    const at = (value) => left + ((Math.max(from, Math.min(to, value)) - from) / (to - from)) * (width - left - right);
    const height = TOP + rows.length * line + BOTTOM;
    const parts = ticks(from, to, width - left - right).flatMap(([tick, label]) => [
      report.svg("line", { x1: at(tick), x2: at(tick), y1: TOP, y2: height - BOTTOM, class: "grid" }),
      report.svg("text", { x: at(tick), y: height - BOTTOM + 16, "text-anchor": "middle", class: "tick" }, label)]);
    const reference = options.zero ? 0 : Math.min(...rows.map((row) => row.value));
    parts.push(report.svg("line", { x1: at(reference), x2: at(reference), y1: TOP, y2: height - BOTTOM, class: "reference" }));
    rows.forEach((row, index) => {
      const top = TOP + index * line, text = top + 17, y = narrow ? top + line - 12 : top + line / 2;
      const inside = (value) => value >= from && value <= to;
      const stroke = (x1, x2, y1, y2) => report.svg("line", { x1, x2, y1, y2, class: "interval" });
      const beyond = (x, way) => report.svg("path", { d: `M ${x} ${y - 5} l ${7 * way} 5 l ${-7 * way} 5 z`, class: "beyond" });
      parts.push(report.svg("g", {
        class: row.open ? "result open" : "result", tabindex: row.open ? "0" : null, role: row.open ? "link" : "img", style: { color: row.number === undefined ? "var(--ink)" : report.cssColour(row.number) },
        onclick: row.open, onkeydown: (event) => { if (row.open && event.key === "Enter") row.open(); },
        "aria-label": `${row.name}: ${options.format(row)}`,
      },
      report.svg("rect", { x: 0, y: top, width, height: line, class: "hit" }),
      report.svg("text", { x: 4, y: text, class: "name" }, shortened(row.name, names), report.svg("title", {}, row.name)),
      stroke(at(row.low), at(row.high), y, y),
      inside(row.low) ? stroke(at(row.low), at(row.low), y - 5, y + 5) : row.low < from ? beyond(at(row.low) + 7, -1) : null,
      inside(row.high) ? stroke(at(row.high), at(row.high), y - 5, y + 5) : row.high > to ? beyond(at(row.high) - 7, 1) : null,
      inside(row.value) ? report.svg("circle", { cx: at(row.value), cy: y, r: 5 }) : null,
      report.svg("text", { x: apart ? 4 : narrow ? width - 4 : width - right + 10, y: apart ? text + 16 : text, class: "figures", "text-anchor": narrow && !apart ? "end" : "start" }, options.format(row))));
    });
    return report.svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": options.title }, parts);
  }

  function shortened(name, width) {
    const fits = Math.floor((width - 12) / LETTER);
    return name.length <= fits ? name : name.slice(0, Math.max(1, fits - 1)) + "…";
  }

  // Round values in per cent with their labels, as many as fit beside each other.
  function ticks(from, to, width) {
    const found = (step) => {
      const values = [];
      for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) values.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
      return values.map((tick) => [tick, Number((100 * tick).toFixed(4)).toString()]);
    };
    for (let unit = 10 ** Math.floor(Math.log10((to - from) / 20)); ; unit *= 10) {
      for (const factor of [1, 2, 5]) {
        const shown = found(factor * unit);
        const widest = Math.max(0, ...shown.map(([, label]) => label.length)) * LETTER + 24;
        if (((factor * unit) / (to - from)) * width >= Math.max(widest, 60)) return shown;
      }
    }
  }
})();
