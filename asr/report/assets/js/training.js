"use strict";
// Training diagnostics and learning curves.

(function () {
  const KNOWN = {
    "train/loss": { title: "Training loss", hint: "CTC loss per label" },
    "dev/wer": { title: "Dev WER", unit: "%", scale: 100 },
    "dev/cer": { title: "Dev CER", unit: "%", scale: 100 },
    "dev/loss": { title: "Dev loss", hint: "CTC loss per token" },
    "dev/blank_share": { title: "Dev blank share", unit: "%", scale: 100, hint: "frames whose best token is the blank" },
    "dev/empty_share": { title: "Dev empty hypotheses", unit: "%", scale: 100, fromZero: true, hint: "utterances with an empty hypothesis" },
    "train/gradient_norm": { title: "Gradient norm", hint: "before clipping" },
    "train/update_ratio": { title: "Update ratio", hint: "step norm over weight norm" },
    "train/learning_rate": { title: "Learning rate", plain: true },
    "time/data_wait_share": { title: "Waiting for data", unit: "% of the time", scale: 100, fromZero: true },
    "time/step_seconds": { title: "Step time", unit: "s", fromZero: true },
    "time/audio_hours_per_hour": { title: "Training speed", unit: "x real time", fromZero: true },
    "time/validation_seconds": { title: "Validation time", unit: "s", fromZero: true },
    "system/peak_memory_mb": { title: "Peak memory", unit: "MB", fromZero: true },
    "data/padding_share": { title: "Padding", unit: "% of frames", scale: 100, fromZero: true },
  };
  const AXES = ["step", "epoch", "seconds"];
  // Related metrics: one chart for a single run, one chart each for several runs.
  const families = (errors) => [
    { title: "Dev WER with 95 % interval", names: /^dev\/wer(_low|_high)?$/, label: (name) => ({ "dev/wer": "WER", "dev/wer_low": "95 % interval, low", "dev/wer_high": "95 % interval, high" })[name], unit: "%", scale: 100, still: true },
    { title: "Dev CER with 95 % interval", names: /^dev\/cer(_low|_high)?$/, label: (name) => ({ "dev/cer": "CER", "dev/cer_low": "95 % interval, low", "dev/cer_high": "95 % interval, high" })[name], unit: "%", scale: 100, still: true },
    { title: "Dev errors", names: /^dev\/(substitutions|deletions|insertions)$/, label: (name) => name.slice(4), unit: errors, fromZero: true, still: true },
    { title: "Gradient norm by layer", names: /^train\/gradient_norm_/, label: (name) => layer(name, "train/gradient_norm_"), hint: "before clipping" },
    { title: "Update ratio by layer", names: /^train\/update_ratio_/, label: (name) => layer(name, "train/update_ratio_"), hint: "step norm over weight norm" },
    { title: "Step time breakdown", names: /^time\/.*_share$/, label: (name) => PARTS[name] || name.slice(5, -6), unit: "% of the time", scale: 100, fromZero: true },
  ];
  const layer = (name, prefix) => name.slice(prefix.length).replaceAll("_", " ");
  const PARTS = { "time/data_wait_share": "waiting for data", "time/compute_share": "forward and backward", "time/update_share": "clipping and optimizer", "time/ranks_wait_share": "waiting for other ranks" };

  report.view("training", "Training", async function (parameters) {
    const { runs } = report.data, options = runs.map((run, number) => ({ name: run.name, number }));
    const wanted = new Set(parameters.getAll("run")), before = new Set(report.entries().filter((one) => report.chosen.has(one.name)).map((one) => runs[one.number].name));
    const first = wanted.size ? wanted : before.size ? before : new Set(runs.slice(0, 8).map((run) => run.name));
    const chosen = new Set(options.filter((one) => first.has(one.name)).map((one) => one.name));
    if (!wanted.size) report.set({ run: [...chosen] });
    const place = report.el("div", {}), state = report.curveState();
    const redraw = async () => place.replaceChildren(...await content(options.filter((one) => chosen.has(one.name)).map((one) => one.number), state));
    const slider = report.el("label", { class: "field" }, report.el("span", {}, "Smoothing"), report.el("input", {
      type: "range", min: "0", max: "0.98", step: "0.02", value: state.smoothing, id: "smoothing",
      oninput: (event) => { state.smoothing = Number(event.target.value); redraw(); },
      onchange: () => report.set({ smoothing: state.smoothing }),
    }));
    const picker = report.picker("Runs shown", options, chosen, (name, on) => {
      if (on) chosen.add(name); else chosen.delete(name);
      report.set({ run: [...chosen] });
      redraw();
    });
    await redraw();
    return [report.section("Runs shown", picker, report.el("div", { class: "controls" }, report.curveChoices(state, redraw), slider)), place];
  });

  async function content(numbers, state) {
    if (!numbers.length) return [report.el("p", { class: "note" }, "Choose a run.")];
    const runs = report.data.runs;
    const loaded = await Promise.all(numbers.map((number) => report.load(runs[number].file)));
    const metrics = [...new Set(loaded.flatMap((rows) => Object.keys(rows)))].filter((name) => !AXES.includes(name));
    const known = Object.keys(KNOWN).filter((name) => metrics.includes(name));
    const chart = (name) => {
      const { plain, ...options } = KNOWN[name] || { title: name };
      const lines = loaded.map((rows, index) => ({ name: runs[numbers[index]].name, number: numbers[index], ...report.points_of(rows, name, state.axis) }));
      return report.chart(lines, { ...state, smoothing: plain || name.startsWith("dev/") ? 0 : state.smoothing, ...options });
    };
    const errors = [...new Set(numbers.map((number) => `${runs[number].unit}s`))].join(" or ");
    const related = families(errors).map((one) => ({ ...one, members: metrics.filter((name) => one.names.test(name)) })).filter((one) => one.members.length > 1);
    const inFamily = new Set(related.flatMap((one) => one.members));
    const family = ({ members, label, still, ...options }) => {
      const lines = numbers.length > 1 ? [] : members.map((name, index) => ({ name: label(name), number: index, ...report.points_of(loaded[0], name, state.axis) }));
      return report.chart(lines, { ...state, by: "", smoothing: still ? 0 : state.smoothing, ...options });
    };
    const separate = (one) => one.members.filter((name) => !known.includes(name)).map((name) => {
      const lines = loaded.map((rows, index) => ({ name: runs[numbers[index]].name, number: numbers[index], ...report.points_of(rows, name, state.axis) }));
      return report.chart(lines, { ...state, smoothing: one.still ? 0 : state.smoothing, unit: one.unit, scale: one.scale, hint: one.hint, fromZero: one.fromZero, title: `${one.title}: ${one.label(name)}` });
    });
    const others = metrics.filter((name) => !known.includes(name) && !inFamily.has(name));
    const panels = await Promise.all(numbers.map((number) => (runs[number].panel ? report.load(runs[number].panel) : null)));
    return [
      report.section("Training diagnostics", numbers.map((number) => diagnostics(runs[number], number, numbers.length > 1))),
      report.section("Step time breakdown", numbers.map((number, index) => timeSplit(runs[number], number, loaded[index]))),
      known.length ? report.section("Curves", report.el("p", { class: "note" }, "Drag across a curve to zoom in, double-click to zoom out."), report.el("div", { class: "charts" }, known.map(chart))) : null,
      related.length ? report.section("Layers, errors and time", report.el("div", { class: "charts" }, numbers.length > 1 ? related.flatMap(separate) : related.map(family))) : null,
      report.panel(numbers.map((number, index) => ({ run: runs[number], number, rows: panels[index] }))),
      others.length ? report.section("Other metrics", report.el("div", { class: "charts" }, others.map(chart))) : null,
    ].filter(Boolean);
  }

  function diagnostics(run, number, named) {
    const blank = report.data.evaluations.filter((one) => one.run === number && one.blank_share !== null && one.blank_share !== undefined);
    return report.el("div", { class: "diagnostics" },
      named ? report.el("h3", {}, report.swatch(number), run.name) : null,
      run.diagnostics.length
        ? report.el("ul", { class: "sentences" }, run.diagnostics.map((one) => report.el("li", { class: one.severity, "data-kind": one.kind },
          report.el("b", { class: "sign" }, one.severity === "problem" ? "✖ problem: " : "▲ notice: "), one.sentence)))
        : report.el("p", {}, report.el("b", { class: "good" }, "✓ "), run.step ? `No problems found. Checked for: ${report.data.checks}.` : "Nothing has been logged yet."),
      report.noteField("runs", run.key, `Note on ${run.name}`),
      blank.length ? report.el("p", { class: "note" }, `Blank share of the best model in pictured utterances: ${[...new Map(blank.map((one) => [one.split, one])).values()].map((one) => `${one.split} ${report.percent(one.blank_share, 0)} %`).join(", ")}.`) : null);
  }

  // All metrics that are a share of the time; the rest is computing.
  function timeSplit(run, number, rows) {
    const names = Object.keys(rows).filter((name) => name.startsWith("time/") && name.endsWith("_share"));
    if (!names.length) return report.el("p", { class: "note" }, `${run.name}: its step time was not logged.`);
    const mean = (values) => { const known = values.filter((value) => value !== null); return known.reduce((sum, value) => sum + value, 0) / (known.length || 1); };
    // A colour stands for the same part in every run.
    const shares = names.map((name) => [PARTS[name] || name.slice(5, -6).replaceAll("_", " "), mean(rows[name]), Object.keys(PARTS).indexOf(name)])
      .map(([name, share, place]) => [name, share, place < 0 ? "more" : place]).filter(([, share]) => share >= 0.005);
    const rest = 1 - shares.reduce((sum, [, share]) => sum + share, 0);
    if (rest > 0.001) shares.push(names.length > 1 ? ["other", rest, "other"] : ["computing", rest, 1]);
    const speed = mean(rows["time/audio_hours_per_hour"] || []);
    const said = (name, share) => `${name} ${report.percent(share, 0)} %`;
    const words = shares.map(([name, share]) => said(name, share)).join(", ");
    return report.el("div", { class: "split" }, report.el("span", { class: "split-name" }, report.swatch(number), run.name),
      report.el("span", { class: "bar", role: "img", "aria-label": words }, shares.map(([name, share, part]) => report.el("span", { class: `part part-${part}`, style: { width: `${100 * share}%` }, title: name }))),
      report.el("span", {}, shares.map(([name, share, part], index) => [index ? ", " : "", report.el("span", { class: `key part-${part}`, "aria-hidden": "true" }), said(name, share)]), speed ? `; ${report.number(Math.round(speed))}x real time` : ""));
  }
})();
