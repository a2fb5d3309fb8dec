import { FIELDS, isMasked, scrubbed, selectorOf, targetOf, up } from "../element";
import { isAction, type Feature, type Page, type Properties } from "../words";

/** Forms and the site's search: which field, never what stands in it. */
export const forms: Feature = {
  name: "forms",
  start(page) {
    const typedInto = new WeakMap<Element, boolean>();
    const known = new WeakMap<Node, true>();
    const filled = (event: Event): void => {
      const field = fieldOf(event);
      // NOTE: Firefox fills a saved login in by itself, and says it was a person.
      if (!field || isEmpty(field) || navigator.userActivation?.hasBeenActive === false) return;
      typedInto.set(field, false);
      page.tell("form_filled", named(field));
    };
    const submitted = (event: Event): void => onSubmit(event, page);
    page.on("change", filled);
    page.on("submit", submitted);
    page.on("input", (event: Event) => {
      const field = fieldOf(event);
      if (field && field.matches("[contenteditable]")) typedInto.set(field, true);
    });
    page.on("focusin", (event: Event) => {
      const field = fieldOf(event);
      const target = targetOf(event);
      const root = target && target.getRootNode();
      // NOTE: `change` and `submit` end at the border of a shadow root.
      if (root instanceof ShadowRoot && !known.get(root)) {
        known.set(root, true);
        page.on("change", filled, root);
        page.on("submit", submitted, root);
      }
      if (field) page.tell("field_focused", named(field));
    });
    page.on("focusout", (event: Event) => {
      const field = fieldOf(event);
      if (!field) return;
      if (typedInto.get(field)) filled(event);
      page.tell("field_unfocused", named(field));
    });
    page.viewed(() => searchedBy(page));
  },
};

function fieldOf(event: Event): HTMLElement | undefined {
  const target = targetOf(event);
  const field = target && up(target, FIELDS);
  return field && !isMasked(field) ? field : undefined;
}

function named(field: HTMLElement): Properties {
  const form = (field as HTMLInputElement).form ?? up<HTMLFormElement>(field, "form");
  const name = field.getAttribute("name") || field.id;
  return { form: form ? nameOf(form) : "", field: name || selectorOf(field), selector: selectorOf(field) };
}

const nameOf = (form: Element): string => form.getAttribute("name") || form.id || selectorOf(form);

// NOTE: all that is looked at of a value is whether there is one.
function isEmpty(field: HTMLElement): boolean {
  const { type, checked, value } = field as HTMLElement & Partial<HTMLInputElement>;
  if (/^(checkbox|radio)$/.test(`${type}`)) return !checked;
  return value === undefined ? !field.textContent : !value;
}

function onSubmit(event: Event, page: Page): void {
  const form = targetOf(event);
  if (!(form instanceof HTMLFormElement) || isAction(form.dataset["segmaAction"])) return;
  const field = form.querySelector<HTMLInputElement>("[data-segma-search],input[type=search]") ?? (form.matches("[role=search],[data-segma-search]") && form.querySelector<HTMLInputElement>("input"));
  if (field) searched(page, field.value);
  else page.tell("form_submitted", { form: nameOf(form), selector: selectorOf(form) });
}

/** The page that a search leads to has what was searched for in its address: the same search, not another one. */
function searchedBy(page: Page): void {
  const given = new URLSearchParams(location.search);
  for (const name of page.settings.searchParams) {
    const query = given.get(name);
    if (query) {
      searched(page, query, page.remember("searched"));
      return;
    }
  }
  page.remember("searched", "");
}

function searched(page: Page, text: string, before = ""): void {
  const query = scrubbed(text).toLowerCase();
  if (!query || query === before) return;
  page.remember("searched", query);
  page.tell("searched", { query });
}
