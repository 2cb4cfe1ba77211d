/* The page of `mindrestore serve`: choose pictures and what to remove, send them one by one, follow their jobs.

   Everything goes through the JSON interface that openapi.json describes, by addresses relative to this page, so that it
   works below any path of a proxy. The random names of jobs are kept in the browser, each with the name of its file, which the
   server may shorten: results survive a reload. */
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const { say } = Words;
  const PAUSE = 500; // milliseconds between two looks at the jobs
  const MOST_STEPS = 4;
  const STORE = `mindrestore jobs ${location.pathname}`;
  const PICTURE = /\.(png|jpe?g|jfif|jpe|tiff?|webp|bmp|gif|ppm|avif|hei[cf]|hif|jp2|j2k|jpx)$/i;
  const forgotten = new Set(); // ids of jobs that are removed or have expired
  const problems = []; // functions that say them, so that they follow the language
  let limits = null, tasks = [], chosen = [], items = [], sending = false, following = false, unanswered = false, gone = 0;

  class Refusal extends Error {
    constructor(told, status, wait) {
      super(told.error || `${status}`);
      Object.assign(this, { kind: told.kind || "other", status, wait });
    }
  }

  async function ask(path, options = {}) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch (problem) {
      if (problem.name === "AbortError") throw problem;
      throw new Refusal({ error: say("no_answer") }, 0);
    }
    if (answer.status === 204) return null;
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refusal(told, answer.status, Number(answer.headers.get("Retry-After")) || 0);
    return told;
  }

  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  function complain(...lines) {
    problems.splice(0, Infinity, ...lines);
    at("problem").textContent = problems.map((line) => line()).join(" ");
    at("problem").hidden = !problems.length;
  }

  /* What to remove */

  const word = (task) => (task in WORDS[Words.language] ? say(task) : task);
  const named = (offer) => say(`origin_${offer.origin}`, offer);

  const served = () => tasks.filter((entry) => entry.networks.length);

  function option(value, text) {
    return Object.assign(document.createElement("option"), { value, textContent: text });
  }

  function addStep(task) {
    const row = document.createElement("li"), selects = ["remove", "with"].map((key) => {
      const label = document.createElement("label"), text = document.createElement("span"), select = document.createElement("select");
      text.dataset.say = key;
      text.textContent = say(key);
      label.append(text, select);
      row.append(label);
      return select;
    });
    const drop = Object.assign(document.createElement("button"), { type: "button", className: "button small drop-step", textContent: "×" });
    drop.dataset.sayAriaLabel = drop.dataset.sayTitle = "drop_step";
    drop.addEventListener("click", () => { row.remove(); bound(); });
    row.append(drop);
    row.className = "choices step";
    at("steps").append(row);
    fill(selects, task);
    selects[0].addEventListener("change", () => fill(selects, selects[0].value));
    Words.apply(row);
    bound();
  }

  function fill([choice, network], task, key) {
    choice.className = "task";
    network.className = "network";
    choice.replaceChildren(...served().map((entry) => option(entry.task, word(entry.task))));
    choice.value = task;
    const entry = tasks.find((each) => each.task === task);
    network.replaceChildren(...entry.networks.map((offer) => option(offer.key, named(offer))));
    if (key) network.value = key;
  }

  function bound() { // the first step stays
    const rows = [...at("steps").children];
    rows.forEach((row) => { row.querySelector(".drop-step").hidden = rows.length === 1; });
    at("also").disabled = rows.length >= MOST_STEPS;
  }

  function another() { // the task that is not there yet
    const used = [...document.querySelectorAll("#steps .task")].map((select) => select.value);
    const known = served().map((entry) => entry.task);
    addStep(known.find((task) => !used.includes(task)) || known[0]);
  }

  function speak() { // everything that was not said by words.js
    if (!limits) return;
    at("bounds").textContent = say("bounds", { size: Cards.size(limits.max_bytes), pixels: limits.max_pixels / 1e6 });
    for (const row of at("steps").children) {
      const selects = [...row.querySelectorAll("select")];
      fill(selects, selects[0].value, selects[1].value);
    }
    const without = tasks.filter((entry) => !entry.networks.length).map((entry) => entry.task);
    at("missing").hidden = !without.length;
    if (without.length) at("missing").textContent = say("missing", { tasks: without.map(word).join(say("between")), task: without[0] });
    complain(...problems);
    count();
    Cards.redraw(items);
    summarise();
  }

  /* Choosing */

  function count() {
    const bytes = chosen.reduce((sum, file) => sum + file.size, 0);
    at("chosen").textContent = chosen.length ? say("chosen", { count: chosen.length, size: Cards.size(bytes) }) : "";
    at("start").disabled = !chosen.length || !limits;
  }

  function choose(files) {
    const lines = [], fit = [];
    let others = 0;
    for (const file of files) {
      if (!file.type.startsWith("image/") && !PICTURE.test(file.name)) others += 1;
      else if (limits && file.size > limits.max_bytes) {
        const values = { name: file.name, size: Cards.size(file.size), most: Cards.size(limits.max_bytes) };
        lines.push(() => say("too_long", values));
      } else fit.push(file);
    }
    if (others) lines.push(() => say("left_out", { count: others }));
    chosen = fit;
    complain(...lines);
    count();
  }

  async function dropped(transfer) { // folders, too
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return [...transfer.files];
    const files = [];
    async function walk(entry) {
      if (entry.isFile) return files.push(await new Promise((resolve, reject) => { entry.file(resolve, reject); }));
      const reader = entry.createReader();
      for (;;) { // a reader gives up to a hundred at a time
        const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
        if (!some.length) return undefined;
        for (const each of some) await walk(each);
      }
    }
    for (const entry of entries) await walk(entry);
    return files;
  }

  function start(event) {
    event.preventDefault();
    const steps = [...document.querySelectorAll("#steps .network")].map((select) => select.value);
    for (const file of chosen) add({ file, name: file.name, steps, job: null, local: "unsent" });
    chosen = [];
    at("image").value = at("files").value = "";
    complain();
    count();
    sendAll();
  }

  /* The gallery */

  const actions = { cancel, retry, remove };

  function add(item) {
    items.push(item);
    at("cards").append(Cards.card(item, actions));
    change(item);
  }

  function change(item, values = {}) {
    Object.assign(item, values);
    if (item.job && item.job.expires_in !== null) item.until = Date.now() + 1000 * item.job.expires_in;
    Cards.draw(item);
    summarise();
    keep();
  }

  function stored() { // id of a job -> name of its file
    try {
      return new Map(JSON.parse(localStorage.getItem(STORE) || "[]"));
    } catch { // a browser may forbid the store: results then last as long as the page
      return new Map();
    }
  }

  function keep() { // other tabs keep theirs in the same place
    const own = items.filter((item) => item.job).map((item) => [item.job.id, item.name]);
    for (const item of items) if (item.job && item.local === "expired") forgotten.add(item.job.id);
    const all = new Map([...stored(), ...own]);
    forgotten.forEach((id) => all.delete(id));
    try {
      localStorage.setItem(STORE, JSON.stringify([...all]));
    } catch { /* as above */ }
  }

  function summarise() {
    const done = items.filter((item) => Cards.state(item) === "done");
    const failed = items.filter((item) => Cards.state(item) === "failed");
    const waiting = items.filter((item) => !Cards.over(item));
    const last = waiting.length ? waiting[waiting.length - 1].job : null;
    const parts = items.length ? [say("summary", { done: done.length, count: items.length })] : [];
    if (failed.length) parts.push(say("summary_failed", { failed: failed.length }));
    if (waiting.length > 1 && last && last.seconds_left !== null) parts.push(say("summary_left", { left: Cards.left(last.seconds_left) }));
    if (gone) parts.push(say("gone", { count: gone }));
    const text = parts.join(say("semicolon"));
    if (at("summary").textContent !== text) at("summary").textContent = text; // said aloud when it changes
    at("gallery").hidden = !items.length && !gone;
    at("download-all").hidden = !done.length;
    at("download-all").href = `api/archive?${done.map((item) => `id=${item.job.id}`).join("&")}`;
    at("cancel-all").hidden = !waiting.length;
    at("remove-all").hidden = !items.some(Cards.over);
  }

  async function sendAll() { // one after the other; what does not fit into the queue waits here
    if (sending) return;
    sending = true;
    for (let item; (item = items.find((each) => each.local === "unsent"));) {
      const form = new FormData();
      item.steps.forEach((key) => form.append("network", key));
      form.append("image", item.file, item.name);
      item.sending = new AbortController();
      change(item, { local: "sending", error: null, kind: null });
      try {
        change(item, { job: await ask("api/jobs", { method: "POST", body: form, signal: item.sending.signal }), local: null });
        follow();
      } catch (problem) {
        if (problem.name === "AbortError") change(item, { local: "cancelled" });
        else if (problem.kind === "busy") {
          change(item, { local: "unsent" });
          await pause(Math.min(1000 * problem.wait, 2000) || PAUSE);
        } else change(item, { local: "failed", error: problem.message, kind: problem.kind });
      }
    }
    sending = false;
  }

  async function look(ids) {
    return (await ask(`api/jobs?${ids.map((id) => `id=${id}`).join("&")}`)).jobs;
  }

  async function follow() { // until all jobs are over
    if (following) return;
    following = true;
    for (let open; (open = items.filter((item) => item.job && !item.local && !Cards.over(item))).length; await pause(PAUSE)) {
      try {
        const jobs = await look(open.map((item) => item.job.id));
        for (const item of open) {
          const job = jobs.find((each) => each.id === item.job.id);
          if (!items.includes(item)) continue; // removed meanwhile
          change(item, job ? { job } : { local: "expired" });
        }
        if (unanswered) complain();
        unanswered = false;
      } catch (problem) {
        unanswered = true;
        complain(() => Cards.reason(problem.kind, problem.message));
      }
    }
    following = false;
  }

  async function attempt(item, path, method) { // null when the server no longer knows the job
    return ask(`api/jobs/${item.job.id}${path}`, { method }).catch((problem) => {
      if (problem.status !== 404) complain(() => Cards.reason(problem.kind, problem.message));
      return null;
    });
  }

  async function cancel(item) {
    if (item.local === "sending") item.sending.abort();
    else if (item.local === "unsent") change(item, { local: "cancelled" });
    else {
      const job = await attempt(item, "/cancel", "POST");
      if (job) change(item, { job });
    }
  }

  async function retry(item) {
    const job = item.job && !item.local ? await attempt(item, "/retry", "POST") : null;
    if (job) change(item, { job });
    else if (item.file) change(item, { job: null, local: "unsent" });
    sendAll();
    follow();
  }

  async function remove(item) {
    if (Cards.shown === item) Cards.close();
    items = items.filter((other) => other !== item);
    item.card.root.remove();
    if (item.url) URL.revokeObjectURL(item.url);
    summarise();
    if (item.job) forgotten.add(item.job.id);
    keep();
    if (item.job && item.local !== "expired") await attempt(item, "", "DELETE");
    at("image").focus();
  }

  function expire() { // the server says when; a page that stays open says so, too
    for (const item of items) {
      if (item.job && item.until && !item.local && Cards.over(item) && Date.now() >= item.until) change(item, { local: "expired" });
    }
  }

  async function restore() { // what this browser has sent before
    const names = stored(), ids = [...names.keys()];
    if (!ids.length) return;
    const jobs = await look(ids);
    for (const id of ids) if (!jobs.some((job) => job.id === id)) forgotten.add(id);
    gone = ids.length - jobs.length;
    for (const job of jobs) add({ file: null, name: names.get(job.id), steps: job.networks, job, local: null });
    summarise();
    keep();
    follow();
  }

  at("form").addEventListener("submit", start);
  at("image").addEventListener("change", () => choose(at("image").files));
  at("files").addEventListener("change", () => choose(at("files").files));
  at("folder").addEventListener("click", () => at("files").click());
  at("also").addEventListener("click", another);
  at("close").addEventListener("click", Cards.close);
  at("previous").addEventListener("click", () => Cards.beside(items, -1));
  at("next").addEventListener("click", () => Cards.beside(items, 1));
  at("cancel-all").addEventListener("click", () => items.filter((item) => !Cards.over(item)).reverse().forEach(cancel));
  at("remove-all").addEventListener("click", () => {
    if (window.confirm(say("remove_all_sure"))) items.filter(Cards.over).forEach(remove);
  });
  for (const kind of ["dragenter", "dragover"]) {
    window.addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.add("over");
    });
  }
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("drop").classList.remove("over"); });
  window.addEventListener("drop", async (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
    choose(await dropped(event.dataTransfer));
  });
  window.addEventListener("paste", (event) => { if (event.clipboardData.files.length) choose(event.clipboardData.files); });
  window.addEventListener("beforeunload", (event) => {
    if (items.some((item) => ["unsent", "sending"].includes(item.local))) event.preventDefault(); // only this page has them
  });
  document.addEventListener("language", speak);
  setInterval(expire, 1000);
  ask("api/status").then((status) => {
    ({ limits, tasks } = status);
    addStep(served()[0].task);
    speak();
    return restore();
  }).catch((problem) => complain(() => Cards.reason(problem.kind, problem.message)));
})();
