// Fills the live pages. Whatever comes from outside is set as text, never as HTML.
"use strict";

const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};
const time = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });
const put = (id, children) => document.getElementById(id).replaceChildren(...children);

// `+list` and `-list`, or `t+tag` and `t-tag`, in words; a field (`=name`) as it is.
function inWords(change, words) {
  const [, kind, sign, name] = /^(t?)([+-])(.*)$/s.exec(change) ?? [];
  return sign ? words[sign === "+" ? "into" : "out"].replace("{list}", () => (kind ? `#${name}` : name)) : change;
}

function showLists({ lists, moves }) {
  const words = document.getElementById("moves").dataset;
  put("lists", lists.map((each) => {
    const box = make("section", undefined, "list");
    const members = make("ul");
    members.append(...each.members.map((name) => make("li", name)));
    box.append(make("h3", each.list), make("p", `${each.account} · ${each.members.length}`, "quiet"), members);
    box.dataset.list = each.list;
    return box;
  }));
  put("moves", moves.map((move) => {
    const item = make("li");
    const speed = move.after_ms === null ? words.waited : words.after.replace("{ms}", () => move.after_ms);
    const change = move.changed.map((each) => inWords(each, words)).join(", ");
    item.append(
      make("b", `${move.person}: ${change || words[move.result] || move.result}`),
      make("span", `${time(move.at_ms)} · ${move.listener} · ${speed}${move.reason ? ` · ${move.reason}` : ""}`, "quiet"),
    );
    const because = make("ul", undefined, "steps");
    because.append(...move.steps.map((step) => make("li", `${step.step}: ${step.events.map((event) => `${event.action} ${time(event.at_ms)}`).join(", ")}`)));
    item.append(because);
    return item;
  }));
}

function showEvents({ events }) {
  put("events", events.map((event) => {
    const row = make("tr");
    const action = event.reason ? `${event.action} (${event.reason})` : event.action;
    row.append(make("td", time(event.at_ms)), make("td", event.person), make("td", action), make("td", JSON.stringify(event.properties), "quiet"), make("td", event.trust));
    return row;
  }));
}

// A part of a page that waits for the history comes in when it is there. The server has escaped what it holds, and the
// page's policy runs no script of it.
// What it has for cells of the page's table goes there: into the one of this id, and those behind it. One that is not done yet asks again.
function bring(place) {
  fetch(place.dataset.part).then(async (answer) => {
    if (answer.redirected || answer.status === 401) return location.reload();
    const part = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const each of part.querySelectorAll("[data-fills]")) {
      let cell = document.getElementById(each.dataset.fills);
      for (const one of each.children) {
        cell?.replaceChildren(...one.childNodes);
        cell = cell?.nextElementSibling;
      }
      each.remove();
    }
    place.replaceChildren(...(part.querySelector("main") ?? part.body).childNodes);
    place.dataset.loaded = "true";
    if (place.querySelector("[data-again]")) setTimeout(bring, 500, place);
  }).catch(() => { place.dataset.failed = "true"; });
}
document.querySelectorAll("[data-part]").forEach(bring);

// What came last of each site, and how long ago: counted on by the second.
let seen = [];
function countOn() {
  for (const place of document.querySelectorAll("[data-site]")) {
    const last = seen.find((each) => each.site === place.dataset.site && each.workspace === place.dataset.workspace);
    if (!last) continue;
    const ago = Math.max(0, Math.round((Date.now() - last.at_ms) / 1000));
    place.textContent = place.dataset.seen.replace("{ago}", () => ago).replace("{what}", () => `${last.action} ${last.path}`);
  }
}
function showSites({ sites }) {
  seen = sites;
  countOn();
}
if (document.body.dataset.page === "sites") setInterval(countOn, 1000);

const live = { lists: showLists, events: showEvents, sites: showSites }[document.body.dataset.page];
if (live) new EventSource(`/live/${document.body.dataset.page}${location.search}`).onmessage = (message) => live(JSON.parse(message.data));

// The form of a listener and its YAML follow each other: after each change the server brings both together. What was
// typed meanwhile is not written over; the next change brings it along.
const writing = document.getElementById("write");
const typed = () => new URLSearchParams(new FormData(writing)).toString();
async function followed(sent, how) {
  const answer = await fetch(writing.action, { method: "POST", body: new URLSearchParams(`${sent}&do=${how}`) });
  if (answer.redirected || answer.status === 401) return location.reload();
  const came = new DOMParser().parseFromString(await answer.text(), "text/html");
  return came.getElementById("write") ? came : undefined;
}
const take = (came, ids) => {
  const here = document.activeElement?.id;
  for (const id of ids) document.getElementById(id).replaceWith(came.getElementById(id));
  if (here) document.getElementById(here)?.focus();
  if (!ids.includes("yaml")) return;
  const [text, now] = [document.getElementById("text"), came.getElementById("text").value];
  if (text.value !== now) text.value = now; // else its cursor would go to the end
  text.dispatchEvent(new Event("followed"));
};
writing?.addEventListener("change", async (event) => {
  if (event.target.closest("#tried")) return;
  const sent = typed();
  const came = await followed(sent, "follow");
  if (came && typed() === sent) take(came, ["said", "cells", "yaml"]);
});
// Trying it may wait for the history: the page stays, and what was found comes in. Enter in the person's field means it.
writing?.addEventListener("submit", async (event) => {
  const how = document.activeElement?.id === "person" ? "try_person" : event.submitter?.value ?? "";
  if (!how.startsWith("try_")) return;
  event.preventDefault();
  const sent = typed();
  document.getElementById("tried").ariaBusy = "true";
  const came = await followed(sent, how).catch(() => undefined);
  if (came) take(came, typed() === sent ? ["said", "cells", "yaml", "tried"] : ["tried"]);
  else document.getElementById("tried").ariaBusy = "false";
});
