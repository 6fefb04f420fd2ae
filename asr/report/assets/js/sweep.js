"use strict";
// What matters in a sweep: settings as columns, filters by setting, the importance of each with its interval, and the
// error rate against one setting or against all of them.

(function () {
  const AXES = 7, WIDTH = 900, LETTERS = 14;
  const COLOURS = 8;

  report.view("settings", "Settings", function (parameters) {
    const { data } = report, splits = report.splits();
    if (!splits.length) return [report.el("p", { class: "note" }, "No run has been evaluated yet: run `asr evaluate`.")];
    const split = splits.includes(parameters.get("split")) ? parameters.get("split") : splits[0];
    const evaluated = data.evaluations.filter((one) => one.split === split);
    const recipes = [...new Set(evaluated.map((one) => one.recipe))];
    const recipe = recipes.includes(parameters.get("recipe")) ? parameters.get("recipe") : recipes[0];
    const all = evaluated.filter((one) => one.recipe === recipe).map((result) => ({ result, run: report.runOf(result) }));
    const keys = data.differences.filter((key) => new Set(all.map((row) => valueOf(row, key))).size > 1);
    const place = report.el("div", {});
    const redraw = () => place.replaceChildren(...content(all, keys, split, recipe));
    redraw();
    return [report.section("Runs shown", report.el("div", { class: "controls" },
      report.choice("Split", splits.map((one) => [one, one]), split, (one) => report.go("settings", { split: one })),
      recipes.length > 1 ? report.select("Recipe", recipes.map((one) => [one, one]), recipe, (one) => report.go("settings", { recipe: one, only: null })) : null),
    filters(all, keys, redraw)), place];
  });

  const valueOf = (row, key) => report.setting(row.run.settings[key]);
  const numberOf = (row, key) => (typeof row.run.settings[key] === "number" ? row.run.settings[key] : null);

  // A choice for each setting; the address has them as only=KEY=VALUE.
  function filters(rows, keys, redraw) {
    const chosen = () => new Map(report.getAll("only").map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]));
    const field = (key) => report.select(key, [["", "all"], ...valuesOf(rows, key).map((value) => [value, value])], chosen().get(key) ?? "", (value) => {
      const now = chosen();
      if (value === "") now.delete(key); else now.set(key, value);
      report.set({ only: [...now].map(([name, one]) => `${name}=${one}`) });
      redraw();
    });
    return keys.length ? report.el("div", { class: "controls", role: "group", "aria-label": "Filter by setting" }, keys.map(field)) : null;
  }

  const valuesOf = (rows, key) => [...new Set(rows.slice().sort((a, b) => numberOf(a, key) - numberOf(b, key)).map((row) => valueOf(row, key)))];

  function content(all, keys, split, recipe) {
    const only = report.getAll("only").map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]);
    const rows = all.filter((row) => only.every(([key, value]) => !keys.includes(key) || valueOf(row, key) === value));
    if (!keys.length || !rows.length) return [report.el("p", { class: "note" }, rows.length ? "The runs do not differ in any setting." : "No run has these settings: choose others.")];
    const found = report.data.importance.find((one) => one.recipe === recipe && one.split === split);
    const ranked = found ? found.settings.flatMap((one) => one.settings) : [];
    const ordered = [...ranked.filter((key) => keys.includes(key)), ...keys.filter((key) => !ranked.includes(key))];
    const unit = rows[0].result.unit, rate = report.rateName(unit);
    return [
      report.section("Importance of the settings", importance(found, rows.length < all.length)),
      report.section(`${split} ${rate} against a setting`, against(rows, ordered, `${split} ${rate}`)),
      report.section("Parallel coordinates", parallel(rows, ordered.slice(0, AXES), ordered, `${split} ${rate}`)),
      report.section("Seeds", seeds(rows, rate)),
      report.section("Runs and their settings", table(rows, keys, rate)),
    ];
  }

  function importance(found, filtered) {
    if (!found || found.runs < found.fewest) return report.el("p", { class: "note" }, `${found ? report.count(found.runs, "evaluated run") : "One evaluated run"}: too few to tell which settings matter; ${found ? found.fewest : 8} or more are needed.`);
    const row = (one) => report.el("tr", {}, report.el("th", { scope: "row" }, report.el("code", {}, one.settings.join(", "))),
      report.el("td", { class: "bar-cell" }, report.el("span", { class: "bar", "aria-hidden": "true" }, report.el("span", { class: "part part-0", style: { width: `${100 * Math.max(0, one.share)}%` } }))),
      report.el("td", { class: "numeric" }, `${report.percent(Math.max(0, one.share), 0)} %`),
      report.el("td", { class: "numeric" }, `${report.percent(one.low, 0)} – ${report.percent(one.high, 0)} %`),
      report.el("td", { class: "numeric" }, one.p < 0.001 ? "< 0.001" : one.p.toFixed(3)),
      report.el("td", {}, one.p < 0.05 ? report.el("b", {}, "matters") : "may be chance"));
    const sure = found.settings.filter((one) => one.p < 0.05);
    return report.el("div", {}, report.el("p", { class: "lead" }, sure.length
      ? ["Of ", report.count(found.runs, "run"), ", ", report.el("b", {}, sure[0].settings.join(", ")), ` explains most: about ${report.percent(sure[0].share, 0)} % of the differences in rank.`]
      : `In ${report.count(found.runs, "run")}, no setting can be told from chance.`),
    report.wide("Importance of the settings", report.el("table", { class: "plain" }, report.el("thead", {}, report.el("tr", {}, ["setting", "", "#share", "#95 % interval", "#p", ""].map(report.heading))), report.el("tbody", {}, found.settings.map(row)))),
    report.el("p", { class: "note" }, "Share of the variance of the runs' ranks that goes with each setting alone, without what chance would give; p by permutation, corrected for the number of settings (Holm). Settings that always vary together share a line. What two settings do only together is not seen.", filtered ? " Filters above do not change this table: it is of all runs." : ""));
  }

  // Places on an axis for the values of a setting: numbers at their size, or by their order where they are few or texts.
  function axisOf(rows, key) {
    const values = valuesOf(rows, key), numbers = rows.map((row) => numberOf(row, key));
    if (values.length > 6 && numbers.every((value) => value !== null)) {
      const [low, high] = [Math.min(...numbers), Math.max(...numbers)], log = low > 0 && high / low > 20;
      const map = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
      return { at: (row) => map(numberOf(row, key)), ticks: [low, log ? Math.sqrt(low * high) : (low + high) / 2, high].map((value) => [map(value), report.number(value)]) };
    }
    const at = (value) => (values.length === 1 ? 0.5 : values.indexOf(value) / (values.length - 1));
    return { at: (row) => at(valueOf(row, key)), ticks: values.map((value) => [at(value), value]) };
  }

  function rateAxis(rows) {
    const rates = rows.map((row) => report.rate(row.result)), low = Math.min(...rates), most = Math.max(...rates);
    const high = (report.typicalHigh && report.typicalHigh(rates.map((value) => [value]))) || most, span = high - low || high || 1;
    return { at: (row) => Math.min(1, (report.rate(row.result) - low) / span), above: rates.filter((value) => value > high + 1e-12).length, ticks: [0, 0.25, 0.5, 0.75, 1].map((share) => [share, `${report.percent(low + share * span)} %`]) };
  }

  const short = (text) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);
  const title = (row, keys) => `${report.evaluationName(row.result)}: ${report.percent(report.rate(row.result), 2)} %\n${keys.map((key) => `${key}=${valueOf(row, key)}`).join("\n")}`;
  const open = (row) => { location.hash = report.addressOf(row.result, "errors"); };

  function against(rows, keys, name) {
    const place = report.el("div", {});
    let key = keys.includes(report.get("x")) ? report.get("x") : keys[0];
    const draw = () => {
      const x = axisOf(rows, key), y = rateAxis(rows), height = 280, [left, right, top, bottom] = [70, 20, 12, 34];
      const px = (share) => left + 14 + share * (WIDTH - left - right - 28), py = (share) => height - bottom - share * (height - top - bottom);
      place.replaceChildren(report.wide(name, report.svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "sweep", role: "img", "aria-label": `${name} against ${key} of ${report.count(rows.length, "run")}` },
        y.ticks.map(([at, text]) => [report.svg("line", { class: "grid", x1: left, x2: WIDTH - right, y1: py(at), y2: py(at) }), report.svg("text", { x: left - 6, y: py(at) + 4, "text-anchor": "end" }, text)]),
        x.ticks.map(([at, text]) => report.svg("text", { x: px(at), y: height - 12, "text-anchor": "middle" }, short(text))),
        rows.map((row) => report.svg("circle", { class: "dot", cx: px(x.at(row)), cy: py(y.at(row)), r: 5, onclick: () => open(row) }, report.svg("title", {}, title(row, keys)))))),
      y.above ? report.el("p", { class: "note" }, `▲ ${report.count(y.above, "run")} above this axis ${y.above === 1 ? "is" : "are"} drawn at its top.`) : "");
    };
    draw();
    return [report.el("div", { class: "controls" }, report.select("Setting", keys.map((one) => [one, one]), key, (one) => { key = one; report.set({ x: one }); draw(); })), place];
  }

  function parallel(rows, keys, all, name) {
    const place = report.el("div", {}), said = report.el("p", { class: "note readout" }, "Point at a line to see its run; click opens it.");
    let by = all.includes(report.get("colour")) ? report.get("colour") : keys[0];
    const draw = () => {
      const height = 300, [top, bottom, side] = [34, 14, 60], axes = [...keys.map((key) => [key, axisOf(rows, key)]), [name, rateAxis(rows)]];
      const px = (index) => side + (index * (WIDTH - 2 * side)) / (axes.length - 1), py = (share) => height - bottom - share * (height - top - bottom);
      const values = valuesOf(rows, by);
      const line = (row) => report.svg("polyline", {
        class: "run-line", points: axes.map(([, axis], index) => `${px(index)},${py(axis.at(row))}`).join(" "), stroke: report.cssColour(values.indexOf(valueOf(row, by)) % COLOURS),
        onclick: () => open(row), onpointerenter: (event) => { event.target.parentNode.append(event.target); said.textContent = title(row, all).replaceAll("\n", "  "); },
      });
      place.replaceChildren(report.wide("Parallel coordinates", report.svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "sweep parallel", role: "img", "aria-label": `Settings and ${name} of ${report.count(rows.length, "run")}` },
        axes.map(([key, axis], index) => report.svg("g", {}, report.svg("line", { class: "axis", x1: px(index), x2: px(index), y1: py(0), y2: py(1) }),
          report.svg("text", { x: px(index), y: 14, "text-anchor": "middle", class: "axis-name" }, key.split(".").pop(), report.svg("title", {}, key)))),
        report.svg("g", { class: "lines" }, rows.map(line)),
        axes.map(([, axis], index) => axis.ticks.map(([at, text]) => report.svg("text", { class: "tick", x: px(index) + 5, y: py(at) - 4 }, short(text)))))),
      report.el("p", { class: "sweep-legend" }, values.slice(0, 2 * COLOURS).map((value, index) => report.el("span", { class: "key-entry" }, report.el("span", { class: "key", style: { background: report.cssColour(index % COLOURS) }, "aria-hidden": "true" }), `${by}=${value} `))), said);
    };
    draw();
    return [report.el("div", { class: "controls" }, report.select("Colour by", all.map((one) => [one, one]), by, (one) => { by = one; report.set({ colour: one }); draw(); })), place];
  }

  // Runs that differ in the seed only.
  function seeds(rows, rate) {
    const groups = new Map();
    for (const row of rows) {
      const key = `${row.run.model} ${row.result.decoder}`;
      groups.set(key, [...(groups.get(key) || []), row]);
    }
    const lines = [...groups.values()].map((members) => {
      const rates = members.map((row) => report.rate(row.result)), mean = rates.reduce((sum, one) => sum + one, 0) / rates.length;
      const deviation = rates.length > 1 ? Math.sqrt(rates.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (rates.length - 1)) : null;
      return { members, mean, deviation };
    }).sort((a, b) => a.mean - b.mean);
    const row = ({ members, mean, deviation }) => report.el("tr", {}, report.el("th", { scope: "row" }, report.evaluationName(members[0].result)),
      report.el("td", { class: "numeric" }, report.number(members.length)), report.el("td", {}, members.map((one) => report.setting(one.run.settings.seed)).join(", ")),
      report.el("td", { class: "numeric" }, `${report.percent(mean, 2)}${deviation === null ? "" : ` ± ${report.percent(deviation, 2)}`}`));
    const known = lines.filter((one) => one.deviation !== null);
    const noise = known.length ? Math.sqrt(known.reduce((sum, one) => sum + (one.members.length - 1) * one.deviation ** 2, 0) / known.reduce((sum, one) => sum + one.members.length - 1, 0)) : null;
    return [report.el("p", { class: "lead" }, noise === null ? "No two runs differ in the seed only: how much seeds vary is not known."
      : [report.el("b", {}, `Seeds vary by ± ${report.percent(noise, 2)} points`), ` (standard deviation of the ${rate}); models differ by up to ${report.percent(lines[lines.length - 1].mean - lines[0].mean, 2)} points.`]),
    report.wide("Seeds", report.more(lines, row, ["model", "#runs", "seeds", `#${rate} %, mean ± standard deviation`], "Seeds"))];
  }

  function table(rows, keys, rate) {
    const setting = (key) => ({ key, title: key.split(".").pop(), hint: key, width: 4, numeric: rows.every((row) => numberOf(row, key) !== null), value: (row) => row.run.settings[key] === null ? null : numberOf(row, key) ?? valueOf(row, key), cell: (row) => short(valueOf(row, key)) });
    const grid = report.table({
      label: "Runs and their settings", rows, sort: ["rate", false], open, columns: [
        { key: "name", title: "Run", width: 12, grow: 1, value: (row) => report.evaluationName(row.result), cell: (row) => report.el("a", { href: report.addressOf(row.result, "errors") }, report.evaluationName(row.result)) },
        { key: "rate", title: `${rate} %`, width: 4, numeric: true, value: (row) => report.rate(row.result), cell: (row) => report.percent(report.rate(row.result), 2) },
        ...keys.map(setting)],
    });
    return [grid, grid.exporter];
  }
})();
