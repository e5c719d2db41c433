"use strict";
(function () {
  const main = document.getElementById("machines");
  const machines = Array.from(main.querySelectorAll("details.machine"));
  const filter = document.getElementById("filter");
  const sort = document.getElementById("sort");
  const shown = document.getElementById("shown");
  const number = (one, key) => Number(one.dataset[key]);
  const text = (one, key) => one.dataset[key].toLowerCase();

  function compare(key) {
    if (key === "number") return (a, b) => number(a, key) - number(b, key);
    if (key === "seconds") return (a, b) => number(b, key) - number(a, key);
    return (a, b) => text(a, key).localeCompare(text(b, key), undefined, { numeric: true }) ||
      number(a, "number") - number(b, "number");
  }

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of machines) {
      const fits = words.every((word) => text(one, "search").includes(word) || text(one, "boot").includes(word));
      one.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count + " of " + machines.length;
  }

  filter.addEventListener("input", show);
  sort.addEventListener("change", () => {
    machines.sort(compare(sort.value));
    main.append(...machines);
  });
  document.getElementById("open").addEventListener("click", () => {
    for (const one of machines) if (!one.hidden) one.open = true;
  });
  window.addEventListener("beforeprint", () => {
    for (const one of machines) if (!one.hidden && one.dataset.state === "failed") one.open = true;
  });
  document.getElementById("tools").hidden = false;
  show();
})();
