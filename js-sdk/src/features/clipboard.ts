import { askedOf } from "../asked";
import { isMasked, selectorOf, targetOf } from "../element";
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
      if (asked("content_pasted")) tell("content_pasted", event, event.clipboardData?.getData("text").length ?? 0);
    });
  },
};

function lengthOf(target: Element | undefined): number {
  const field = target as Partial<HTMLInputElement> | undefined;
  if (typeof field?.selectionStart === "number") return (field.selectionEnd ?? 0) - field.selectionStart;
  return String(getSelection() ?? "").length;
}
