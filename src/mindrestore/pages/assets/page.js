/* Tables that sort, and choices of what a slider shows.

   <table data-sortable>: every heading of its <thead> becomes a button that sorts the rows of the first <tbody>. A cell
   sorts by its data-value where it has one, else by its text; numbers sort as numbers, and what is none comes last.

   <select data-slider="ID" data-side="0">: the slider of that id shows what the value of the option names, under its text.
   <select data-every-side="0">: every slider whose own select has an option of this text shows it. */
(() => {
  "use strict";
  const order = new Intl.Collator(undefined, { numeric: true });

  function key(row, column) {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = text === "inf" ? Infinity : Number(text);
    return { text, number: text === "" || Number.isNaN(number) ? null : number };
  }

  function compare(one, other, direction, numbers) {
    if (!numbers) return direction * order.compare(one.text, other.text);
    if (one.number === null || other.number === null) return (one.number === null) - (other.number === null);
    return one.number === other.number ? 0 : direction * (one.number < other.number ? -1 : 1);
  }

  function sort(table, heading) {
    const column = heading.cellIndex, body = table.tBodies[0];
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const rows = [...body.rows].map((row) => ({ row, key: key(row, column) }));
    const numbers = rows.some((entry) => entry.key.number !== null) && heading.dataset.kind !== "text";
    rows.sort((one, other) => compare(one.key, other.key, direction, numbers));
    body.append(...rows.map((entry) => entry.row));
    for (const each of table.tHead.querySelectorAll("th")) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    for (const heading of table.tHead.querySelectorAll("th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      button.dataset.sayTitle = "sort_by";
      button.addEventListener("click", () => sort(table, heading));
      heading.append(button);
    }
  }

  Words.apply(); // the titles of these buttons

  function show(select) {
    const option = select.selectedOptions[0], slider = document.getElementById(select.dataset.slider), side = Number(select.dataset.side);
    for (const name of ["sayAlt", "values"]) delete slider.images[side].dataset[name];
    if (option.dataset.say) slider.images[side].dataset.sayAlt = option.dataset.say;
    if (option.dataset.values) slider.images[side].dataset.values = option.dataset.values;
    slider.show(side, option.value, option.text);
  }

  for (const select of document.querySelectorAll("select[data-slider]")) {
    select.addEventListener("change", () => show(select));
  }
  for (const every of document.querySelectorAll("select[data-every-side]")) {
    every.addEventListener("change", () => {
      for (const select of document.querySelectorAll(`select[data-slider][data-side="${every.dataset.everySide}"]`)) {
        const option = [...select.options].find((each) => each.text === every.selectedOptions[0].text);
        if (!option) continue;
        select.value = option.value;
        show(select);
      }
    });
  }
})();
