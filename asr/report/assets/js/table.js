"use strict";
// A table of any length: only visible rows are rendered. Sorted by its headings, navigated by the arrow keys.

(function () {
  const SPARE = 8;
  const PRINTED = 500;
  const GAP = 0.8;
  const MEASURED = 60;

  // The text of a cell: a text or an element.
  report.textOf = (cell) => (cell instanceof Node ? cell.textContent : String(cell ?? ""));

  // The width of a text in rem.
  const pen = document.createElement("canvas").getContext("2d");
  function widthOf(text, bold) {
    const { fontFamily, fontSize } = getComputedStyle(document.body);
    pen.font = `${bold ? "600 " : ""}${fontSize} ${fontFamily}`;
    return pen.measureText(text).width / parseFloat(getComputedStyle(document.documentElement).fontSize) + 0.2;
  }
  const COLLATOR = new Intl.Collator("en", { numeric: true });

  // [key, descending] of "-KEY" or "KEY", null where no column that sorts has it.
  function sortOf(text, columns) {
    const key = (text || "").replace(/^-/, "");
    return columns.some((column) => column.key === key && column.value) ? [key, text.startsWith("-")] : null;
  }

  // Sort keys as numbers: comparing thousands of texts is slow, so it is done once.
  function placesOf(rows, column) {
    const known = rows.map((row) => [row, column.value(row)]).filter(([, value]) => value !== null && value !== undefined && !Number.isNaN(value));
    if (known.some(([, value]) => typeof value === "string")) {
      const texts = [...new Set(known.map(([, value]) => value))].sort(COLLATOR.compare);
      const place = new Map(texts.map((text, number) => [text, number]));
      for (const entry of known) entry[1] = place.get(entry[1]);
    }
    return new Map(known);
  }

  function inOrder(rows, places, descending) {
    const empty = (place) => place === undefined;
    return rows.slice().sort((left, right) => {
      const a = places.get(left), b = places.get(right);
      if (empty(a) || empty(b)) return empty(a) - empty(b);
      return descending ? b - a : a - b;
    });
  }

  // Rows as a table would sort them: by "-KEY" or "KEY" of an address, or as it does without.
  report.inOrder = function (rows, columns, text, usual) {
    const [key, descending] = sortOf(text, columns) || usual;
    return inOrder(rows, placesOf(rows, columns.find((column) => column.key === key)), descending);
  };

  // columns: {export (instead of what it shows: [title, text(row)] of one or more), key, title, hint, width (rem, at least), grow (share of the rest), numeric, value(row) to sort by, cell(row) to show}
  // options: {label, columns, rows, all (every row that may be shown), sort: [key, descending], open(row), rowHeight, height, arranged(rows)}
  // What it is sorted by is "sort" in the state of the view, with a "-" where that is descending.
  report.table = function (options) {
    const columns = options.columns;
    const rowHeight = options.rowHeight || 30;
    // Wide enough for the heading with its arrow, and for what stands in the first rows.
    const leastOf = (column) => (column.grow ? column.width * (innerWidth < 500 ? 0.85 : 1) : Math.max(column.width, widthOf(column.title, true) + (column.value ? 1.4 : 0),
      ...options.rows.slice(0, MEASURED).map((row) => widthOf(report.textOf(column.cell(row))))));
    const leasts = new Map(columns.map((column) => [column, leastOf(column)]));
    const widths = columns.map((column) => (column.grow ? `minmax(${leasts.get(column)}rem, ${column.grow}fr)` : `${leasts.get(column)}rem`)).join(" ");
    const least = `${columns.reduce((sum, column) => sum + leasts.get(column) + GAP, 1)}rem`;
    let rows = options.rows, shown = [], active = -1;
    const [usualKey, usualDescending] = options.sort || [null, false];
    let [key, descending] = sortOf(report.get("sort"), columns) || [usualKey, usualDescending];

    const head = report.el("div", { class: "row head", role: "row", style: { gridTemplateColumns: widths, minWidth: least } }, columns.map((column) =>
      report.el("div", { role: "columnheader", class: column.numeric ? "numeric" : null, "data-key": column.key },
        column.value
          ? report.el("button", { type: "button", title: column.hint, onclick: () => sortBy(column) }, column.title, report.el("span", { class: "arrow", "aria-hidden": "true" }))
          : column.title)));
    const window_ = report.el("div", { class: "rows", role: "rowgroup" });
    const body = report.el("div", { class: "body", style: { minWidth: least } }, window_);
    const scroller = report.el("div", {
      class: "table", role: "grid", tabindex: "0", "aria-label": options.label, style: { maxHeight: options.height || "60vh" },
      onscroll: () => draw(), onkeydown,
    }, head, body);

    function sortBy(column) {
      descending = key === column.key ? !descending : Boolean(column.numeric);
      key = column.key;
      report.set({ sort: key === usualKey && descending === usualDescending ? null : (descending ? "-" : "") + key });
      arrange();
    }

    const known = new Map();
    function placesBy(column) {
      if (!known.has(column.key)) known.set(column.key, placesOf(options.all || rows, column));
      return known.get(column.key);
    }

    // All rows are sorted once, of which a search only leaves some out.
    const orders = new Map();
    function sortedBy(column) {
      if (!options.all) return inOrder(rows, placesBy(column), descending);
      const name = `${descending} ${column.key}`, some = new Set(rows);
      if (!orders.has(name)) orders.set(name, inOrder(options.all, placesBy(column), descending));
      return orders.get(name).filter((row) => some.has(row));
    }

    function arrange() {
      const column = columns.find((one) => one.key === key);
      shown = column ? sortedBy(column) : rows.slice();
      for (const cell of head.children) {
        const mine = cell.dataset.key === key;
        cell.setAttribute("aria-sort", mine ? (descending ? "descending" : "ascending") : "none");
        const arrow = cell.querySelector(".arrow");
        if (arrow) arrow.textContent = mine ? (descending ? " ▼" : " ▲") : "";
      }
      active = Math.min(active, shown.length - 1);
      scroller.setAttribute("aria-rowcount", shown.length + 1);
      body.style.height = `${shown.length * rowHeight}px`;
      draw(true);
      if (options.arranged) options.arranged(shown);
    }

    let first = -1, last = -1, onPaper = false;
    function draw(force) {
      if (onPaper) return;
      const height = scroller.clientHeight || 600;
      const from = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - SPARE);
      const to = Math.min(shown.length, Math.ceil((scroller.scrollTop + height) / rowHeight) + SPARE);
      if (!force && from === first && to === last) return;
      [first, last] = [from, to];
      window_.style.transform = `translateY(${from * rowHeight}px)`;
      window_.replaceChildren(...shown.slice(from, to).map((row, offset) => drawRow(row, from + offset)));
    }

    function drawRow(row, number) {
      return report.el("div", {
        class: "row" + (number === active ? " active" : ""), role: "row",
        id: number === active ? scroller.id + "-active" : null, "aria-rowindex": number + 2, "aria-selected": String(number === active),
        style: { gridTemplateColumns: widths, height: `${rowHeight}px` },
        onclick: (event) => { if (!event.target.closest("a, button, input, audio")) { active = number; draw(true); if (options.open) options.open(row); } },
      }, columns.map((column) => report.el("div", { role: "gridcell", class: column.numeric ? "numeric" : null }, column.cell(row))));
    }

    function onkeydown(event) {
      if (event.target !== scroller) return;
      const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
      const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length };
      if (event.key in moves) {
        event.preventDefault();
        active = Math.max(0, Math.min(shown.length - 1, active + moves[event.key]));
        reveal();
      } else if (event.key === "Enter" && active >= 0 && options.open) {
        event.preventDefault();
        options.open(shown[active]);
      }
    }

    function reveal() {
      const top = active * rowHeight, margin = head.offsetHeight;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top + rowHeight + margin > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + rowHeight + margin - scroller.clientHeight;
      draw(true);
      scroller.setAttribute("aria-activedescendant", scroller.id + "-active");
    }

    scroller.id = "table-" + (report.tableCount = (report.tableCount || 0) + 1);
    // Paper does not scroll: all of the first rows are rendered.
    scroller.printed = function () {
      onPaper = true;
      scroller.style.maxHeight = "none";
      // A plain table fits itself to the width of the paper.
      const of = columns.filter((column) => column.title);
      scroller.replaceChildren(report.el("table", { class: "plain on-paper" },
        report.el("thead", {}, report.el("tr", {}, of.map((column) => report.el("th", { scope: "col", class: column.numeric ? "numeric" : null }, column.title)))),
        report.el("tbody", {}, shown.slice(0, PRINTED).map((row) => report.el("tr", {}, of.map((column) => report.el("td", { class: column.numeric ? "numeric" : null }, column.cell(row))))))),
      shown.length > PRINTED ? report.el("p", { class: "note" }, `The first ${PRINTED} of ${shown.length} rows.`) : "");
    };
    scroller.update = function (next) { rows = next; scroller.scrollTop = 0; active = -1; arrange(); };
    const exported = columns.filter((column) => column.title).flatMap((column) => column.export || [[column.title, (row) => report.textOf(column.cell(row))]]);
    scroller.exporter = report.exporter(options.label, () => [exported.map(([title]) => title), ...shown.map((row) => exported.map(([, text]) => String(text(row))))]);
    arrange();
    new ResizeObserver(() => draw(true)).observe(scroller);
    return scroller;
  };
})();
