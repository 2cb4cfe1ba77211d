/* The page of `mindrestore serve`: send an image, follow its job, show before and after, offer the result.

   Everything goes through the JSON interface that docs/serving.md describes. Texts from the server and names of files are
   set as text, never as HTML. */
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const WORDS = { dehaze: "haze", derain: "rain", deblur: "blur", denoise: "noise" };
  const PHASES = { loading: "loading the network", reading: "reading", restoring: "restoring", writing: "writing the result" };
  const PAUSE = 400; // milliseconds between two looks at a job
  let limits = null, tasks = [], job = null, began = 0, sending = null;

  async function ask(path, options = {}) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch (problem) {
      if (problem.name === "AbortError") throw problem;
      throw new Error("The server does not answer; it may have been ended.");
    }
    if (answer.status === 204) return null;
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(told.error || `The server answered ${answer.status}.`);
    return told;
  }

  function fail(problem) {
    at("problem").textContent = problem.message || String(problem);
    at("problem").hidden = false;
    at("work").hidden = true;
    at("start").disabled = false;
  }

  function size(bytes) {
    return bytes < 1e6 ? `${Math.max(Math.round(bytes / 1e3), 1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }

  function option(value, text, disabled = false) {
    return Object.assign(document.createElement("option"), { value, textContent: text, disabled });
  }

  function offer(status) {
    ({ limits, tasks } = status);
    at("bounds").textContent = `At most ${size(limits.max_bytes)} and ${limits.max_pixels / 1e6} megapixels: PNG, JPEG, TIFF, WebP, BMP`;
    at("task").replaceChildren(...tasks.map((entry) => {
      const there = entry.networks.length > 0;
      return option(entry.task, (WORDS[entry.task] || entry.task) + (there ? "" : " (no weights)"), !there);
    }));
    const first = tasks.find((entry) => entry.networks.length);
    if (first) at("task").value = first.task;
    const without = tasks.filter((entry) => !entry.networks.length).map((entry) => entry.task);
    at("missing").hidden = !without.length;
    at("missing").textContent = `No weights for ${without.join(", ")}: start the server with --weights ${without[0]}=FILE.`;
    networks();
  }

  function networks() {
    const entry = tasks.find((each) => each.task === at("task").value);
    at("network").replaceChildren(...entry.networks.map((each) => option(each.key, `${each.model} (${each.weights})`)));
  }

  function choose() {
    const file = at("image").files[0];
    at("problem").hidden = true;
    at("chosen").textContent = file ? `${file.name} (${size(file.size)})` : "Choose an image, or drop one here";
    if (file && limits && file.size > limits.max_bytes) {
      fail(new Error(`${file.name}: ${size(file.size)} is more than the ${size(limits.max_bytes)} that are taken.`));
      return false;
    }
    return Boolean(file);
  }

  async function start(event) {
    event.preventDefault();
    if (!choose()) return;
    at("start").disabled = true;
    try {
      await forget(); // the result of the image before
      at("result").hidden = true;
      tell("Sending the image", null);
      sending = new AbortController();
      job = await ask("/api/jobs", { method: "POST", body: new FormData(at("form")), signal: sending.signal });
      began = performance.now();
      await follow(job.id);
    } catch (problem) {
      if (problem.name !== "AbortError") fail(problem);
    }
  }

  async function follow(id) {
    while (job && job.id === id) { // until it is over, or cancelled
      if (job.state === "failed") throw new Error(job.error);
      if (job.state === "done") return show();
      tell(describe(job), job.share);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      if (!job || job.id !== id) return;
      job = await ask(`/api/jobs/${id}`).catch((problem) => {
        if (job) throw problem; // else it was cancelled during the question
        return null;
      });
    }
  }

  function describe(job) {
    const seconds = Math.round((performance.now() - began) / 1000);
    if (job.state === "waiting") return `Waiting: number ${job.position} in the queue, ${seconds} s so far`;
    const percent = job.share ? ` ${Math.round(100 * job.share)}%` : "";
    return `${job.name}: ${PHASES[job.phase] || "starting"}${percent}, ${seconds} s so far`;
  }

  function tell(text, share) {
    at("state").textContent = text;
    if (share) at("bar").value = share;
    else at("bar").removeAttribute("value"); // how far it is, is not known
    at("work").hidden = false;
  }

  function show() {
    const { result, network, name, id } = job;
    const images = ["before", "after"].map((which) => Object.assign(new Image(result.width, result.height), {
      src: `/api/jobs/${id}/${which}`, alt: which,
    }));
    const slider = document.createElement("before-after");
    slider.append(...images);
    at("pictures").replaceChildren(slider);
    at("result-title").textContent = name;
    at("facts").textContent = `${result.width} × ${result.height} pixels, ${result.bits} bits, ${result.type}, ` +
      `${size(result.bytes)}; ${network} took ${result.seconds.toFixed(1)} s`;
    at("download").href = `/api/jobs/${id}/result`;
    at("download").download = result.name;
    at("work").hidden = true;
    at("start").disabled = false;
    at("result").hidden = false;
    at("result-title").focus();
  }

  async function forget() {
    const id = job && job.id;
    job = null;
    if (id) await ask(`/api/jobs/${id}`, { method: "DELETE" }).catch(() => null); // it may have expired
  }

  async function leave() {
    if (sending) sending.abort();
    await forget();
    at("work").hidden = at("result").hidden = true;
    at("pictures").replaceChildren();
    at("start").disabled = false;
    at("image").focus();
  }

  function drop(event) {
    event.preventDefault();
    at("drop").classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    at("image").files = event.dataTransfer.files;
    choose();
  }

  at("form").addEventListener("submit", start);
  at("image").addEventListener("change", choose);
  at("task").addEventListener("change", networks);
  at("cancel").addEventListener("click", leave);
  at("delete").addEventListener("click", leave);
  for (const kind of ["dragenter", "dragover"]) {
    at("drop").addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.add("over");
    });
  }
  at("drop").addEventListener("dragleave", () => at("drop").classList.remove("over"));
  at("drop").addEventListener("drop", drop);
  window.addEventListener("dragover", (event) => event.preventDefault()); // beside the field: do not leave the page
  window.addEventListener("drop", (event) => event.preventDefault());
  window.addEventListener("pagehide", () => { // nobody can come back to the job
    if (job) fetch(`/api/jobs/${job.id}`, { method: "DELETE", keepalive: true });
  });
  ask("/api/status").then(offer).catch(fail);
})();
