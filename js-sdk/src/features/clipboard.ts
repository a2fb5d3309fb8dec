import { askedOf } from "../asked";
import { FIELDS, isMasked, selectorOf, targetOf, up } from "../element";
import type { Feature } from "../words";

/** That something was copied or pasted, where, and how long it was; never what. Only where a live listener asks. */
export const clipboard: Feature = {
  name: "clipboard",
  start(page) {
    const asked = askedOf(page);
    const tell = (action: string, event: ClipboardEvent, length: number): void => {
      const target = targetOf(event);
      if (target && length && !isMasked(target)) page.tell(action, { selector: selectorOf(target), length });
    };
    const copied = (event: ClipboardEvent): void => {
      if (asked("content_copied")) tell("content_copied", event, lengthOf(targetOf(event)));
    };
    page.on("copy", copied);
    page.on("cut", copied);
    page.on("paste", (event: ClipboardEvent) => {
      // NOTE: on Linux a middle click on a page is a "paste" too, and nothing is pasted anywhere.
      if (asked("content_pasted") && up(targetOf(event), FIELDS)) tell("content_pasted", event, event.clipboardData?.getData("text").length ?? 0);
    });
  },
};

function lengthOf(target: Element | undefined): number {
  const { selectionStart: start, selectionEnd: end } = (target ?? {}) as Partial<HTMLInputElement>;
  return typeof start === "number" && typeof end === "number" ? end - start : `${getSelection() ?? ""}`.length;
}
