"use strict";
// One utterance: reference and hypothesis, its audio, and the output of the model over time.

(function () {
  const ROW = 16;

  report.view("utterance", null, async function (parameters) {
    const evaluation = report.findEvaluation(parameters);
    if (!evaluation) return [report.el("p", { class: "note" }, "This report has no such evaluation.")];
    const rows = await report.utterances(evaluation);
    const row = rows.find((one) => one.id === parameters.get("id"));
    if (!row) return [report.el("p", { class: "note" }, "There is no such utterance in this evaluation.")];
    const others = report.data.evaluations.filter((one) => one.utterances_file === evaluation.utterances_file && one !== evaluation);
    return [report.section(row.id, await navigation(evaluation, rows, row, parameters),
      report.el("dl", { class: "facts" }, facts(evaluation, row).map(([name, value]) => report.el("div", {}, report.el("dt", {}, name), report.el("dd", {}, value)))),
      report.columns(report.aligned(row)),
      report.el("p", { class: "note" }, "Top: reference; bottom: hypothesis of ", report.el("b", {}, report.evaluationName(evaluation)), "; ≠ substituted, − deleted, + inserted."),
      await player(evaluation, row)),
    others.length ? report.section("Other runs on this utterance", await comparison(others, row, parameters.get("with"))) : null].filter(Boolean);
  });

  // The utterances before and after it are those of the list that it was opened from.
  async function navigation(evaluation, rows, row, parameters) {
    const from = parameters.get("from") || report.addressOf(evaluation, "errors").slice(1), mark = from.indexOf("?");
    const walked = report.walk && report.walk.file === evaluation.file && report.walk.view === from.slice(0, mark) ? report.walk.ids
      : from.startsWith("errors?") ? await report.listed(evaluation, new URLSearchParams(from.slice(mark + 1))) : [];
    const ids = walked.includes(row.id) ? walked : rows.map((one) => one.id);
    const kept = Object.fromEntries(["from", "with"].filter((name) => parameters.has(name)).map((name) => [name, parameters.get(name)]));
    const place = ids.indexOf(row.id);
    const link = (id, text, key) => (id === undefined ? report.el("span", { class: "button off" }, text) : report.el("a", { class: "button", href: report.addressOf(evaluation, "utterance", { id, ...kept }), "data-key": key }, text));
    return report.el("div", { class: "controls" }, report.el("a", { class: "button", href: "#" + from, "data-key": "u" }, "↑ all utterances"),
      link(ids[place - 1], "← previous", "p"), link(ids[place + 1], "next →", "n"), report.el("span", { class: "note" }, `${place + 1} of ${ids.length}`));
  }

  function facts(evaluation, row) {
    const { unit } = row, characters = report.items(row.reference, "character").length;
    return [
      ["run", report.evaluationName(evaluation)], ["split", evaluation.split], ["speaker", report.text(row.speaker || "unknown")],
      [report.rateName(unit), `${report.percent(report.rate(row))} %`], ["errors", `${row.errors} of ${report.count(row.size, unit)}`],
      ...(unit === "word" ? [["CER", `${report.percent(row.character_errors / characters)} %`]] : []),
      ["duration", `${row.seconds.toFixed(2)} s`], ["speaking rate", `${row.speed.toFixed(1)} ${unit}s/s`],
      ["confidence", row.confidence === null || row.confidence === undefined ? "–" : `${report.percent(row.confidence, 0)} %`],
      ["CTC loss per token", row.loss === null || row.loss === undefined ? "–" : row.loss.toFixed(2)],
      ["estimated SNR", row.level === null ? "–" : `${row.level.toFixed(0)} dB`],
    ];
  }

  async function comparison(others, row, first) {
    const sorted = others.slice().sort((left, right) => (report.evaluationName(right) === first) - (report.evaluationName(left) === first));
    return Promise.all(sorted.map(async (one) => {
      const own = (await report.utterances(one))[row.place];
      return report.el("div", { class: "other" }, report.el("h3", {}, report.swatch(one.run), report.el("a", { href: report.addressOf(one, "utterance", { id: row.id }) }, report.evaluationName(one)), `: ${report.count(own.errors, "error")}`),
        report.columns(report.aligned(own)));
    }));
  }

  async function player(evaluation, row) {
    const audio = row.audio ? report.el("audio", { controls: true, preload: "metadata", src: row.audio }) : null;
    const why = row.format ? `Browsers do not play ${row.format} files: build the report with --audio embed.` : "This report has no audio of this utterance.";
    const parts = [audio || report.el("p", { class: "note" }, why)];
    if (row.pictured) {
      const [picture, output] = await Promise.all([report.load(`${evaluation.utterances_file}-${row.place}`), report.load(`${evaluation.file}-${row.place}`)]);
      parts.push(drawing(picture, output, row, audio), legend(output));
    } else if (evaluation.has_model) {
      parts.push(report.el("p", { class: "note" }, "This utterance has no picture: `asr report --pictures N` draws more, the worst of each evaluation first."));
    }
    return report.el("div", {}, parts);
  }

  function legend(output) {
    return report.el("p", { class: "note" }, `Log-mel spectrogram. Vertical lines are output tokens, their height is the probability; boxes are the words of the best path, accurate to a few output frames of ${(1000 * output.frame_seconds).toFixed(0)} ms. `,
      `Blank in ${report.percent(output.blank_share, 0)} % of the frames. Click to play from there.`);
  }

  function drawing(picture, output, row, audio) {
    const canvas = report.el("canvas", { class: "picture", role: "img", tabindex: audio ? "0" : null, "aria-label": `Spectrogram with ${output.words.map((word) => `${word.text} from ${word.start.toFixed(2)} to ${word.end.toFixed(2)} s`).join(", ") || "no word"}` });
    const frame = report.el("div", { class: "picture-frame" }, canvas);
    const at = (event) => ((event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth) * row.seconds;
    const redraw = () => paint(canvas, picture, output, row, audio);
    new ResizeObserver(redraw).observe(frame);
    if (audio) {
      let running = false;
      const follow = () => { if (!canvas.isConnected) return; redraw(); if (!audio.paused) requestAnimationFrame(follow); else running = false; };
      audio.addEventListener("play", () => { if (!running) { running = true; follow(); } });
      for (const name of ["seeked", "pause", "ended"]) audio.addEventListener(name, redraw);
      canvas.addEventListener("click", (event) => { audio.currentTime = begin(audio) + at(event); report.play(audio); });
      canvas.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -0.25, ArrowRight: 0.25 }[event.key];
        if (move) { event.preventDefault(); audio.currentTime += move; }
      });
    }
    return frame;
  }

  // Pausing before the audio has started is no error.
  report.play = (audio) => audio.play().catch((error) => { if (error.name !== "AbortError") throw error; });

  // The start of the utterance in a linked file.
  const begin = (audio) => Number((/#t=([\d.]+)/.exec(audio.currentSrc || audio.src) || [])[1] || 0);

  function paint(canvas, picture, output, row, audio) {
    const ratio = window.devicePixelRatio || 1, width = canvas.parentElement.clientWidth, spectrum = 200;
    const height = spectrum + 4 * ROW;
    if (width < 20) return;
    if (canvas.width !== Math.round(width * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      canvas.style.height = `${height}px`;
    }
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.drawImage(spectrogram(picture, colour("--spectrum-low"), colour("--spectrum-high")), 0, 0, width, spectrum);
    const x = (seconds) => (seconds / row.seconds) * width;
    pen.font = `13px ${colour("--font")}`;
    pen.textAlign = "center";
    for (const token of output.tokens) {
      const place = x((token.frame + 0.5) * output.frame_seconds + output.offset);
      pen.strokeStyle = pen.fillStyle = colour("--token");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(place, spectrum);
      pen.lineTo(place, spectrum - token.probability * (spectrum - 14));
      pen.stroke();
      if (token.probability > 0.3) { pen.fillStyle = colour("--ink"); pen.fillText(token.text === " " ? "␣" : token.text, place, spectrum + ROW - 3); }
    }
    pen.textAlign = "left";
    output.words.forEach((word, index) => {
      const left = x(word.start), right = Math.max(left + 3, x(word.end)), top = spectrum + ROW + 4 + (index % 2) * ROW;
      pen.fillStyle = colour("--word");
      pen.fillRect(left, top, right - left, ROW - 2);
      pen.fillStyle = colour("--ink");
      pen.fillText(word.text, left + 2, top + ROW - 4);
    });
    pen.fillStyle = colour("--ink");
    pen.textAlign = "center";
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60].find((size) => (size / row.seconds) * width > 45) || 120;
    for (let tick = step; tick < row.seconds; tick += step) pen.fillText(`${Number(tick.toFixed(1))} s`, x(tick), height - 3);
    if (audio && audio.currentTime > 0) {
      pen.fillStyle = colour("--cursor");
      pen.fillRect(x(audio.currentTime - begin(audio)) - 1, 0, 2, spectrum + 3 * ROW);
    }
  }

  const drawn = new WeakMap();
  function spectrogram(picture, low, high) {
    const known = drawn.get(picture);
    if (known && known.low === low) return known.image;
    const bytes = atob(picture.bytes), { width, height } = picture;
    const image = report.el("canvas", { width, height });
    const pen = image.getContext("2d"), pixels = pen.createImageData(width, height);
    const [from, to] = [low, high].map((hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)));
    for (let column = 0; column < width; column++) {
      for (let band = 0; band < height; band++) {
        const share = bytes.charCodeAt(column * height + band) / 255, place = 4 * ((height - 1 - band) * width + column);
        for (let channel = 0; channel < 3; channel++) pixels.data[place + channel] = from[channel] + share * (to[channel] - from[channel]);
        pixels.data[place + 3] = 255;
      }
    }
    pen.putImageData(pixels, 0, 0);
    drawn.set(picture, { image, low });
    return image;
  }
})();
