/* <before-after>: two pictures of one scene in one frame, a divider between them, zoomed and moved together.

   <before-after>
     <img src="input.jpg" alt="input" width="640" height="480">        left of the divider
     <img src="restored.jpg" alt="restored" width="640" height="480">  right of it
   </before-after>

   The alt texts are the labels. Without this script the pictures stand below each other. Load slider.css, and this
   file at the end of <body>; an element that a script makes gets its two <img> before it is put into the page.

   slider.position                percent of the width left of the divider, 0 to 100; may be set
   slider.zoom                    1 (whole picture) to 16; may be set
   slider.show(side, url, label)  put another picture left (side 0) or right (side 1); zoom and divider stay
   slider.reset()                 whole picture, divider in the middle
   event "slide"                  after the divider, the zoom or the place has changed

   Words.say(key, values) of words.js, where a page has it, says the words below in the language of the reader.

   Mouse: drag; Ctrl + wheel zooms; a double click zooms in and out; a zoomed picture is moved, the divider by its
   handle. Touch: drag, two fingers zoom. Keys on the handle: arrows, Page Up, Page Down, Home, End; + and - zoom,
   Shift + arrows move a zoomed picture, 0 resets. */
(() => {
  "use strict";
  const MOST = 16;
  const ENGLISH = {
    slider_divider: "Divider between {left} and {right}",
    slider_value: "{left_share}% {left}, {right_share}% {right}",
    slider_keys: "Arrow keys move the divider, + and - zoom, Shift + arrow keys move a zoomed picture, 0 resets",
    slider_zoom: "Zoom",
    slider_in: "Zoom in",
    slider_out: "Zoom out",
    slider_fit: "Fit",
    slider_fit_long: "Whole picture, divider in the middle",
  };
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  function say(key, values = {}) {
    if (window.Words) return window.Words.say(key, values);
    return ENGLISH[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  function make(tag, name, attributes = {}) {
    const element = document.createElement(tag);
    element.className = name;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  class BeforeAfter extends HTMLElement {
    connectedCallback() {
      if (this.stage) return; // moved within the page
      this.images = [...this.querySelectorAll("img")].slice(0, 2);
      if (this.images.length < 2) throw new Error("before-after needs two <img>");
      this.build();
      this.listen();
      this.view = { x: 0, y: 0, zoom: 1 }; // place of the picture's corner in percent of the frame, and magnification
      this.place = 50;
      this.images.forEach((image, side) => this.name(side, image.alt));
      this.fit();
      this.draw();
    }

    build() {
      this.stage = make("div", "ba-stage");
      this.labels = [];
      this.images.forEach((image, side) => {
        const layer = make("div", `ba-layer ba-layer-${side}`);
        image.draggable = false;
        layer.append(image);
        this.labels.push(make("span", `ba-label ba-label-${side}`, { "aria-hidden": "true" }));
        this.stage.append(layer);
      });
      this.handle = make("div", "ba-handle", {
        role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal",
      });
      this.handle.append(make("span", "ba-grip"));
      this.stage.append(...this.labels, this.handle);
      this.tools = make("div", "ba-tools", { role: "group" });
      this.readout = make("output", "ba-zoom");
      this.out = this.button(() => this.zoomBy(1 / 1.5));
      this.tools.append(this.readout);
      this.in = this.button(() => this.zoomBy(1.5));
      this.whole = this.button(() => this.reset());
      this.speak();
      this.replaceChildren(this.stage, this.tools);
    }

    button(act) {
      const button = make("button", "ba-button", { type: "button" });
      button.addEventListener("click", act);
      this.tools.append(button);
      return button;
    }

    speak() { // everything that does not change with the pictures
      this.handle.title = say("slider_keys");
      this.tools.setAttribute("aria-label", say("slider_zoom"));
      const buttons = [[this.out, "−", "slider_out"], [this.in, "+", "slider_in"], [this.whole, say("slider_fit"), "slider_fit_long"]];
      for (const [button, text, key] of buttons) {
        button.textContent = text;
        button.title = say(key);
        button.setAttribute("aria-label", button.title);
      }
    }

    listen() {
      this.pointers = new Map();
      const stage = this.stage;
      stage.addEventListener("pointerdown", (event) => this.press(event));
      stage.addEventListener("pointermove", (event) => this.drag(event));
      for (const end of ["pointerup", "pointercancel"]) {
        stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
      }
      stage.addEventListener("click", (event) => {
        if (this.view.zoom === 1 && event.detail === 1) this.position = this.at(event).x;
      });
      stage.addEventListener("dblclick", (event) => {
        const spot = this.at(event);
        this.zoomBy(this.view.zoom > 1 ? 1 / MOST : 4, spot.x, spot.y);
      });
      stage.addEventListener("wheel", (event) => {
        if (!event.ctrlKey) return; // the page scrolls
        event.preventDefault();
        const spot = this.at(event);
        this.zoomBy(Math.exp(-event.deltaY / 200), spot.x, spot.y);
      }, { passive: false });
      this.handle.addEventListener("keydown", (event) => this.type(event));
      this.images.forEach((image) => image.addEventListener("load", () => this.fit()));
      document.addEventListener("language", () => { // the texts of the pictures have changed before
        this.speak();
        this.images.forEach((image, side) => this.name(side, image.alt));
        this.draw();
      });
    }

    at(event) { // a place on the screen in percent of the frame
      const box = this.stage.getBoundingClientRect();
      return { x: ((event.clientX - box.left) / box.width) * 100, y: ((event.clientY - box.top) / box.height) * 100 };
    }

    press(event) {
      if (event.button !== 0) return;
      const onHandle = this.handle.contains(event.target);
      this.pointers.set(event.pointerId, { ...this.at(event), onHandle });
      this.stage.setPointerCapture(event.pointerId);
    }

    drag(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = { ...this.at(event), onHandle: before.onHandle };
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      this.pointers.set(event.pointerId, now);
      if (other) {
        const apart = (spot) => Math.hypot(spot.x - other.x, spot.y - other.y) || 1;
        this.zoomBy(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
      } else if (before.onHandle || this.view.zoom === 1) {
        this.position = now.x;
      } else {
        this.move(now.x - before.x, now.y - before.y);
      }
    }

    type(event) {
      const { key, shiftKey } = event;
      const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (shiftKey && key in arrows) this.move(-10 * arrows[key][0], -10 * arrows[key][1]);
      else if (key in steps) this.position += steps[key];
      else if (key === "Home") this.position = 0;
      else if (key === "End") this.position = 100;
      else if (key === "+" || key === "=") this.zoomBy(1.5);
      else if (key === "-") this.zoomBy(1 / 1.5);
      else if (key === "0") this.reset();
      else return;
      event.preventDefault();
    }

    get position() { return this.place; }
    set position(percent) {
      this.place = Math.round(clamp(Number(percent) || 0, 0, 100)); // single percents
      this.draw();
    }

    get zoom() { return this.view.zoom; }
    set zoom(value) { this.zoomBy(value / this.view.zoom); }

    zoomBy(factor, x = 50, y = 50) { // what lies at (x, y) stays there
      let zoom = clamp(this.view.zoom * factor, 1, MOST);
      if (Math.abs(zoom - 1) < 0.02) zoom = 1;
      const ratio = zoom / this.view.zoom;
      this.view = { x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio, zoom };
      this.move(0, 0);
    }

    move(right, down) { // the picture always fills the frame
      const least = 100 * (1 - this.view.zoom);
      this.view.x = clamp(this.view.x + right, least, 0);
      this.view.y = clamp(this.view.y + down, least, 0);
      this.draw();
    }

    reset() {
      this.view = { x: 0, y: 0, zoom: 1 };
      this.position = 50;
    }

    show(side, url, label) {
      this.images[side].src = url;
      this.name(side, label);
      this.draw();
    }

    name(side, label) {
      this.images[side].alt = label;
      this.labels[side].textContent = label;
      const [left, right] = this.images.map((image) => image.alt);
      this.handle.setAttribute("aria-label", say("slider_divider", { left, right }));
    }

    fit() { // the frame has the shape of the pictures
      const image = this.images[1];
      const width = Number(image.getAttribute("width")) || image.naturalWidth;
      const height = Number(image.getAttribute("height")) || image.naturalHeight;
      if (width && height) this.stage.style.setProperty("--ba-aspect", width / height);
    }

    draw() {
      const { x, y, zoom } = this.view;
      const share = this.place;
      for (const image of this.images) {
        image.style.transform = `translate(${x}%, ${y}%) scale(${zoom})`;
        image.style.imageRendering = zoom >= 4 ? "pixelated" : "auto";
      }
      this.stage.style.setProperty("--ba-position", `${this.place}%`);
      this.stage.classList.toggle("ba-zoomed", zoom > 1);
      this.handle.setAttribute("aria-valuenow", share);
      const [left, right] = this.images.map((image) => image.alt);
      this.handle.setAttribute("aria-valuetext", say("slider_value", { left, right, left_share: share, right_share: 100 - share }));
      this.readout.textContent = `${Number(zoom.toFixed(1))}×`;
      this.dispatchEvent(new Event("slide"));
    }
  }

  customElements.define("before-after", BeforeAfter);
})();
