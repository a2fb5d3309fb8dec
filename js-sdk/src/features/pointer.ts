import { askedOf } from "../asked";
import { BUTTONS, fitting, isMasked, selectorOf, up } from "../element";
import { wordsIn } from "../text";
import type { Feature } from "../words";

/** Resting so long on something is interest, not passing by. */
export const HOVER_MS = 800;
const MOVES_EVERY_MS = 2_000;
const WORTH_HOVERING = `a[href],${BUTTONS},[data-segma-hover]`;
const NAMES = wordsIn("left middle right back forward");

/** What the mouse does without clicking. Buttons, path and coming over only where a live listener asks. */
export const pointer: Feature = {
  name: "pointer",
  start(page) {
    const asked = askedOf(page);
    let over: Element | undefined;
    let since = 0;
    let by = "";
    let hovered: Element | undefined;
    const left = (): void => {
      const dwelt = page.now() - since;
      if (hovered && dwelt >= HOVER_MS) page.tell("hovered", { selector: by, dwell_ms: dwelt });
      hovered = undefined;
    };
    page.on("pointerdown", (event: PointerEvent, target) => {
      hovered = undefined;
      const wanted = asked("mouse_pressed");
      if (!wanted || !target || event.pointerType !== "mouse" || isMasked(target)) return;
      const selector = fitting(target, wanted)?.[1] ?? (wanted.includes("*") ? selectorOf(target) : undefined);
      if (selector) page.tell("mouse_pressed", { button: NAMES[event.button] ?? "other", selector });
    });
    page.on("pointerover", (event: PointerEvent, target) => {
      if (event.pointerType !== "mouse" || !target || isMasked(target)) return;
      const wanted = asked("mouse_over");
      const found = wanted && (fitting(target, wanted) ?? (wanted.includes("*") ? worth(target) : undefined));
      if (found?.[0] !== over) {
        over = found?.[0];
        if (found) page.tell("mouse_over", { selector: found[1] });
      }
      const interesting = fitting(target, asked("hovered") ?? []) ?? worth(target);
      if (interesting?.[0] === hovered) return;
      left();
      if (interesting) [hovered, by, since] = [...interesting, page.now()];
    });
    page.on("pointerout", (event: PointerEvent) => {
      if (event.relatedTarget) return;
      left();
      over = undefined;
    });
    page.leaving(left);

    let distance = 0;
    let x: number | undefined;
    let y = 0;
    let moving = 0;
    page.on("pointermove", (event: PointerEvent) => {
      if (event.pointerType !== "mouse" || !asked("mouse_moved")) return;
      if (x !== undefined) distance += ((event.clientX - x) ** 2 + (event.clientY - y) ** 2) ** 0.5;
      [x, y] = [event.clientX, event.clientY];
      moving ||= +setTimeout(() => {
        moving = 0;
        page.tell("mouse_moved", { distance_px: Math.round(distance) });
        distance = 0;
        x = undefined;
      }, MOVES_EVERY_MS);
    });
  },
};

function worth(target: Element): [Element, string] | undefined {
  const found = up(target, WORTH_HOVERING);
  return found && [found, selectorOf(found)];
}
