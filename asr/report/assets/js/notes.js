"use strict";
// Notes on runs and utterances. Served by `asr report --serve` they are saved in the folder of the page; opened from disk
// they are kept by the browser, downloaded as notes.json, and loaded from such a file.

(function () {
  const KINDS = ["runs", "utterances"];
  const fresh = () => Object.fromEntries(KINDS.map((kind) => [kind, {}]));
  const served = () => report.data.live && location.protocol.startsWith("http");
  const place = () => `asr-notes ${location.pathname}`;
  let kept = fresh(), own = fresh();

  report.loadNotes = async function () {
    try { kept = { ...fresh(), ...await report.load("notes") }; } catch { kept = fresh(); }
    try { own = { ...fresh(), ...JSON.parse(localStorage.getItem(place()) || "{}") }; } catch { own = fresh(); }
    if (served()) own = fresh();
  };

  report.runKey = (run) => run.key;
  report.utteranceKey = (evaluation, id) => `${evaluation.recipe}/${evaluation.split}/${id}`;
  report.noteOf = (kind, key) => own[kind][key] ?? kept[kind][key] ?? "";
  const all = () => Object.fromEntries(KINDS.map((kind) => [kind, Object.fromEntries(Object.entries({ ...kept[kind], ...own[kind] }).filter(([, text]) => text))]));
  report.hasNotes = (kind) => Object.keys(all()[kind]).length > 0;

  async function save(kind, key, text) {
    own[kind][key] = text;
    if (!served()) {
      localStorage.setItem(place(), JSON.stringify(own));
      return "Kept in this browser; download the notes on the view Runs to send them on.";
    }
    const answer = await fetch("notes", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind, key, text }) });
    if (!answer.ok) throw new Error(`The note was not saved: ${(await answer.text()).trim() || answer.statusText}`);
    return "Saved in the folder of the page.";
  }

  // A field for a note.
  report.noteField = function (kind, key, label) {
    const said = report.el("span", { class: "note", role: "status" });
    const field = report.el("textarea", {
      rows: 2, value: report.noteOf(kind, key), "aria-label": label, placeholder: "a note",
      onchange: async (event) => {
        try { said.textContent = await save(kind, key, event.target.value.trim()); } catch (error) { said.textContent = `▲ ${error.message}`; }
      },
    });
    return report.el("div", { class: "note-field" }, field, said);
  };

  function load(text) {
    const read = JSON.parse(text);
    const found = KINDS.flatMap((kind) => Object.entries(read[kind] || {}).map(([key, note]) => [kind, key, note]));
    if (!found.length || found.some(([, , note]) => typeof note !== "string")) throw new Error("This file has no notes: choose a notes.json of such a page.");
    return Promise.all(found.map((one) => save(...one)));
  }

  // How many notes there are, and files of them.
  report.notesSection = function () {
    const said = report.el("p", { class: "note", role: "status" });
    const notes = all(), count = (kind) => Object.keys(notes[kind]).length;
    const file = report.el("input", {
      type: "file", accept: ".json", "aria-label": "Load notes",
      onchange: async (event) => {
        try { const loaded = await load(await event.target.files[0].text()); said.textContent = `${report.count(loaded.length, "note")} loaded.`; } catch (error) { said.textContent = `▲ ${error.message}`; }
      },
    });
    return report.section("Notes", report.el("p", {}, `${report.count(count("runs"), "note")} on runs (write them on the view Training) and ${report.number(count("utterances"))} on utterances.`),
      report.el("div", { class: "controls" }, report.el("button", { type: "button", onclick: () => report.download("notes.json", "application/json", JSON.stringify(all(), null, 1)) }, "Download notes"),
        report.el("label", { class: "field" }, report.el("span", {}, "Load notes"), file)),
      report.el("p", { class: "note" }, served() ? "They are saved as notes.json in the folder of the page." : "A notes.json in the folder of this page becomes a part of it when `asr report` is run again."), said);
  };
})();
