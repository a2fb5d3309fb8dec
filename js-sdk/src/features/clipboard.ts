import { askedOf } from "../asked";
import { FIELDS, isMasked, selectorOf, up } from "../element";
import type { Feature } from "../words";

/** That something was copied or pasted, where, and how long it was; never what. Only where a live listener asks. */
export const clipboard: Feature = {
  name: "clipboard",
  start(page) {
    const asked = askedOf(page);
    const tell = (action: string, target: Element | undefined, lengthOf: (target: Element) => number | undefined): void => {
      if (!asked(action) || !target || isMasked(target)) return;
      const length = lengthOf(target);
      if (length) page.tell(action, { selector: selectorOf(target), length });
    };
    const copied = (_: Event, target: Element | undefined): void => tell("content_copied", target, chosenIn);
    page.on("copy", copied);
    page.on("cut", copied);
    page.on("paste", (event: ClipboardEvent, target) => {
      // NOTE: on Linux a middle click on a page is a "paste" too, and nothing is pasted anywhere.
      if (up(target, FIELDS)) tell("content_pasted", target, () => event.clipboardData?.getData("text").length);
    });
  },
};

/** How much is marked, in a field or on the page. */
function chosenIn(target: Element): number {
  const { selectionStart: start, selectionEnd: end } = target as Partial<HTMLInputElement>;
  return typeof start === "number" ? (end as number) - start : `${getSelection() ?? ""}`.length;
}
