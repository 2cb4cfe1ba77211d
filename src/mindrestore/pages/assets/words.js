/* The texts of a page in the language of its reader: that of the browser, or the one chosen with the switch.

   window.WORDS          language -> key -> text, set before this file is loaded; `{name}` stands for a value
   data-say="key"        the text of an element; data-say-title="key" and the like: the text of an attribute
   data-values='{...}'   the values in them; {"say": "key", "values": {...}} is a text, too
   #language             a button that switches to the other language
   Words.say(key, {...}) a text, for scripts
   event "language"      on document, after the language has changed */
(() => {
  "use strict";
  const STORE = "mindrestore language", ATTRIBUTES = ["title", "aria-label", "alt", "placeholder"];
  const known = Object.keys(window.WORDS);
  const NAMES = { en: "English", zh: "中文" };

  function stored() {
    try {
      return localStorage.getItem(STORE);
    } catch { // a page from disk may have no store
      return null;
    }
  }

  function preferred() {
    const wanted = [stored(), ...(navigator.languages || [navigator.language])];
    return wanted.map((language) => (language || "").slice(0, 2)).find((language) => known.includes(language)) || known[0];
  }

  function written(value) { // a value may be a text itself, or several
    if (Array.isArray(value)) return value.map(written).join(Words.say("semicolon"));
    return value.say ? Words.say(value.say, value.values) : value;
  }

  const Words = {
    language: preferred(),

    say(key, values = {}) {
      const text = window.WORDS[Words.language][key];
      if (text === undefined) throw new Error(`no text for ${key}`);
      return text.replace(/\{(\w+)\}/g, (_, name) => {
        if (values[name] === undefined) throw new Error(`no ${name} for ${key}`);
        return written(values[name]);
      });
    },

    apply(root = document) { // sets every text below root
      const values = (element) => JSON.parse(element.dataset.values || "{}");
      for (const element of root.querySelectorAll("[data-say]")) {
        element.textContent = Words.say(element.dataset.say, values(element));
      }
      for (const attribute of ATTRIBUTES) {
        for (const element of root.querySelectorAll(`[data-say-${attribute}]`)) {
          element.setAttribute(attribute, Words.say(element.getAttribute(`data-say-${attribute}`), values(element)));
        }
      }
    },

    use(language) {
      Words.language = language;
      try {
        localStorage.setItem(STORE, language);
      } catch { /* the choice then holds for this page only */ }
      show();
    },
  };

  function show() {
    document.documentElement.lang = Words.language;
    Words.apply();
    const other = known.find((language) => language !== Words.language), button = document.getElementById("language");
    button.textContent = NAMES[other];
    button.lang = other;
    document.dispatchEvent(new Event("language"));
  }

  window.Words = Words;
  document.getElementById("language").addEventListener("click", () => {
    Words.use(known.find((language) => language !== Words.language));
  });
  show();
})();
