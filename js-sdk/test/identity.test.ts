import assert from "node:assert/strict";
import { test } from "node:test";
import { consentIn } from "../src/consent";
import { declaredProperties, isSecretName, scrubbed, selectorOf, type Looked } from "../src/element";
import { kindOfLink } from "../src/features/clicks";
import { landingOf, randomId, whoIn, type Landing } from "../src/identity";
import { settingsOf } from "../src/settings";
import { storeIn, type Store } from "../src/store";
import { masked, plain } from "../src/text";
import { urlOf } from "../src/urls";
import { isAction } from "../src/words";

const TOKEN = `k.${"T".repeat(24)}`;
const settings = settingsOf({ src: "https://c.example/sdk/segma.js", dataset: { site: "KEY1" } });
assert.ok(settings);

test("the script tag names site and collector", () => {
  assert.equal(settings.collector, "https://c.example");
  assert.equal(settingsOf({ src: "https://c.example/x.js", dataset: {} }), undefined);
});

test("token and click id leave the address, everything else keeps its spelling", () => {
  const landing = landingOf(`https://shop.example/a?x=%7e1&sgm=${TOKEN}&utm_campaign=spring&sgm_click=c1&y=a+b#top`, settings);
  assert.deepEqual(landing, { token: TOKEN, broken: undefined, click: "c1", campaign: "spring", cleaned: "https://shop.example/a?x=%7e1&utm_campaign=spring&y=a+b#top" });
});

test("an address without them is left alone, and what is too long or odd is not believed", () => {
  assert.equal(landingOf("https://shop.example/a?x=1", settings).cleaned, undefined);
  const odd = landingOf(`https://shop.example/?sgm=${"a".repeat(3000)}&sgm_click=<b>&%E0=1`, settings);
  assert.deepEqual([odd.token, odd.click, odd.cleaned], ["", "", "https://shop.example/?%E0=1"]);
});

test("a fragment may carry them as well, beside a route or alone", () => {
  for (const [address, cleaned] of [
    [`https://s.example/a#sgm=${TOKEN}&sgm_click=c1`, "/a"],
    [`https://s.example/a?x=1#sgm=${TOKEN}&sgm_click=c1&y=2`, "/a?x=1#y=2"],
    [`https://s.example/a#/basket?sgm=${TOKEN}&sgm_click=c1`, "/a#/basket"],
    [`https://s.example/a#/basket?y=%7e&sgm=${TOKEN}&sgm_click=c1`, "/a#/basket?y=%7e"],
  ] as const) {
    const landing = landingOf(address, settings);
    assert.deepEqual([landing.token, landing.click, landing.cleaned], [TOKEN, "c1", `https://s.example${cleaned}`]);
  }
  assert.equal(landingOf("https://s.example/a#top", settings).cleaned, undefined);
});

test("names of parameters are configurable", () => {
  const own = settingsOf({ src: "https://c.example/x.js", dataset: { site: "K", tokenParam: "t", clickParam: "k" } });
  assert.ok(own);
  assert.equal(landingOf("https://s.example/?t=1&sgm=2&k=3", own).cleaned, "https://s.example/?sgm=2");
});

test("device and token outlive a page; running numbers go on", () => {
  const kept = new Map<string, string>();
  const backing = { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => void kept.set(k, v), removeItem: (k: string) => void kept.delete(k) };
  const first = whoIn(storeIn(backing, "s."), () => "dev1");
  first.landed({ token: "k.T", broken: undefined, click: "c1", campaign: "", cleaned: undefined });
  assert.deepEqual(first.now(), { device: "dev1", token: "k.T", click: "c1" });
  assert.equal(first.nextOrder(), 1);
  const second = whoIn(storeIn(backing, "s."), () => "dev2");
  assert.deepEqual(second.now(), { device: "dev1", token: "k.T", click: "" });
  assert.equal(second.nextOrder(), 2);
  second.forget();
  assert.equal(kept.size, 0);
});

const memory = (): Store => storeIn(undefined, "s.");
const landed = (token: string): Landing => ({ token, broken: undefined, click: "", campaign: "", cleaned: undefined });

