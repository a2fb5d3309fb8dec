// The styles of CodeMirror as sheets that the document adopts. The library itself would write a <style> element into the
// page (it adopts sheets in a shadow root alone), which the policy of the pages forbids.
import { StyleModule } from "style-mod";

const sheets = new WeakMap<StyleModule, CSSStyleSheet>();

function sheetOf(module: StyleModule): CSSStyleSheet {
  let sheet = sheets.get(module);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(module.getRules());
    sheets.set(module, sheet);
  }
  return sheet;
}

/** Let all styles be adopted from now on; of one call, later ones take precedence, as the library has it. */
export function adoptStyles(): void {
  StyleModule.mount = (root, modules) => {
    const own = [modules].flat().map(sheetOf);
    root.adoptedStyleSheets = [...root.adoptedStyleSheets.filter((each) => !own.includes(each)), ...own];
  };
}
