"use strict";
// The state of a view is in its address, #VIEW?NAME=VALUE: what is chosen, filtered, sorted and searched. So Back, a
// reload and a link that was sent show the same. Where the page was scrolled to is in the history of the browser.

(function () {
  const SETTLE_MILLISECONDS = 150, PATIENCE_MILLISECONDS = 3000;

  // The view of an address and the parameters of its state.
  report.here = function () {
    const hash = location.hash.slice(1), mark = hash.indexOf("?");
    return mark < 0 ? [hash || "runs", new URLSearchParams()] : [hash.slice(0, mark), new URLSearchParams(hash.slice(mark + 1))];
  };

  // A value of the state, and all values of one that is a list.
  report.get = (name, fallback = null) => report.here()[1].get(name) ?? fallback;
  report.getAll = (name) => report.here()[1].getAll(name);

  function changed(parameters, changes) {
    for (const [name, value] of Object.entries(changes)) {
      parameters.delete(name);
      for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined && one !== "") parameters.append(name, one);
    }
    return parameters;
  }

  const address = (view, parameters) => `#${view}${parameters.size ? "?" + parameters : ""}`;

  // Changes values of the state in place: the view redraws itself. Null, "" and [] remove one, as a default should be.
  report.set = function (changes) {
    const [view, parameters] = report.here();
    history.replaceState(history.state, "", address(view, changed(parameters, changes)));
  };

  // Goes to a view. Within the same one the rest of its state stays.
  report.go = function (view, changes) {
    const [current, parameters] = report.here();
    location.hash = address(view, changed(view === current ? parameters : new URLSearchParams(), changes || {}));
  };

  let timer = null, until = 0;

  function keep() {
    clearTimeout(timer);
    timer = null;
    const tables = Object.fromEntries([...document.querySelectorAll(".table")].map((table) => [table.getAttribute("aria-label"), table.scrollTop]));
    history.replaceState({ scroll: window.scrollY, tables }, "");
  }

  const flush = () => { if (timer !== null) keep(); };

  // Scrolls to where the page was, as soon as what is drawn later lets it be as long.
  report.restore = function ({ scroll = 0, tables = {} }) {
    until = performance.now() + PATIENCE_MILLISECONDS;
    const step = () => {
      if (performance.now() > until) return;
      window.scrollTo(0, scroll);
      let reached = Math.abs(window.scrollY - scroll) < 2;
      for (const table of document.querySelectorAll(".table")) {
        const wanted = tables[table.getAttribute("aria-label")] || 0;
        if (wanted && table.scrollTop !== wanted) table.scrollTop = wanted;
      }
      reached &&= Object.keys(tables).every((label) => !tables[label] || [...document.querySelectorAll(".table")].some((table) => table.getAttribute("aria-label") === label));
      if (reached) until = 0; else requestAnimationFrame(step);
    };
    step();
  };

  report.keepScroll = function () {
    history.scrollRestoration = "manual";
    addEventListener("scroll", () => { if (performance.now() > until) timer ??= setTimeout(keep, SETTLE_MILLISECONDS); }, { capture: true, passive: true });
    for (const name of ["click", "keydown", "pagehide"]) addEventListener(name, flush, true);
    for (const name of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(name, () => { until = 0; }, { capture: true, passive: true });
    addEventListener("popstate", () => { clearTimeout(timer); timer = null; });
  };
  report.scrolled = flush;
})();