test("a login is surer than a link: another person's mail changes nothing but its own click", () => {
  let made = 0;
  const who = whoIn(memory(), () => `dev${(made += 1)}`);
  who.landed(landed("k.ANNA"));
  who.identify("k.ANNA");
  assert.deepEqual(who.landed(landed("k.BEN")), { device: "dev2", token: "k.BEN", click: "" });
  assert.deepEqual(who.now(), { device: "dev1", token: "k.ANNA", click: "" });
});

test("somebody else who logs in begins on a device of their own; the first login keeps what was done before it", () => {
  let made = 0;
  const who = whoIn(memory(), () => `dev${(made += 1)}`);
  assert.equal(who.now().device, "dev1");
  who.identify("k.ANNA");
  assert.deepEqual([who.now().device, who.now().token], ["dev1", "k.ANNA"]);
  who.identify("k.BEN");
  assert.deepEqual([who.now().device, who.now().token], ["dev2", "k.BEN"]);
  who.forget();
  assert.deepEqual([who.now().device, who.now().token], ["dev3", ""]);
});

test("what is kept in memory until somebody agrees is written down then", () => {
  const kept = new Map<string, string>();
  const backing = { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => void kept.set(k, v), removeItem: (k: string) => void kept.delete(k) };
  const store = storeIn(backing, "s.");
  store.permit(false);
  store.keep("device", "d1");
  assert.deepEqual([kept.size, store.kept("device")], [0, "d1"]);
  store.permit(true);
  assert.equal(kept.get("s.device"), "d1");
});

test("where storage is refused, memory serves", () => {
  const refusing = { getItem: () => { throw new Error("no"); }, setItem: () => { throw new Error("no"); }, removeItem: () => { throw new Error("no"); } };
  const who = whoIn(storeIn(refusing, "s."), () => "dev1");
  assert.equal(who.now().device, "dev1");
  assert.deepEqual([who.nextOrder(), who.nextOrder()], [1, 2]);
  who.forget();
});

test("ids are what the wire takes", () => {
  const ids = new Set(Array.from({ length: 1000 }, randomId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9._:-]{24}$/);
});

test("the browser's signals outrank the page", () => {
  const store = storeIn(undefined, "s.");
  assert.equal(consentIn(store, {}, "granted").given(), true);
  assert.equal(consentIn(store, {}, "required").given(), false);
  const asked = consentIn(store, {}, "required");
  asked.answer(true);
  assert.equal(asked.given(), true);
  assert.equal(consentIn(store, { globalPrivacyControl: true }, "granted").given(), false);
  assert.equal(consentIn(store, { doNotTrack: "1" }, "granted").given(), false);
  const unasked = consentIn(storeIn(undefined, "t."), {}, "anonymous");
  assert.deepEqual([unasked.given(), unasked.known()], [true, false]);
  unasked.answer(true);
  assert.deepEqual([unasked.given(), unasked.known()], [true, true]);
  asked.answer(false);
  assert.equal(consentIn(store, {}, "granted").given(), false);
});

const element = (tagName: string, id: string, css: string, parentElement: Looked | null): Looked => ({ tagName, id, getAttribute: () => css, parentElement: parentElement as HTMLElement | null });

test("selectors leave out what looks generated", () => {
  const nav = element("NAV", "", "", element("BODY", "", "", null));
  assert.equal(selectorOf(element("A", "", "sale css-12345 big loud", nav)), "nav > a.sale.big");
  assert.equal(selectorOf(element("BUTTON", "buy", "x", nav)), "button#buy");
  assert.equal(selectorOf(element("BUTTON", "ember1234", "", nav)), "nav > button");
});

test("labels carry no addresses and no cards", () => {
  assert.equal(scrubbed("  Write \n to jo@example.org "), "Write to …");
  assert.equal(scrubbed("Card 4111 1111 1111 1111!"), "Card …!");
  assert.equal(scrubbed("x".repeat(100)).length, 80);
});

test("addresses are cut out of whatever is told, however they are written", () => {
  for (const [text, said] of [
    ["Contact:\njo@shop.example", "Contact:\n…"],
    ['x jo.e+b%40example.org"q', 'x …"q'],
    ["/user/jo@example.org/edit", "…"],
    ["no address @ all", "no address @ all"],
  ] as const) {
    assert.equal(masked(text), said);
  }
});

