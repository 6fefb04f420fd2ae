"use strict";
// What is chosen for a comparison: runs with their decoders, by the names that all views give them.

(function () {
  const LISTED = 30;

  // Everything that can be chosen: {name, number (of the run), decoder}, a run once for each of its decoders.
  const known = new WeakMap();
  function facts() {
    const { data } = report;
    if (!known.has(data)) {
      const several = new Set(data.evaluations.map((one) => one.decoder)).size > 1;
      const decoders = data.runs.map(() => new Set());
      for (const one of data.evaluations) decoders[one.run].add(one.decoder);
      const named = (number, decoder) => (several && decoder ? `${data.runs[number].name} ${decoder}` : data.runs[number].name);
      const entries = data.runs.flatMap((_, number) => [...decoders[number].size ? decoders[number] : [null]].map((decoder) => ({ name: named(number, decoder), number, decoder })));
      known.set(data, { several, named, entries });
    }
    return known.get(data);
  }

  report.entries = () => facts().entries;
  report.hasDecoders = () => facts().several;
  report.evaluationName = (evaluation) => facts().named(evaluation.run, evaluation.decoder);
  report.entryName = (number, decoder) => facts().named(number, decoder);

  // The chosen names: those of the address, or where it has none those of the view before, which it then gets.
  report.recallChosen = function () {
    const given = report.getAll("run");
    if (given.length) report.chosen = new Set(given);
    else report.set({ run: [...report.chosen] });
  };

  report.choose = function (name, on) {
    if (on) report.chosen.add(name); else report.chosen.delete(name);
    report.set({ run: [...report.chosen] });
  };

  // Boxes for what can be chosen, the chosen first; of many the others are found by a part of their names.
  // options: [{name, number}], chosen: a set of names, onchange(name, on)
  report.picker = function (label, options, chosen, onchange) {
    const boxes = report.el("div", { class: "chips", role: "group", "aria-label": label, tabindex: "0" });
    const rest = report.el("span", { class: "note", role: "status" });
    const many = options.length > LISTED;
    let text = "";
    function draw() {
      const found = many ? options.filter((one) => chosen.has(one.name) || one.name.toLowerCase().includes(text)) : options;
      const sorted = many ? [...found.filter((one) => chosen.has(one.name)), ...found.filter((one) => !chosen.has(one.name))] : found;
      const shown = sorted.slice(0, Math.max(LISTED, chosen.size + LISTED / 2));
      rest.textContent = sorted.length > shown.length ? `${report.number(sorted.length - shown.length)} more: type a part of a name to find them.` : "";
      boxes.replaceChildren(...shown.map((one) => report.el("label", { class: "chip" }, report.el("input", {
        type: "checkbox", checked: chosen.has(one.name), onchange: (event) => onchange(one.name, event.target.checked),
      }), report.swatch(one.number), one.name)));
    }
    draw();
    if (!many) return boxes;
    const field = report.el("label", { class: "field search" }, report.el("span", {}, "Find"), report.el("input", {
      type: "search", placeholder: "a part of a name", oninput: (event) => { text = event.target.value.toLowerCase(); draw(); },
    }));
    return report.el("div", {}, report.el("div", { class: "controls" }, field, rest), boxes);
  };
})();
