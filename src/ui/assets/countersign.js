// What the pages gain where scripts run: live progress, copying, filters of the file list, keys. Everything here can be
// missing: the pages read and approve without it.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** A report that is not final yet: each event brings the row of steps anew, or says that the page has changed. */
function followProgress() {
  const section = document.getElementById("progress");
  if (!section?.dataset.events) return;
  const events = new EventSource(section.dataset.events);
  const reload = () => {
    events.close();
    location.reload();
  };
  events.addEventListener("changed", reload);
  events.addEventListener("steps", (event) => {
    // A page that was made without steps says something else above them too.
    if (section.hidden) return reload();
    const fresh = new DOMParser().parseFromString(event.data, "text/html");
    section.replaceChildren(...fresh.body.childNodes);
  });
}

/** Buttons that copy a text or the content of an element. Without the permission to copy they stay hidden. */
function offerCopying() {
  if (!navigator.clipboard) return;
  for (const button of all(".copy")) {
    button.classList.add("ready");
    button.addEventListener("click", async () => {
      const { copy, copyText } = button.dataset;
      await navigator.clipboard.writeText(copyText ?? document.querySelector(copy).textContent);
      const label = button.textContent;
      button.textContent = "Copied";
      button.addEventListener("blur", () => (button.textContent = label), { once: true });
    });
  }
}

/** Code fields take a pasted code with blanks in it and keep its digits. */
function keepDigits() {
  for (const field of all("[data-digits]")) {
    field.addEventListener("input", () => {
      field.value = field.value.replace(/\D/g, "").slice(0, Number(field.dataset.digits));
    });
  }
}

/** The file list: filters without asking the service where every file is on the page, and search. */
function filterFiles() {
  const form = document.getElementById("file-filters");
  if (!form) return;
  const search = document.getElementById("file-search");
  const rows = all("#file-list tr");
  const complete = form.dataset.complete === "true";
  let filter = form.querySelector("[aria-current]")?.dataset.filter ?? "all";
  const admits = (status) =>
    !complete || filter === "all" || filter === status || (filter === "differing" && status !== "same");

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const narrowed = words.length > 0 || filter !== "all";
    for (const row of rows) {
      const path = row.dataset.path.toLowerCase();
      row.hidden = !admits(row.dataset.status) || !words.every((word) => path.includes(word));
    }
    for (const folder of all("#file-list details")) {
      const shown = all("tr", folder).some((row) => !row.hidden);
      folder.hidden = !shown;
      if (shown && narrowed) folder.open = true;
    }
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  search.hidden = false;
  search.addEventListener("input", apply);
  for (const link of complete ? all("[data-filter]", form) : []) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      filter = link.dataset.filter;
      for (const other of all("[data-filter]", form)) other.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
      apply();
    });
  }
  return search;
}

/** j and k walk the files, enter opens one, a slash goes to the search. */
function listenToKeys(search) {
  if (!search) return;
  let at = -1;
  const shown = () => all("#file-list details[open] tr").filter((row) => !row.hidden && row.offsetParent);
  const move = (step) => {
    const rows = shown();
    if (rows.length === 0) return;
    rows[at]?.classList.remove("at");
    at = Math.min(Math.max(at + step, 0), rows.length - 1);
    all("#file-list tr.at").forEach((row) => row.classList.remove("at"));
    rows[at].classList.add("at");
    rows[at].querySelector("a").focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") {
      event.preventDefault();
      search.focus();
    }
  });
}

followProgress();
offerCopying();
keepDigits();
listenToKeys(filterFiles());