test("what hangs on a token, or stands in its place, is read as it was meant", () => {
  const at = "https://shop.example//x";
  for (const damage of [".", "]", ")", "*", ":", "…", '"', ">", "%20", "%20)", "%E2%80%A6"]) {
    for (const mark of ["?", "#"]) {
      const landing = landingOf(`${at}${mark}sgm=${TOKEN}${damage}`, settings);
      assert.deepEqual([landing.token, landing.broken, landing.cleaned], [TOKEN, undefined, at], damage);
    }
  }
  const hyphened = landingOf(`${at}?sgm=${TOKEN.slice(0, 9)}%C2%AD${TOKEN.slice(9, 20)}%E2%80%8B${TOKEN.slice(20)}`, settings);
  assert.deepEqual([hyphened.token, hyphened.cleaned], [TOKEN, at]);
  const glued = landingOf(`${at}?sgm=${TOKEN}?utm_source=mail&utm_campaign=spring`, settings);
  assert.deepEqual([glued.token, glued.campaign, glued.cleaned], [TOKEN, "spring", `${at}?utm_source=mail&utm_campaign=spring`]);
  const escaped = landingOf(`${at}?a=1&amp;sgm=${TOKEN}&amp;amp;utm_campaign=spring`, settings);
  assert.deepEqual([escaped.token, escaped.campaign, escaped.cleaned], [TOKEN, "spring", `${at}?a=1&amp;amp;utm_campaign=spring`]);
  const twice = landingOf(`${at}?sgm=#sgm=${TOKEN}`, settings);
  assert.deepEqual([twice.token, twice.broken, twice.cleaned], [TOKEN, undefined, at]);
  for (const none of ["", "*|SEGMATOK|*", "{{%20person.token%20}}", "None", "undefined", "k.short"]) {
    const landing = landingOf(`${at}?sgm=${none}&a=1`, settings);
    assert.deepEqual([landing.token, typeof landing.broken, landing.cleaned], ["", "string", `${at}?a=1`], none);
  }
});

test("a token is read behind what a mail's text put before it, and behind an address that has a query or a fragment", () => {
  for (const [damaged, cleaned] of [
    [`?sgm="${TOKEN}"`, ""],
    [`?sgm=%22${TOKEN}%22&a=1`, "?a=1"],
    [`#sgm=%E2%80%8B${TOKEN}`, ""],
    [`#sgm=<${TOKEN}>`, ""],
    [`?sgm=[${TOKEN}]`, ""],
    [`?sgm==${TOKEN}`, ""],
    [`?id=5?sgm=${TOKEN}`, "?id=5"],
    [`?p?sgm=${TOKEN}&b=2`, "?p?b=2"],
    [`?a=1&sgm=${TOKEN}?utm_source=mail`, "?a=1&utm_source=mail"],
    [`#top#sgm=${TOKEN}`, "#top"],
    [`#sgm=${TOKEN}#top`, "#top"],
    [`?sgm=${TOKEN}#/x?y=2`, "#/x?y=2"],
    [`#/basket&sgm=${TOKEN}`, "#/basket"],
    [`?a=1%23sgm=${TOKEN}`, "?a=1"],
    [`%23sgm=${TOKEN}`, ""],
    [`?a=1%23sgm=${TOKEN}&b=2`, "?a=1&b=2"],
    [`?a=1&#038;sgm=${TOKEN}`, "?a=1&"],
    [`&sgm=${TOKEN}`, ""],
  ] as const) {
    const landing = landingOf(`https://shop.example/x${damaged}`, settings);
    assert.deepEqual([landing.token, landing.broken, landing.cleaned], [TOKEN, undefined, `https://shop.example/x${cleaned}`], damaged);
  }
  const asked = landingOf(`https://shop.example/x?utm_campaign=Q%26A%3F%23+1&sgm=${TOKEN}`, settings);
  assert.deepEqual([asked.campaign, asked.cleaned], ["Q&A?# 1", "https://shop.example/x?utm_campaign=Q%26A%3F%23+1"]);
  for (const none of ["?sgm", "?a=1&sgm", "?sgm={{person.segma_token_of_subscriber}}", "?sgm=*|SEGMA.TOKEN_OF_THE_SUBSCRIBER_HERE|*", "?sgm=<%= person.segma_token_of_subscriber %>", "?sgm=$person.segma_token_of_subscriber"]) {
    const landing = landingOf(`https://shop.example/x${none}`, settings);
    assert.deepEqual([landing.token, typeof landing.broken], ["", "string"], none);
  }
  for (const other of ["?next=%2Fx%3Fsgm%3Dabc", "#sgma=1", "?xsgm=1", "?a=sgm", "/sgm=1"]) assert.equal(landingOf(`https://shop.example/x${other}`, settings).cleaned, undefined, other);
});

