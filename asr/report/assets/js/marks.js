"use strict";
// Marks: references that are wrong, by those who listened. They stay in this browser until they are saved as
// marks.jsonl, which `asr check RECIPE check.fix=true` and `asr prepare` read.

(function () {
  const key = (recipe) => `asr-marks ${recipe}`;

  function read(recipe) {
    try {
      return JSON.parse(localStorage.getItem(key(recipe))) || {};
    } catch {
      return {};
    }
  }

  function write(recipe, id, mark) {
    const marks = read(recipe);
    if (mark) marks[id] = mark; else delete marks[id];
    localStorage.setItem(key(recipe), JSON.stringify(marks));
    for (const status of document.querySelectorAll("[data-marks]")) if (status.dataset.marks === recipe) status.replaceWith(report.marksStatus(recipe));
  }

  // Controls that mark an utterance: leave it out, or another transcript.
  report.marking = function (recipe, id, reference) {
    const place = report.el("span", { class: "marking controls", role: "group", "aria-label": `Mark ${id}` });
    const draw = () => {
      const mark = read(recipe)[id] || {};
      const text = report.el("input", { type: "text", value: mark.text ?? reference, "aria-label": `Transcript of ${id}`, dir: "auto", onchange: () => {
        const typed = text.value.trim();
        write(recipe, id, typed && typed !== reference ? { text: typed } : null);
        draw();
      } });
      place.replaceChildren(text,
        report.el("button", { type: "button", "aria-pressed": String(Boolean(mark.drop)), onclick: () => { write(recipe, id, mark.drop ? null : { drop: true }); draw(); } }, "leave out"),
        report.el("span", { class: "note", role: "status" }, mark.drop ? "marked: leave out" : mark.text ? "marked: another transcript" : ""));
    };
    draw();
    return place;
  };

  // How many utterances of a recipe are marked, and a button that saves the file.
  report.marksStatus = function (recipe) {
    const marks = Object.entries(read(recipe));
    const save = () => {
      const lines = marks.map(([id, mark]) => JSON.stringify({ id, ...mark }) + "\n").join("");
      report.download("marks.jsonl", "application/jsonl", lines);
    };
    return report.el("p", { class: "note", "data-marks": recipe }, marks.length
      ? [`${report.count(marks.length, "utterance")} of ${recipe} marked in this browser. `, report.el("button", { type: "button", onclick: save }, "Save marks.jsonl"),
        " Put it beside the manifests or into the folder of the recipe: ", report.el("code", {}, `asr check ${recipe} check.fix=true`), " does what it says."]
      : "No utterance is marked. Listen, correct the transcript or choose “leave out”, then save marks.jsonl.");
  };

  // The utterances that a model finds suspicious, with their audio.
  report.suspicious = function (corpus) {
    const columns = [
      { key: "score", title: "Score", hint: "0 fits as usual in its split, 1 no better than transcripts of other utterances", width: 4, numeric: true, value: (row) => row.score, cell: (row) => row.score.toFixed(2) },
      { key: "split", title: "Split", width: 3.5, value: (row) => row.split, cell: (row) => row.split },
      { key: "id", title: "Utterance", width: 9, grow: 1, value: (row) => row.id, cell: (row) => report.text(row.id) },
      { key: "hypothesis", title: "Recognized", width: 10, grow: 2, value: (row) => row.hypothesis, cell: (row) => report.text(row.hypothesis || "∅") },
      { key: "audio", title: "Audio", width: 5, cell: (row) => (row.audio ? play(row) : "–") },
      { key: "mark", title: "Transcript, and what to do", width: 24, grow: 3, cell: (row) => report.marking(corpus.name, row.id, row.text) },
    ];
    return report.el("div", {}, report.marksStatus(corpus.name), report.table({ label: "Suspicious transcripts", columns, rows: corpus.suspicious, sort: ["score", true], rowHeight: 40 }));
  };

  let player = null;
  const play = (row) => report.el("button", { type: "button", "aria-label": `Play ${row.id}`, onclick: () => {
    if (player) player.pause();
    player = new Audio(row.audio);
    report.play(player);
  } }, "▶ play");
})();
