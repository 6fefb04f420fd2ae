"use strict";
// Every table as a file or for the clipboard: CSV, Markdown, LaTeX, and tab-separated for a spreadsheet.

(function () {
  const cells = (row) => [...row.children].flatMap((cell) => (cell.colSpan > 1 ? [] : [cell.textContent.trim()]));

  // The texts of the rows of a plain table that has headings.
  report.textsOf = (headings, rows) => [headings.map((heading) => heading.replace("#", "")), ...rows.map(cells)];

  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
  const escaped = (text) => text.replace(/[\\~^]|[&%$#_{}]/g, (one) => LATEX[one] || `\\${one}`);
  const line = (text) => text.replace(/\s+/g, " ");

  const FORMATS = {
    CSV: ["csv", "text/csv", (rows) => rows.map((row) => row.map(quoted).join(",") + "\r\n").join("")],
    Markdown: ["md", "text/markdown", ([head, ...rows]) => [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map((text) => line(text).replaceAll("|", "\\|")).join(" | ")} |\n`).join("")],
    LaTeX: ["tex", "application/x-tex", ([head, ...rows]) => `\\begin{tabular}{${"l".repeat(head.length)}}\n\\hline\n${[head, ...rows].map((row, place) => row.map((text) => escaped(line(text))).join(" & ") + " \\\\\n" + (place ? "" : "\\hline\n")).join("")}\\hline\n\\end{tabular}\n`],
  };

  report.download = function (name, type, text) {
    const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    report.el("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };

  async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = report.el("textarea", { value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    return null;
  }

  // Buttons that export a table; rows() gives the texts of its rows, the headings first. Empty columns are left out.
  report.exporter = function (label, rows) {
    const filled = () => {
      const all = rows(), kept = all[0].map((_, place) => all.some((row) => row[place]));
      return all.map((row) => row.filter((_, place) => kept[place]));
    };
    const said = report.el("span", { "aria-live": "polite", class: "note" });
    const name = label.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "table";
    const button = (text, onclick) => report.el("button", { type: "button", onclick }, text);
    return report.el("details", { class: "export" }, report.el("summary", { "aria-label": `Export: ${label}` }, "export"), report.el("span", { class: "buttons" },
      button("Copy", async () => { await copy(filled().map((row) => row.map(line).join("\t") + "\n").join("")); said.textContent = "copied"; }),
      Object.entries(FORMATS).map(([title, [ending, type, written]]) => button(title, () => report.download(`${name}.${ending}`, type, written(filled())))), said));
  };
})();
