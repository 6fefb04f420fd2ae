"use strict";
// The picture of an utterance over time: spectrogram with a frequency axis, output tokens, and the words of the hypothesis
// and of the reference. It can be zoomed; a click plays from there.

(function () {
  const ROW = 17, SPECTRUM = 200, AXIS = 48, ZOOMS = [1, 2, 4, 8], WIDEST = 16000;
  const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];
  const FREQUENCIES = [250, 500, 1000, 2000, 4000, 8000, 16000];

  const mel = (hertz) => Math.log10(1 + hertz / 700);

  // Pausing before the audio has started is no error.
  report.play = (audio) => audio.play().catch((error) => { if (error.name !== "AbortError") throw error; });

  // The start of the utterance in a linked file.
  const begin = (audio) => Number((/#t=([\d.]+)/.exec(audio.currentSrc || audio.src) || [])[1] || 0);

  report.picture = function (picture, output, row, audio) {
    const said = output.words.map((word) => `${word.text} from ${word.start.toFixed(2)} to ${word.end.toFixed(2)} s`).join(", ");
    const canvas = report.el("canvas", { class: "picture", role: "img", "aria-label": `Spectrogram with ${said || "no word"}` });
    const axis = report.el("canvas", { class: "picture-axis", "aria-hidden": "true" });
    const scroller = report.el("div", { class: "picture-scroll", tabindex: "0", role: "group", "aria-label": "Spectrogram; the arrow keys move the audio" }, canvas);
    let zoom = ZOOMS.includes(Number(report.get("zoom"))) ? Number(report.get("zoom")) : 1;
    const width = () => Math.min(WIDEST, scroller.clientWidth * zoom);
    const at = (event) => ((event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth) * row.seconds;
    const redraw = () => { paint(canvas, width(), picture, output, row, audio); paintAxis(axis, picture, output); };
    new ResizeObserver(redraw).observe(scroller);
    const zooms = report.choice("Zoom", ZOOMS.map((one) => [String(one), `${one}×`]), String(zoom), (chosen) => {
      const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / canvas.clientWidth;
      zoom = Number(chosen);
      report.set({ zoom: zoom === 1 ? null : zoom });
      redraw();
      scroller.scrollLeft = middle * canvas.clientWidth - scroller.clientWidth / 2;
    });
    canvas.addEventListener("mousemove", (event) => { canvas.title = under(output, at(event)); });
    if (audio) {
      let running = false;
      const show = () => {
        const place = ((audio.currentTime - begin(audio)) / row.seconds) * canvas.clientWidth;
        if (zoom > 1 && (place < scroller.scrollLeft || place > scroller.scrollLeft + scroller.clientWidth)) scroller.scrollLeft = place - 40;
      };
      const follow = () => { if (!canvas.isConnected) return; redraw(); show(); if (!audio.paused) requestAnimationFrame(follow); else running = false; };
      audio.addEventListener("play", () => { if (!running) { running = true; follow(); } });
      for (const name of ["seeked", "pause", "ended"]) audio.addEventListener(name, redraw);
      canvas.addEventListener("click", (event) => { audio.currentTime = begin(audio) + at(event); report.play(audio); });
      scroller.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -0.25, ArrowRight: 0.25 }[event.key];
        if (move) { event.preventDefault(); audio.currentTime += move; show(); }
      });
    }
    const frame = report.el("div", { class: "picture-frame" }, axis, scroller);
    frame.printed = (paper) => { paint(canvas, paper - AXIS, picture, output, row, null); paintAxis(axis, picture, output); };
    return report.el("div", {}, report.el("div", { class: "controls" }, zooms), frame);
  };

  // The words at a time, of the hypothesis and of the reference.
  function under(output, seconds) {
    const named = (title, words) => words.filter((word) => seconds >= word.start && seconds < word.end).map((word) => `${title}: ${word.text} (${word.start.toFixed(2)} to ${word.end.toFixed(2)} s)`);
    return [...named(wordsOf(output), output.words), ...named("reference", output.reference)].join("\n");
  }

  const wordsOf = (output) => (output.of_hypothesis === false ? "greedy" : "hypothesis");

  // A canvas at the resolution of the screen, and what draws on it.
  function prepared(canvas, width, height) {
    const ratio = Math.min(window.devicePixelRatio || 1, WIDEST / Math.max(1, width));
    if (canvas.width !== Math.round(width * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    }
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `13px ${colour("--font")}`;
    pen.fillStyle = colour("--ink");
    return [pen, colour];
  }

  const HEIGHT = SPECTRUM + 4 * ROW + 6;
  const rowTop = (number) => SPECTRUM + 4 + number * ROW;

  function paintAxis(canvas, picture, output) {
    const [pen, colour] = prepared(canvas, AXIS, HEIGHT);
    pen.textAlign = "right";
    pen.strokeStyle = colour("--faint");
    let last = Infinity;
    const of = picture.highest ? FREQUENCIES.filter((hertz) => hertz <= picture.highest) : [];
    for (const hertz of of) {
      const y = SPECTRUM * (1 - mel(hertz) / mel(picture.highest));
      if (last - y < ROW) continue;
      last = y;
      pen.beginPath();
      pen.moveTo(AXIS - 4, y + 0.5);
      pen.lineTo(AXIS, y + 0.5);
      pen.stroke();
      pen.fillText(hertz >= 1000 ? `${hertz / 1000}k` : hertz, AXIS - 6, Math.max(11, y + 4));
    }
    if (of.length) pen.fillText("Hz", AXIS - 6, SPECTRUM - 2);
    pen.fillText(output.of_hypothesis === false ? "greedy" : "hyp.", AXIS - 4, rowTop(1) + ROW - 5);
    if (output.reference && output.reference.length) pen.fillText("ref.", AXIS - 4, rowTop(2) + ROW - 5);
  }

  function paint(canvas, width, picture, output, row, audio) {
    if (width < 20) return;
    const [pen, colour] = prepared(canvas, width, HEIGHT);
    pen.drawImage(spectrogram(picture, colour("--spectrum-low"), colour("--spectrum-high")), 0, 0, width, SPECTRUM);
    const x = (seconds) => (seconds / row.seconds) * width;
    pen.textAlign = "center";
    let taken = -Infinity;
    for (const token of output.tokens) {
      const place = x((token.frame + 0.5) * output.frame_seconds + output.offset);
      pen.strokeStyle = colour("--token");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(place, SPECTRUM);
      pen.lineTo(place, SPECTRUM - token.probability * (SPECTRUM - 14));
      pen.stroke();
      const text = token.text === " " ? "␣" : token.text, half = pen.measureText(text).width / 2;
      // A label that would run into the one before it is left out: zooming shows it.
      if (token.probability <= 0.3 || place - half < taken) continue;
      taken = place + half + 2;
      pen.fillStyle = colour("--ink");
      pen.fillText(text, place, SPECTRUM + ROW - 3);
    }
    pen.textAlign = "left";
    [output.words, output.reference || []].forEach((words, number) => words.forEach((word) => {
      const left = x(word.start), room = Math.max(3, x(word.end) - left), top = rowTop(1 + number);
      pen.fillStyle = colour(number ? "--mark" : "--word");
      pen.fillRect(left, top, room - 1, ROW - 2);
      pen.fillStyle = colour("--ink");
      pen.fillText(fitting(pen, word.text, room - 4), left + 2, top + ROW - 5);
    }));
    pen.textAlign = "center";
    const step = STEPS.find((size) => (size / row.seconds) * width > 56) || 600;
    for (let tick = step; x(tick) < width - 20; tick += step) pen.fillText(`${Number(tick.toFixed(2))} s`, x(tick), HEIGHT - 4);
    if (audio && audio.currentTime > 0) {
      pen.fillStyle = colour("--cursor");
      pen.fillRect(x(audio.currentTime - begin(audio)) - 1, 0, 2, SPECTRUM + 3 * ROW);
    }
  }

  // As much of a text as fits.
  function fitting(pen, text, room) {
    if (pen.measureText(text).width <= room) return text;
    const letters = [...text];
    while (letters.length && pen.measureText(letters.join("") + "…").width > room) letters.pop();
    return letters.length ? letters.join("") + "…" : "";
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
