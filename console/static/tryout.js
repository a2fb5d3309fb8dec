// The page's own script: marks each action that has arrived, and shows the newest of this browser. Text only, never HTML.
"use strict";

const site = document.querySelector("script[data-site]").dataset.site;
// As the server shows it (contracts/tokens.py): the whole of it is nobody else's.
const device = () => {
  const id = localStorage.getItem(`segma.${site}.device`) || "";
  return id && `${id.slice(0, Math.min(8, Math.floor(id.length / 2)))}…`;
};
const make = (tag, text, className) => Object.assign(document.createElement(tag), { textContent: text, className: className || "" });
const marks = new Map();

for (const place of document.querySelectorAll("[data-try]")) {
  for (const action of place.dataset.try.split(" ")) {
    const mark = make("code", action);
    marks.set(action, mark);
    place.append(mark, " ");
  }
}
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("layer").addEventListener("click", () => {
  (window.dataLayer ||= []).push({
    event: "purchase",
    ecommerce: { transaction_id: `D-${Date.now()}`, currency: "EUR", items: [{ item_id: "daypack", item_category: "bags", price: 69, quantity: 1 }] },
  });
});
document.getElementById("in-place").addEventListener("click", () => history.pushState({}, "", `/try/${Math.floor(performance.now())}`));

new EventSource("/live/try").onmessage = (message) => {
  const own = JSON.parse(message.data).events.filter((event) => event.device === device());
  for (const { action } of own) marks.get(action)?.classList.add("came");
  document.getElementById("arrived").replaceChildren(
    ...own.slice(0, 40).map((event) => {
      const item = make("li", "");
      item.append(make("b", event.action), make("span", JSON.stringify(event.properties)));
      return item;
    }),
  );
};
