"use strict";
// The page: views by address, the theme, keyboard shortcuts, and live updates of a running training.

(function () {
  const POLL_MILLISECONDS = 3000, PAPER_WIDTH = 680;
  const THEMES = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" };

  // Shows the view of the address. Within the same view the page stays where it is, another one begins at its top, and
  // one that was shown before is where it was left.
  async function show() {
    const [name, parameters] = report.here();
    const view = report.views.get(name) || report.views.get("runs");
    const content = document.getElementById("content");
    const left = history.state || { scroll: content.dataset.view === view.name ? window.scrollY : 0 };
    for (const link of document.querySelectorAll("#views a")) {
      if (link.hash.slice(1) === view.belongs) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    const turn = (show.turn = (show.turn || 0) + 1);
    let parts;
    try {
      parts = await view.render(parameters);
    } catch (error) {
      parts = [report.el("p", { class: "note", role: "alert" }, String(error.message || error))];
    }
    if (turn !== show.turn) return;
    content.replaceChildren(...parts.flat().filter(Boolean));
    content.dataset.view = view.name;
    content.dataset.shown = turn;
    performance.mark("shown");
    report.restore(left);
  }

  function theme(chosen) {
    localStorage.setItem("asr-theme", chosen);
    const dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.getElementById("theme").textContent = THEMES[chosen];
    document.getElementById("theme").setAttribute("aria-label", `Theme: ${chosen}. Switch theme.`);
  }

  const storedTheme = () => (localStorage.getItem("asr-theme") in THEMES ? localStorage.getItem("asr-theme") : "auto");

  function nextTheme() {
    const names = Object.keys(THEMES);
    theme(names[(names.indexOf(storedTheme()) + 1) % names.length]);
    show();
  }

  function navigation() {
    const views = [...report.views.values()].filter((view) => view.title);
    document.getElementById("views").replaceChildren(...views.map((view, index) => report.el("a", { href: `#${view.name}`, title: `Key ${index + 1}` }, view.title)));
  }

  const KEYS = [["1 – 6", "switch view"], ["/", "search"], ["↑ ↓ Enter", "select and open a row of a table"], ["n p u", "next and previous utterance, all utterances"], ["space", "play or pause the audio"], ["t", "switch theme"], ["?", "show this list"], ["Esc", "leave a field or close this list"]];

  function help() {
    const dialog = document.getElementById("help");
    if (dialog.open) { dialog.close(); return; }
    dialog.replaceChildren(report.el("h2", {}, "Keyboard shortcuts"), report.el("dl", {}, KEYS.map(([key, what]) => report.el("div", {}, report.el("dt", {}, report.el("kbd", {}, key)), report.el("dd", {}, what)))),
      report.el("button", { type: "button", onclick: () => dialog.close() }, "Close"));
    dialog.showModal();
  }

  function onkey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      if (target.type !== "checkbox" && target.type !== "range") return;
    }
    const views = [...report.views.values()].filter((view) => view.title);
    const link = /^[a-z]$/.test(event.key) && document.querySelector(`a[data-key="${event.key}"]`);
    const audio = document.querySelector("audio");
    if (/^[1-9]$/.test(event.key) && views[event.key - 1]) report.go(views[event.key - 1].name);
    else if (event.key === "/" && document.querySelector("[data-search]")) document.querySelector("[data-search]").focus();
    else if (link) link.click();
    else if (event.key === " " && audio && !target.closest("button, a, audio, input")) { if (audio.paused) report.play(audio); else audio.pause(); }
    else if (event.key === "t") nextTheme();
    else if (event.key === "?") help();
    else return;
    event.preventDefault();
  }

  function describe() {
    document.getElementById("built").textContent = `· built ${report.data.built}`;
  }

  // Only for pages of `asr report --serve`: reloads what has changed and keeps the scroll position.
  async function follow() {
    const status = document.getElementById("status");
    try {
      const answer = await (await fetch("status")).json();
      status.textContent = answer.problem ? `▲ ${answer.problem}` : "● live";
      if (answer.signature !== report.data.signature) {
        report.forget(answer.signature);
        report.data = await report.load("report");
        await report.loadNotes();
        describe();
        report.scrolled();
        if (!document.querySelector("audio") && !document.activeElement.matches("input, textarea")) await show();
      }
    } catch {
      status.textContent = "▲ no answer from the server";
    }
    setTimeout(follow, POLL_MILLISECONDS);
  }

  function printing() {
    let before = null;
    addEventListener("beforeprint", () => {
      before = document.documentElement.dataset.theme;
      document.documentElement.dataset.theme = "light";
      for (const table of document.querySelectorAll(".table")) table.printed();
      for (const plot of document.querySelectorAll(".plot")) if (plot.printed) plot.printed(PAPER_WIDTH / 2 - 20);
      for (const figure of document.querySelectorAll(".forest, .picture-frame")) if (figure.printed) figure.printed(PAPER_WIDTH);
    });
    addEventListener("afterprint", () => { document.documentElement.dataset.theme = before; show(); });
  }

  async function start() {
    theme(storedTheme());
    report.data = await report.load("report");
    await report.loadNotes();
    navigation();
    describe();
    document.getElementById("theme").onclick = nextTheme;
    document.getElementById("keys").onclick = help;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { theme(storedTheme()); show(); });
    report.keepScroll();
    addEventListener("hashchange", show);
    addEventListener("keydown", onkey);
    printing();
    await show();
    if (report.data.live && location.protocol.startsWith("http")) follow();
  }

  start().catch((error) => document.getElementById("content").replaceChildren(report.el("p", { role: "alert" }, error.message)));
})();
