"use strict";
const root = document.documentElement;
const search = document.querySelector("#search");
const found = document.querySelector(".found");
const cards = [...document.querySelectorAll("article")];
const links = new Map([...document.querySelectorAll(".contents li a")].map((link) => [link.hash.slice(1), link]));
const kinds = [...document.querySelectorAll("button[data-status]")];

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const status = kinds.find((button) => button.getAttribute("aria-pressed") === "true").dataset.status;
  let count = 0;
  for (const card of cards) {
    const text = card.dataset.words ??= (card.id + " " + card.textContent).toLowerCase();
    const fits = (status === "all" || card.dataset.status === status) && words.every((word) => text.includes(word));
    card.hidden = !fits;
    links.get(card.id).parentElement.hidden = !fits;
    count += fits;
  }
  for (const section of document.querySelectorAll("main section")) section.hidden = !section.querySelector("article:not([hidden])");
  for (const group of document.querySelectorAll(".contents div")) group.hidden = !group.querySelector("li:not([hidden])");
  found.textContent = `${count} of ${cards.length}`;
  document.querySelector(".none").hidden = count > 0;
}

for (const button of kinds) {
  button.addEventListener("click", () => {
    for (const other of kinds) other.setAttribute("aria-pressed", String(other === button));
    show();
  });
}
search.addEventListener("input", show);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  if (event.key === "Escape" && document.activeElement === search) { search.value = ""; show(); }
});
if (matchMedia("(prefers-color-scheme: dark)").matches) root.classList.add("dark");
document.querySelector("#theme").addEventListener("click", () => root.classList.toggle("dark"));
document.querySelector(".bar-top").hidden = false;
show();
