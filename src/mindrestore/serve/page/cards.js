/* What the page of `mindrestore serve` shows of its pictures: a card for each, and the comparison of one of them.

   An item is { file, name, steps, job, local, error, kind, until }: `job` is what the server last said of it, `local` is
   "unsent", "sending", "failed", "cancelled" or "expired" for what the server does not know. Texts from the server and
   names of files are set as text, never as HTML. */
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const { say } = Words;
  const SHOWN_BY_BROWSERS = /^image\/(png|jpeg|webp|bmp|gif|avif)$/;
  const CURABLE = ["busy", "no_memory", "no_storage", "other", "storage_full", "too_slow", "unknown_job", "worker_ended"];
  let shown = null; // the item in the comparison

  function size(bytes) {
    return bytes < 1e6 ? `${Math.max(Math.round(bytes / 1e3), 1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }

  function state(item) { return item.local || item.job.state; }

  function over(item) { return !["unsent", "sending", "waiting", "working"].includes(state(item)); }

  function left(seconds) {
    if (seconds === null || seconds === undefined) return "";
    return seconds < 90 ? say("seconds_left", { count: Math.max(Math.round(seconds), 1) })
      : say("minutes_left", { count: Math.round(seconds / 60) });
  }

  function reason(kind, error) { // the server's line, behind one in the reader's language
    const key = `error_${kind}`;
    return say(key in WORDS[Words.language] ? key : "error_other", { error });
  }

  function why(item) { return item.kind ?? item.job.kind; } // it failed

  function again(item) { // whether another try may end otherwise: a file that is no picture stays one
    const now = state(item);
    return now === "cancelled" || (now === "expired" && Boolean(item.file)) || (now === "failed" && CURABLE.includes(why(item)));
  }

  function until(item) {
    const time = new Date(item.until).toLocaleTimeString(Words.language, { hour: "2-digit", minute: "2-digit" });
    return say("kept_until", { time });
  }

  function listed(parts) { return parts.filter(Boolean).join(say("comma")); }

  function told(item) {
    const { job } = item, now = state(item);
    if (now === "failed") {
      const line = (item.error ?? job.error).replace(`${job ? job.name : item.name}: `, ""); // the card has the name
      return `${say("failed")}: ${reason(why(item), line)}`;
    }
    if (now === "waiting") return listed([say("waiting", { position: job.position }), left(job.seconds_left)]);
    if (now === "done") return listed([say("done"), until(item)]);
    if (now !== "working") return say(now);
    const percent = job.share ? say("percent", { percent: Math.round(100 * job.share) }) : "";
    return listed([say(job.phase || "starting"), percent, left(job.seconds_left)]);
  }

  function make(tag, className, attributes = {}) {
    const element = Object.assign(document.createElement(tag), { className });
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function card(item, act) { // made once; `draw` changes it
    const root = make("li", "card entry");
    const parts = {
      root,
      open: make("button", "thumbnail", { type: "button" }),
      picture: make("img", "", { alt: "" }),
      name: make("strong", "name"),
      told: make("span", "soft told"),
      bar: make("progress", "bar", { max: "1" }),
      row: make("div", "row"),
    };
    parts.open.append(parts.picture);
    parts.open.addEventListener("click", () => view(item, true));
    parts.picture.addEventListener("error", () => { parts.picture.hidden = true; });
    parts.picture.addEventListener("load", () => { parts.picture.hidden = false; });
    for (const name of ["cancel", "retry", "remove"]) {
      parts[name] = make("button", "button small", { type: "button" });
      parts[name].addEventListener("click", () => act[name](item));
    }
    parts.download = make("a", "button small");
    parts.row.append(parts.download, parts.retry, parts.cancel, parts.remove);
    root.append(parts.open, parts.name, parts.told, parts.bar, parts.row);
    if (item.file && SHOWN_BY_BROWSERS.test(item.file.type)) {
      item.url = URL.createObjectURL(item.file);
      parts.picture.src = item.url;
    } else {
      parts.picture.hidden = true;
    }
    item.card = parts;
    return root;
  }

  function label(button, key, name) {
    button.textContent = say(key);
    button.setAttribute("aria-label", say(`${key === "remove_result" ? "remove" : key}_one`, { name }));
  }

  function thumbnail(item) {
    const { picture } = item.card, { job } = item;
    const stage = job && job.thumbnail && !item.local && (job.state === "done" ? "result" : "image");
    if (!stage || picture.dataset.stage === stage) return;
    picture.dataset.stage = stage;
    picture.src = `api/jobs/${job.id}/thumbnail?of=${stage}`;
  }

  function draw(item) {
    const { card: parts, job } = item, now = state(item), done = now === "done";
    parts.root.dataset.state = now;
    parts.name.textContent = item.name;
    parts.told.textContent = told(item);
    parts.bar.hidden = !["sending", "working"].includes(now);
    parts.bar.setAttribute("aria-label", say(now === "working" ? "restoring" : "sending"));
    if (now === "working" && job.share) parts.bar.value = job.share;
    else parts.bar.removeAttribute("value"); // how far it is, is not known
    parts.open.disabled = !done;
    parts.open.setAttribute("aria-label", say("open", { name: item.name }));
    parts.cancel.hidden = over(item);
    parts.retry.hidden = !again(item);
    parts.remove.hidden = !over(item);
    parts.download.hidden = !done;
    for (const name of ["cancel", "retry", "download"]) label(parts[name], name, item.name);
    label(parts.remove, "remove_result", item.name);
    if (done) {
      parts.download.href = `api/jobs/${job.id}/result`;
      parts.download.download = job.result.name;
    }
    thumbnail(item);
    if (!done && shown === item) close();
  }

  function steps(job) {
    return job.networks.map((key) => key.split("/")[0]).map((task) => (WORDS[Words.language][task] ? say(task) : task)).join(" → ");
  }

  function describe() { // the words around the comparison
    const { result } = shown.job;
    at("viewer-title").textContent = shown.name;
    at("facts").textContent = [
      say("facts_steps", { steps: steps(shown.job) }),
      say("facts", { width: result.width, height: result.height, bits: result.bits, size: size(result.bytes) }),
      say("facts_seconds", { seconds: result.seconds.toFixed(1) }),
      until(shown),
    ].join(say("semicolon"));
    at("download").setAttribute("aria-label", say("download_one", { name: shown.name }));
  }

  function view(item, focus = false) {
    const { id, result } = item.job, slider = make("before-after", "");
    shown = item;
    for (const which of ["before", "after"]) {
      const image = Object.assign(new Image(result.width, result.height), { src: `api/jobs/${id}/${which}`, alt: say(which) });
      image.dataset.sayAlt = which;
      slider.append(image);
    }
    at("pictures").replaceChildren(slider);
    at("download").href = `api/jobs/${id}/result`;
    at("download").download = result.name;
    at("viewer").hidden = false;
    describe();
    if (!focus) return;
    at("viewer-title").focus();
    at("viewer").scrollIntoView({ block: "start" });
  }

  function close() {
    const from = shown;
    shown = null;
    at("viewer").hidden = true;
    at("pictures").replaceChildren();
    if (from && from.card.root.isConnected) from.card.open.focus();
  }

  function beside(items, step) { // the next or previous result
    const done = items.filter((item) => state(item) === "done");
    if (done.length) view(done[(done.indexOf(shown) + step + done.length) % done.length], true);
  }

  window.Cards = {
    beside, card, close, draw, left, over, reason, size, state, view,
    get shown() { return shown; },
    redraw(items) {
      items.forEach(draw);
      if (shown) describe();
    },
  };
})();
