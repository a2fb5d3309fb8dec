"""The demo's page on which every action can be tried and is seen arriving: what a static page can do with one tag."""

from __future__ import annotations

import io
import wave
from typing import Final

from console.markup import Html

SOUND_S: Final = 12
SAMPLES_PER_S: Final = 8_000


def tone() -> bytes:
    """A quiet ticking, as a WAV file: the demo ships no recording."""
    data = io.BytesIO()
    tick = bytes(128 + (24 if at % 16 < 8 else -24) for at in range(200))
    second = tick + b"\x80" * (SAMPLES_PER_S - len(tick))
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(SAMPLES_PER_S)
        file.writeframes(second * SOUND_S)
    return data.getvalue()


def leaflet() -> bytes:
    """The smallest PDF with a page in it."""
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>",
    ]
    data, places = b"%PDF-1.4\n", list[int]()
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj" % number + part + b"endobj\n"
    table = b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return data + table + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(data)


BODY: Final = Html("""<p class="lead">Do something; what Segma hears of it appears beside it. The page is static: one script tag, nothing else.</p>
<div class="tryout"><div>
<section><h2>Clicks and files</h2><p><button id="subscribe">A button</button> <a href="#here">A link</a>
 <span id="words">Some words</span> <a href="/files/prices.csv">Prices (CSV)</a>
 <a href="/files/leaflet.pdf" target="_blank">Leaflet (PDF)</a></p>
 <p data-try="page_clicked button_clicked file_downloaded pdf_viewed"></p></section>
<section><h2>Basket and purchase</h2><p>
 <button data-segma-action="product_added" data-segma-sku="runner" data-segma-category="shoes" data-segma-value="89"
  data-segma-brand="Corner" data-segma-tags="road, light">Add</button>
 <button data-segma-action="product_bought" data-segma-sku="runner" data-segma-category="shoes"
  data-segma-value="89">Buy</button>
 <button data-segma-action="product_bought" data-segma-sku="trail" data-segma-category="shoes"
  data-segma-value="119">Buy a similar one</button>
 <button id="layer" class="quiet">Buy by the dataLayer</button></p>
 <p data-try="product_added product_bought similar_product_bought"></p></section>
<section><h2>Who it is</h2><p><button data-segma-action="logged_in" data-segma-method="demo">Log in</button>
 <button class="quiet" data-segma-action="logged_out">Log out</button></p><p data-try="logged_in logged_out"></p></section>
<section><h2>Forms and search</h2><form name="contact"><label>Company <input name="company"></label>
 <label>Size <select name="size"><option value="">–<option>S<option>L</select></label>
 <label>Password <input type="password" name="password" autocomplete="off"></label> <button>Send</button></form>
 <form role="search"><label>Search <input type="search" name="query"></label></form>
 <p data-try="field_focused field_unfocused form_filled form_submitted searched"></p>
 <p class="lead">The password field is silent, whatever is done in it.</p></section>
<section><h2>Keys</h2><p><kbd>Esc</kbd>, <kbd>↑</kbd> <kbd>↑</kbd> <kbd>↓</kbd> one after the other, <kbd>↓</kbd> held,
 <kbd>Ctrl</kbd>+<kbd>K</kbd>; and the letter <kbd>x</kbd>, or the word <kbd>help</kbd>, typed here:
 <input aria-label="Type here" id="typing"></p>
 <p data-try="key_pressed key_held key_released shortcut_pressed letter_typed"></p>
 <p class="lead">Other keys are told by nobody: the listener <code>tried-it</code> names only these.</p></section>
<section><h2>Mouse</h2><div id="pad" data-segma-hover>Come over, press, rest here for a second</div>
 <p data-try="mouse_over mouse_pressed mouse_moved hovered"></p></section>
<section><h2>Copy and paste</h2><p id="copyable">Copy these words.</p><p><input aria-label="Paste here" id="pasting"></p>
 <p data-try="content_copied content_pasted"></p></section>
<section><h2>Film and sound</h2><video src="/files/tone.wav" controls aria-label="Film"></video>
 <audio src="/files/tone.wav" controls aria-label="Sound"></audio><p data-try="video_played audio_played"></p></section>
<section><h2>Pages</h2><p><button id="in-place" class="quiet">Another page, in place</button></p>
 <p data-try="page_viewed page_loaded page_closed"></p></section>
<section><h2>Scrolling</h2><p>Down to the end of the page, past the <b data-segma-point="middle">middle</b>.</p>
 <p data-try="scrolled_past bottom_reached"></p></section><div class="long" aria-hidden="true"></div></div>
<aside aria-labelledby="a"><h2 id="a">Arriving</h2><ol id="arrived" aria-live="polite"></ol></aside></div>
<script src="/static/tryout.js"></script>""")  # noqa: E501
