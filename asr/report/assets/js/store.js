"use strict";
// The data: scripts that pass a value to the page. A page opened from disk may load scripts, but cannot fetch files.

report.views = new Map();
report.chosen = new Set();

// A view of the page: render(parameters) returns its elements. Views without a title are not in the navigation.
report.view = (name, title, render) => report.views.set(name, { name, title, render, belongs: title ? name : "errors" });

(function () {
  const values = new Map();
  const loading = new Map();

  report.receive = (name, value) => values.set(name, value);

  // A promise of the value of data/NAME.js.
  report.load = function (name) {
    if (!loading.has(name)) {
      loading.set(name, new Promise((resolve, reject) => {
        const fresh = report.generation ? `?${report.generation}` : "";
        const script = report.el("script", { src: `data/${encodeURIComponent(name)}.js${fresh}`, charset: "utf-8" });
        script.onload = () => { script.remove(); resolve(values.get(name)); };
        script.onerror = () => { loading.delete(name); script.remove(); reject(new Error(`data/${name}.js is missing: build the report again.`)); };
        document.head.append(script);
      }));
    }
    return loading.get(name);
  };

  report.forget = function (generation) {
    report.generation = generation;
    loading.clear();
    values.clear();
    analysed.clear();
  };

  const analysed = new Map();

  // The rows of an evaluation: each utterance with all data of tables and filters.
  report.utterances = async function (evaluation) {
    if (analysed.has(evaluation.file)) return analysed.get(evaluation.file);
    const [split, result] = await Promise.all([report.load(evaluation.utterances_file), report.load(evaluation.file)]);
    const pictured = new Set(result.pictured), fields = Object.entries(split.fields || {});
    const rows = split.id.map((id, place) => {
      const reference = split.reference[place];
      const hypothesis = result.hypothesis[place] ?? reference;
      const steps = result.steps[place];
      const count = { "=": 0, S: 0, D: 0, I: 0 };
      for (const step of steps) count[step] += 1;
      const { unit } = evaluation;
      const size = steps ? count["="] + count.S + count.D : report.items(reference, unit).length;
      const errors = count.S + count.D + count.I;
      return {
        place, id, reference, hypothesis, steps, unit, size, errors, count,
        speaker: split.speaker[place], seconds: split.seconds[place], level: split.level[place], audio: split.audio[place],
        format: split.format[id], speed: size / split.seconds[place], [report.rateKey(unit)]: errors / size,
        confidence: (result.confidence || [])[place], loss: (result.loss || [])[place],
        fields: Object.fromEntries(fields.map(([name, values]) => [name, values[place]])),
        character_errors: result.character_errors[place], pictured: pictured.has(place),
        haystack: `${id}\n${split.speaker[place]}\n${reference}\n${hypothesis}`.toLowerCase(),
      };
    });
    analysed.set(evaluation.file, rows);
    return rows;
  };

  report.runOf = (evaluation) => report.data.runs[evaluation.run];

  report.findEvaluation = function (parameters) {
    const wanted = report.data.evaluations.filter((one) => report.runOf(one).name === parameters.get("run")
      && one.split === parameters.get("split") && (one.decoder === parameters.get("decoder") || !parameters.get("decoder")));
    return wanted[0] || null;
  };

  report.parametersOf = (evaluation) => ({ run: report.runOf(evaluation).name, split: evaluation.split, decoder: evaluation.decoder });
  report.addressOf = (evaluation, view, extra) => "#" + view + "?" + new URLSearchParams({ ...report.parametersOf(evaluation), ...extra });

  // The evaluated splits, test first.
  report.splits = () => [...new Set(report.data.evaluations.map((one) => one.split))].sort((a, b) => (b === "test") - (a === "test") || a.localeCompare(b));
})();
