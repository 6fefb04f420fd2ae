"use strict";
// Curves, drawn by uPlot: several runs on one axis, smoothed, in the colours of the theme.

(function () {
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLOURS = 8;
  const DASHES = [[], [8, 4], [2, 3], [12, 3, 2, 3], [6, 2, 2, 2, 2, 2], [16, 6], [1, 6]];
  const LEGEND = 12;
  const FAR = 4;
  const AXES = [["epoch", "epochs"], ["step", "steps"], ["minutes", "minutes"]];

  report.colour = (number) => style(`--series-${number % COLOURS}`);
  report.dash = (number) => DASHES[Math.floor(number / COLOURS) % DASHES.length];
  report.cssColour = (number) => `var(--series-${number % COLOURS})`;

  // The line of a run as curves draw it, for legends and names.
  report.swatch = (number) => report.svg("svg", { class: "swatch", viewBox: "0 0 28 8", "aria-hidden": "true" },
    report.svg("line", { x1: 0, x2: 28, y1: 4, y2: 4, stroke: report.cssColour(number), "stroke-width": 4, "stroke-dasharray": report.dash(number).join(" ") || null }));

  // How the curves of a view are drawn, from its address.
  report.curveState = () => ({
    axis: AXES.some(([axis]) => axis === report.get("axis")) ? report.get("axis") : AXES[0][0],
    smoothing: Number(report.get("smoothing", 0.6)), log: report.get("scale") === "log", all: report.get("limits") === "all",
    by: report.data.differences.includes(report.get("colour")) ? report.get("colour") : "",
  });

  // Runs in the colours of their values of a setting, whose name they then have.
  const byPlace = (key) => [...new Set(report.data.runs.map((run) => report.setting(run.settings[key])))];
  function coloured(series, key) {
    const values = byPlace(key);
    return series.map((one) => {
      const value = report.setting(report.data.runs[one.number].settings[key]);
      return { ...one, number: values.indexOf(value), name: `${one.name}, ${key}=${value}` };
    });
  }

  // The controls of that state.
  report.curveChoices = function (state, redraw) {
    const change = (name, usual) => (value) => {
      report.set({ [name]: value === usual ? null : value });
      Object.assign(state, report.curveState(), { smoothing: state.smoothing });
      redraw();
    };
    return [report.choice("Axis", AXES, state.axis, change("axis", AXES[0][0])),
      report.choice("Scale", [["linear", "linear"], ["log", "log"]], state.log ? "log" : "linear", change("scale", "linear")),
      report.choice("Limits", [["typical", "typical range"], ["all", "all values"]], state.all ? "all" : "typical", change("limits", "typical")),
    report.data.differences.length ? report.select("Colour by", [["", "run"], ...report.data.differences.map((key) => [key, key])], state.by, change("colour", "")) : ""];
  };

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

  // The upper limit of an axis for several series of values, null where all of them fit on one: those that are mostly
  // far above the others, as of a run that diverged, would flatten these.
  report.typicalHigh = function (series) {
    const known = series.filter((values) => values.length).map((values) => {
      const sorted = values.slice().sort((a, b) => a - b);
      return { usual: sorted[Math.ceil(0.95 * sorted.length) - 1], low: sorted[0], high: sorted[sorted.length - 1] };
    }).sort((a, b) => a.usual - b.usual);
    if (known.length < 2) return null;
    const low = Math.min(...known.map((one) => one.low));
    let last = (known.length - 1) >> 1;
    while (last + 1 < known.length && known[last + 1].usual - low <= FAR * (known[last].usual - low)) last += 1;
    const high = Math.max(...known.slice(0, last + 1).map((one) => one.high)), highest = Math.max(...known.map((one) => one.high));
    return high > low && highest - low > FAR * (high - low) ? high : null;
  };

  // series: [{name, number, x, y}]; options: {title, hint, axis, smoothing, log, all, scale (factor), unit, fromZero}
  report.chart = function (series, options) {
    const scale = options.scale || 1;
    const runs = options.by ? coloured(series, options.by) : series;
    const lines = runs.filter((one) => one.x.length).map((one) => ({ ...one, y: one.y.map((value) => (options.log && value <= 0 ? null : value * scale)) }));
    const frame = report.el("figure", { class: "chart", "data-chart": options.title },
      report.el("figcaption", {}, options.title, options.unit ? report.el("span", { class: "unit" }, ` (${options.unit})`) : null,
        options.hint ? report.el("span", { class: "hint" }, options.hint) : null));
    const drawn = lines.filter((one) => one.y.some((value) => value !== null));
    if (!drawn.length) return report.fill(frame, {}, [report.el("p", { class: "note" }, lines.length ? "No value is above 0, so there is nothing on a log scale." : "Nothing was logged.")]);
    const high = options.all || options.log || options.fromZero ? null : report.typicalHigh(drawn.map((one) => one.y));
    const place = report.el("div", { class: "plot", role: "img", "aria-label": describe(drawn, options) });
    const readout = drawn.length > LEGEND ? report.el("p", { class: "note readout" }, "Point at a curve to see its run.") : null;
    frame.append(place, ...[readout, high === null ? null : outside(drawn, high)].filter(Boolean));
    // uPlot can only draw once the element is in the page and has a width.
    let plot = null;
    const resize = (width) => {
      if (width < 50) return;
      if (plot) plot.setSize({ width, height: plot.height });
      else plot = draw(place, width, drawn, { ...options, high, readout });
    };
    new ResizeObserver(() => resize(Math.floor(place.clientWidth))).observe(place);
    place.printed = (width) => { resize(width); if (plot) plot.redraw(false, false); };
    return frame;
  };

  function outside(lines, high) {
    const found = lines.map((one) => [one.name, Math.max(...one.y)]).filter(([, most]) => most > high).sort((a, b) => b[1] - a[1]);
    const named = found.slice(0, 3).map(([name, most]) => `${name} (up to ${report.number(most)})`).join(", ");
    return report.el("p", { class: "note outside" }, `▲ Above this axis: ${named}${found.length > 3 ? ` and ${found.length - 3} more` : ""}.`);
  }

  function describe(lines, options) {
    const ends = (one) => { const known = one.y.filter((value) => value !== null); return `from ${report.number(known[0])} to ${report.number(known[known.length - 1])}`; };
    return `${options.title}: ` + lines.map((one) => `${one.name} ${ends(one)}`).join("; ");
  }

  function draw(place, width, lines, options) {
    // As functions, so that a change of the theme, or printing, redraws the plot in other colours.
    const ink = () => style("--ink"), faint = () => style("--line"), font = `12px ${style("--font")}`;
    const raw = options.smoothing > 0, many = lines.length > LEGEND;
    const tables = [], series = [{ label: options.axis, value: (_, value) => report.number(value) }];
    const format = (_, value) => report.number(value);
    for (const one of lines) {
      const sparse = one.y.length < 60;
      const stroke = () => report.colour(one.number), dash = report.dash(one.number);
      if (raw && !many) {
        tables.push([one.x, one.y]);
        series.push({ label: "", stroke, width: 1, alpha: 0.25, points: { show: false }, spanGaps: true, class: "raw" });
      }
      tables.push([one.x, raw ? report.smoothed(one.y, options.smoothing) : one.y]);
      series.push({ label: one.name, number: one.number, stroke, dash, width: many ? 1.5 : 2, spanGaps: true, value: format, points: { show: sparse && !raw && !many, size: 5, fill: stroke } });
    }
    const axis = { stroke: ink, font, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 } };
    const values = (_, ticks) => ticks.map((tick) => (tick === null ? "" : tick === 0 ? "0" : report.number(tick)));
    return new uPlot({
      width, height: 220, series,
      scales: { x: { time: false }, y: options.log ? { distr: 3 } : { range: (_, low, high) => range(low, options.high === null ? high : Math.min(high, options.high), options.fromZero) } },
      axes: [{ ...axis, label: options.axis, labelSize: 18, labelFont: font, size: 34, space: 60, values }, { ...axis, size: 64, values }],
      cursor: { drag: { x: true, y: false }, focus: { prox: lines.length > 3 ? 24 : -1 } },
      focus: { alpha: 0.15 },
      legend: { show: !many, live: true, isolate: true },
      hooks: { init: [legend], setCursor: options.readout ? [(plot) => say(plot, options.readout)] : [] },
    }, tables.length === 1 ? tables[0] : uPlot.join(tables), place);
  }

  function range(low, high, fromZero) {
    if (low === null || high === null) return [0, 1];
    const spare = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [fromZero ? Math.min(0, low) : low - spare, high + spare];
  }

  // The run of the curve at the cursor, and its value.
  function say(plot, readout) {
    const { idx } = plot.cursor, number = plot.series.findIndex((one) => one._focus);
    if (number < 1 || idx === null || idx === undefined) return;
    let place = idx;
    while (place > 0 && plot.data[number][place] == null) place -= 1;
    readout.replaceChildren(report.swatch(plot.series[number].number), `${plot.series[number].label}: ${report.number(plot.data[number][place])}`);
  }

  // The legend shows lines as they are drawn; the faint raw curves need no entry.
  function legend(plot) {
    const entries = plot.root.querySelectorAll(".u-legend .u-series");
    if (!entries.length) return;
    plot.root.querySelector(".u-legend").setAttribute("tabindex", "0");
    plot.series.forEach((one, index) => {
      if (one.class === "raw") entries[index].style.display = "none";
      else if (one.number !== undefined) entries[index].querySelector(".u-marker").replaceWith(report.swatch(one.number));
    });
  }
})();
