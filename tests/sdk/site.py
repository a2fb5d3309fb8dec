"""The page that the table of actions plays on, and sounds and films made on the spot: no binary fixture."""

from __future__ import annotations

import io
import wave
from typing import Final

from tests.sdk.stage import StaticSite, serve_builds, tag

SOUND_S: Final = 3.2

PAGE: Final = """<!doctype html><html><head><meta charset="utf-8"><title>Runner</title>{tag}
<style>main {{ width: 600px }} .tall {{ height: 4000px }} img, figure {{ width: 60px; height: 60px }}</style></head>
<body data-segma-category="shoes"><main>
<nav><a class="sale" href="#sale">Sale</a></nav><p id="plain">Write to jo@example.org</p>
<button id="subscribe"><svg width="20" height="20"><rect width="20" height="20"></rect></svg><i>Subscribe</i></button>
<div role="button" id="rolled" tabindex="0">Roll</div><button id="gone" onclick="this.remove()">Gone</button>
<div class="shut"><button class="follow" onclick="this.className = 'on'; this.textContent = 'Following';
 this.parentNode.className = 'open'">Follow</button></div>
<label id="label">Agree <input type="checkbox" id="agree" name="agree"></label>
<a id="zip" href="/price-list.zip">Prices</a><a id="pdf" href="/catalogue.pdf">Catalogue</a>
<a id="named" href="data:text/plain,private" download="notes.txt">Notes</a>
<button id="add" data-segma-action="product_added" data-segma-sku="r-1" data-segma-value="89.5"
 data-segma-category="shoes" data-segma-brand="Corner" data-segma-tags="road, light">Add</button>
<button id="buy" data-segma-action="product_bought" data-segma-sku="r-1" data-segma-value="89.5"
 data-segma-order-id="o-1">Buy</button>
<a id="logout" href="#out" data-segma-action="logged_out">Log out</a>
<form id="login" data-segma-action="logged_in" data-segma-method="password">
 <input name="user" id="user"><input type="password" id="password"><button id="enter">Enter</button></form>
<form id="contact"><input id="company" name="company"><select id="size" name="size"><option value="">-<option>L</select>
 <textarea id="note" name="note"></textarea><div id="free" contenteditable="true"></div>
 <input id="card" name="cardnumber" autocomplete="cc-number"><input id="code" autocomplete="one-time-code">
 <span data-segma-mask><input id="masked" name="masked"></span><button id="send">Send</button></form>
<form role="search" id="find"><input type="search" id="query" name="q"></form>
<img class="product" alt="Runner" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">
<figure class="card"></figure><p id="secret">The canary sings at noon in paragraph-canary</p>
<my-box></my-box><my-safe></my-safe>
<video id="film" src="/tone.wav" width="40" height="40"></video><audio id="talk" src="/tone.wav"></audio>
<form id="pay"><input name="ccname" autocomplete="cc-name"><input name="number" id="number" autocomplete="cc-number">
 <input name="month" autocomplete="cc-exp-month"><input name="year" autocomplete="cc-exp-year">
 <input name="cvc" autocomplete="cc-csc"></form>
<form id="deliver"><input id="who" name="who" autocomplete="name"><input name="street" autocomplete="street-address">
 <input name="city" autocomplete="address-level2"><input name="zip" autocomplete="postal-code"></form>
<div class="tall"></div><h2 id="prices">Prices</h2><div id="half" data-segma-point="stories">Stories</div>
<div class="tall"></div></main>
<script>
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
for (const link of document.querySelectorAll("#zip, #pdf, #named"))
  link.addEventListener("click", (event) => event.preventDefault());
const inside = '<button id="inner"><b>Inner</b></button><form><input name="deep"></form>';
for (const [name, mode] of [["my-box", "open"], ["my-safe", "closed"]]) {{
  customElements.define(name, class extends HTMLElement {{
    connectedCallback() {{
      const root = this.attachShadow({{ mode }});
      const part = document.createElement("div");
      part.append(...new DOMParser().parseFromString(inside, "text/html").body.childNodes);
      root.append(part);
      part.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    }}
  }});
}}
</script></body></html>"""

PLAYER: Final = {
    "youtube": """<script>let sent = false; addEventListener("message", (event) => {
  const said = JSON.parse(event.data);
  if (said.event !== "listening" || sent) return;
  sent = true;
  const say = (info) => event.source.postMessage(JSON.stringify({ event: "infoDelivery", info }), "*");
  say({ duration: 4, playerState: 1, currentTime: 0 });
  for (let at = 0.5; at <= 4; at += 0.5) say({ currentTime: at });
  say({ playerState: 0 });
});</script>""",
    "vimeo": """<script>let sent = false; addEventListener("message", (event) => {
  const said = JSON.parse(event.data);
  if (said.method !== "addEventListener" || said.value !== "ended" || sent) return;
  sent = true;
  const say = (event_, data) => event.source.postMessage(JSON.stringify({ event: event_, data }), "*");
  say("play", { seconds: 0, duration: 4 });
  for (let at = 0.5; at <= 4; at += 0.5) say("timeupdate", { seconds: at, duration: 4 });
  say("ended", { seconds: 4, duration: 4 });
});</script>""",
}
"""Players that speak the two protocols; what a real one sends while a film of four seconds is watched to its end."""


def tone() -> bytes:
    """A WAV file of silence."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        file.writeframes(b"\x80" * int(SOUND_S * 8_000))
    return data.getvalue()


def serve(site: StaticSite, build: str, collector: str, attributes: str = "") -> str:
    """Put everything up; the page's address."""
    serve_builds(site)
    site.put("/tone.wav", tone(), "audio/wav")
    site.put("/price-list.zip", b"PK", "application/zip")
    site.put("/catalogue.pdf", b"%PDF-1.4", "application/pdf")
    return site.put("/shop/runner", PAGE.format(tag=tag(build, collector, attributes)))