test("numbers of cards are cut out beside other numbers, which stay", () => {
  for (const [text, said] of [
    ["Order 1234 4111 1111 1111 1111", "Order 1234 …"],
    ["2024 4111-1111-1111-1111", "2024 …"],
    ["No 100200 3782 822463 10005", "No 100200 …"],
    ["5555.5555.5555.4444 12/27", "… 12/27"],
    ["iphone 15 256 gb", "iphone 15 256 gb"],
    ["978-3-16-148410-0", "978-3-16-148410-0"],
    ["1732921234567", "1732921234567"],
    ["4111 1111 1111 1112", "4111 1111 1111 1112"],
  ] as const) {
    assert.equal(masked(text), said);
  }
});

test("what a framework hands over is told as far as there is room, however much hangs on it", () => {
  const node = (depth: number): object => Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`n${at}`, depth ? lazy(depth - 1) : () => 0]));
  let looks = 0;
  const lazy = (depth: number): object => new Proxy({}, { ownKeys: () => ((looks += 1), Object.keys(node(0))), getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }), get: () => (depth ? lazy(depth - 1) : () => 0) });
  assert.deepEqual(plain({ first: 1, event: lazy(7) })["first"], 1);
  assert.ok(looks < 3_000, `${looks} objects were looked at`);
});

test("secret fields are told by whole words of their names", () => {
  for (const secret of ["password", "newPassword", "user_passwd", "card-number", "cardNumber", "cardnumber", "securityCode", "walletPassphrase", "ccCvv2", "cc_exp", "ccNumber", "cvv2", "iban", "SSNInput", "OTPCode", "userPINField", "CVCField", "ssn", "otp", "one-time-code", "pinCode", "pin", "secret"]) assert.ok(isSecretName(secret), secret);
  for (const open of ["q-className", "passenger", "postcard", "compass", "spinner", "hotpot", "cc", "discard", "massage", "classname", "shipping", "opinion"]) assert.ok(!isSecretName(open), open);
});

test("parameters that may leave are cut at whole characters", () => {
  const search = `?utm_x=${encodeURIComponent(`${"a".repeat(199)}😀b`)}`;
  assert.equal(urlOf({ origin: "https://s.example", pathname: "/", search }, ["utm_*"]), `https://s.example/?utm_x=${"a".repeat(199)}${encodeURIComponent("😀")}`);
});

test("declared properties", () => {
  const dataset = { segmaAction: "product_added", segmaSku: "r-1", segmaOrderId: "7", segmaValue: "89.5", segmaQuantity: "many", segmaTags: "road, light,", other: "no" };
  assert.deepEqual(declaredProperties(dataset), { sku: "r-1", order_id: "7", value: "89.5", quantity: "many", tags: ["road", "light"] });
});

test("links to files", () => {
  assert.equal(kindOfLink("https://s.example/a.pdf?x=1", false), "pdf_viewed");
  assert.equal(kindOfLink("https://s.example/a.pdf", true), "file_downloaded");
  assert.equal(kindOfLink("https://s.example/a.ZIP#x", false), "file_downloaded");
  assert.equal(kindOfLink("https://s.example/a", false), undefined);
  assert.equal(kindOfLink(" ../a.pdf\n", false), "pdf_viewed");
  assert.equal(kindOfLink("nonsense", false), undefined);
});

test("names of actions", () => {
  assert.ok(isAction("page_viewed"));
  for (const bad of ["", "Page", "1x", "a".repeat(65), 7, undefined]) assert.ok(!isAction(bad));
});
