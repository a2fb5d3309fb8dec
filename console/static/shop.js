// The shop's own script: a basket in localStorage. Segma's events come from the data attributes, and from track().
"use strict";

const read = () => JSON.parse(localStorage.getItem("basket") || "[]");
const write = (lines) => {
  localStorage.setItem("basket", JSON.stringify(lines));
  show();
};
const say = (text) => {
  const place = document.querySelector("[data-said]");
  if (place) place.textContent = text;
};

function show() {
  const lines = read();
  document.querySelector("[data-basket-count]").textContent = lines.length;
  const list = document.getElementById("basket");
  if (!list) return;
  list.replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = `${line.name} — € ${line.value}`;
    return item;
  }));
  document.getElementById("empty").hidden = lines.length > 0;
  document.getElementById("checkout").hidden = lines.length === 0;
}

document.addEventListener("click", ({ target }) => {
  if (target.matches(".add")) {
    const { segmaSku: sku, segmaCategory: category, segmaValue: value, name } = target.dataset;
    write([...read(), { sku, category, name, value: Number(value) }]);
    say("It is in your basket.");
  } else if (target.matches(".buy")) say("Thank you. It would be on its way.");
  else if (target.id === "checkout") {
    for (const { sku, category, value } of read()) window.segma?.track?.("product_bought", { sku, category, value });
    write([]);
    say("Thank you. Everything would be on its way.");
  }
});
show();
