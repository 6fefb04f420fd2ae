"use strict";
// Curves, drawn by uPlot: several runs on one axis, smoothed, in the colours of the theme.

(function () {
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLOURS = 8;
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

  report.colour = (number) => style(`--series-${number % COLOURS}`);
  report.dash = (number) => DASHES[Math.floor(number / COLOURS) % DASHES.length];
  report.cssColour = (number) => `var(--series-${number % COLOURS})`;

  // How the curves of a view are drawn, from its address.
  report.curveState = () => ({ axis: AXES.some(([axis]) => axis === report.get("axis")) ? report.get("axis") : AXES[0][0], smoothing: Number(report.get("smoothing", 0.6)) });

  const AXES = [["epoch", "epochs"], ["step", "steps"], ["minutes", "minutes"]];
  report.axisChoice = (state, redraw) => report.choice("Axis", AXES, state.axis, (axis) => {
    state.axis = axis;
    report.set({ axis: axis === AXES[0][0] ? null : axis });
    redraw();
  });

  // Exponential moving average with bias correction.
  report.smoothed = function (values, weight) {
    let sum = 0, norm = 0;
    return values.map((value) => {
      if (value === null || value === undefined) return value;
      sum = weight * sum + (1 - weight) * value;
      norm = weight * norm + (1 - weight);
      return sum / norm;
    });
  };

  // The points of a metric of a run, {x: [...], y: [...]}, over "step", "epoch" or "minutes".
  report.points_of = function (rows, name, axis) {
    const x = [], y = [];
    const places = axis === "minutes" ? (rows.seconds || []).map((value) => value / 60) : rows[axis] || [];
    (rows[name] || []).forEach((value, index) => {
      if (value === null || places[index] === null || places[index] === undefined) return;
      if (x.length && places[index] <= x[x.length - 1]) { y[y.length - 1] = value; return; }
      x.push(places[index]);
      y.push(value);
    });
    return { x, y };
  };

  // series: [{name, number, x, y}]; options: {title, hint, axis, smoothing, scale (factor), unit, fromZero}
  report.chart = function (series, options) {
    const scale = options.scale || 1;
    const lines = series.filter((one) => one.x.length);
    const frame = report.el("figure", { class: "chart", "data-chart": options.title },
      report.el("figcaption", {}, options.title, options.unit ? report.el("span", { class: "unit" }, ` (${options.unit})`) : null,
        options.hint ? report.el("span", { class: "hint" }, options.hint) : null));
    if (!lines.length) return report.fill(frame, {}, [report.el("p", { class: "note" }, "Nothing was logged.")]);
    const place = report.el("div", { class: "plot", role: "img", "aria-label": describe(lines, options, scale) });
    frame.append(place);
    // uPlot can only draw once the element is in the page and has a width.
    let plot = null;
    const observer = new ResizeObserver(() => {
      const width = Math.floor(place.clientWidth);
      if (width < 50) return;
      if (plot) plot.setSize({ width, height: plot.height });
      else plot = draw(place, width, lines, options, scale);
      place.redraw = () => plot.redraw(false, false);
    });
    observer.observe(place);
    return frame;
  };

  function describe(lines, options, scale) {
    const last = (one) => report.number(one.y[one.y.length - 1] * scale);
    return `${options.title}: ` + lines.map((one) => `${one.name} from ${report.number(one.y[0] * scale)} to ${last(one)}`).join("; ");
  }

  function draw(place, width, lines, options, scale) {
    // As functions, so that a change of the theme, or printing, redraws the plot in other colours.
    const ink = () => style("--ink"), faint = () => style("--line"), font = `12px ${style("--font")}`;
    const raw = options.smoothing > 0;
    const tables = [], series = [{ label: options.axis, value: (_, value) => report.number(value) }];
    const format = (_, value) => report.number(value);
    for (const one of lines) {
      const y = one.y.map((value) => value * scale);
      const sparse = y.length < 60;
      const stroke = () => report.colour(one.number), dash = report.dash(one.number);
      if (raw) {
        tables.push([one.x, y]);
        series.push({ label: "", stroke, width: 1, alpha: 0.25, points: { show: false }, spanGaps: true, class: "raw" });
      }
      tables.push([one.x, raw ? report.smoothed(y, options.smoothing) : y]);
      series.push({ label: one.name, stroke, dash, width: 2, spanGaps: true, value: format, points: { show: sparse && !raw, size: 5, fill: stroke } });
    }
    const axis = { stroke: ink, font, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 } };
    return new uPlot({
      width, height: 220, series,
      scales: { x: { time: false }, y: { range: (_, low, high) => range(low, high, options.fromZero) } },
      axes: [{ ...axis, label: options.axis, labelSize: 18, labelFont: font, size: 34 },
        { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : report.number(tick))) }],
      cursor: { drag: { x: true, y: false } },
      legend: { live: true, isolate: true },
      hooks: { init: [hideRaw] },
    }, join(tables), place);
  }

  function join(tables) {
    return tables.length === 1 ? tables[0] : uPlot.join(tables);
  }

  function range(low, high, fromZero) {
    if (low === null || high === null) return [0, 1];
    const spare = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [fromZero ? Math.min(0, low) : low - spare, high + spare];
  }

  // The faint raw curves need no legend entry.
  function hideRaw(plot) {
    plot.series.forEach((one, index) => {
      if (one.class === "raw") plot.root.querySelectorAll(".u-legend .u-series")[index].style.display = "none";
    });
  }
})();
