// Gives the names of a finished script anew, so that gzip finds more to repeat.
//
// Code that does alike should be written alike. What a function has for itself alone is named in its order, with the same
// letters in every function; what inner functions use too takes letters behind these, and leaves them the first ones.
import { parse } from "acorn";

/** What stands in front occurs most in the platform's own words, too; the order of the rest was found by trying. */
export const LETTERS = [..."etoirpclsandgfhmuvBjkyxRzGNqwCbSMOEXZDATPI_WULF$YKQVHJ"];
/** So many letters are left to what a function has for itself alone. */
const OWN = 3;
const SHARED = [...LETTERS.slice(OWN), ...LETTERS.slice(0, OWN)];
export const WORDS = new Set(["do", "if", "in", "of", "as", "is"]);

/** The script with other names; properties and globals keep theirs. */
export function renamed(text) {
  const { root, places } = parsed(text);
  choose(root);
  return writing(text, places)();
}

/** A script's scopes, from the outermost, and each place where one of its own names stands, in the text's order. */
export function parsed(text) {
  const root = scopeOf(undefined, true);
  const found = [];
  bind(parse(text, { ecmaVersion: 2022 }), root, found);
  for (const { scope, name } of found) used(scope, name);
  const places = found.map((place) => ({ ...place, binding: bindingOf(place.scope, place.name) })).filter(({ binding }) => binding);
  return { root, places: places.sort((one, other) => one.start - other.start) };
}

/** What writes the text with what its bindings are called `now`. */
export function writing(text, places) {
  const before = places.map(({ start }, at) => text.slice(places[at - 1]?.end ?? 0, start));
  const rest = text.slice(places[places.length - 1]?.end ?? 0);
  return () => {
    let out = "";
    for (let at = 0; at < places.length; at += 1) {
      const { binding, name, isShort } = places[at];
      out += before[at] + (isShort && binding.now !== name ? `${name}:` : "") + binding.now;
    }
    return out + rest;
  };
}

const scopeOf = (parent, isFunction) => {
  const scope = { parent, isFunction, names: new Map(), inner: [], outer: new Set(), globals: new Set() };
  parent?.inner.push(scope);
  return scope;
};

const bindingOf = (scope, name) => {
  for (let here = scope; here; here = here.parent) if (here.names.has(name)) return here.names.get(name);
  return undefined;
};

/** Notes in all scopes from a place up to a name's own that the name is used there. */
function used(scope, name) {
  const binding = bindingOf(scope, name);
  let crossed = false;
  for (let here = scope; here; here = here.parent) {
    if (here.names.get(name) === binding && binding) break;
    if (binding) here.outer.add(binding);
    else here.globals.add(name);
    crossed ||= here.isFunction;
  }
  if (binding && crossed) binding.isShared = true;
}

/** Names what a scope declares, and then what is inside: nothing takes the name of what is used there. */
function choose(scope, depth = 0) {
  const taken = new Set([...scope.globals, ...[...scope.outer].map(({ now }) => now)]);
  for (const binding of scope.names.values()) {
    binding.now = freeOf(depth > 1 && binding.isShared ? SHARED : LETTERS, taken);
    taken.add(binding.now);
  }
  for (const inner of scope.inner) choose(inner, depth + (inner.isFunction ? 1 : 0));
}

function freeOf(letters, taken) {
  const pairs = letters.flatMap((one) => letters.map((other) => one + other));
  return [...letters, ...pairs].find((name) => !taken.has(name) && !WORDS.has(name));
}

/** Finds what is declared, and each place where a name stands. */
function bind(root, top, places) {
  const declare = (scope, pattern, isVar) => {
    if (!pattern) return;
    if (pattern.type === "Identifier") {
      let to = scope;
      while (isVar && !to.isFunction) to = to.parent;
      if (!to.names.has(pattern.name)) to.names.set(pattern.name, { name: pattern.name });
    } else if (pattern.type === "ObjectPattern") pattern.properties.forEach((each) => declare(scope, each.value ?? each.argument, isVar));
    else if (pattern.type === "ArrayPattern") pattern.elements.forEach((each) => declare(scope, each, isVar));
    else declare(scope, pattern.left ?? pattern.argument, isVar);
  };
  const declareIn = (statements, scope) => {
    for (const each of statements) {
      if (each.type === "VariableDeclaration") for (const { id } of each.declarations) declare(scope, id, each.kind === "var");
      if (each.type === "FunctionDeclaration" || each.type === "ClassDeclaration") declare(scope, each.id);
    }
  };
  const visit = (node, scope) => {
    if (!node) return;
    if (Array.isArray(node)) return node.forEach((each) => visit(each, scope));
    if (typeof node.type !== "string") return;
    switch (node.type) {
      case "Identifier":
        places.push({ start: node.start, end: node.end, scope, name: node.name });
        return;
      case "MemberExpression":
        visit(node.object, scope);
        if (node.computed) visit(node.property, scope);
        return;
      case "Property":
        if (node.shorthand) {
          const of = node.value.type === "AssignmentPattern" ? node.value.left : node.value;
          places.push({ start: of.start, end: of.end, scope, name: of.name, isShort: true });
          if (of !== node.value) visit(node.value.right, scope);
          return;
        }
        if (node.computed) visit(node.key, scope);
        visit(node.value, scope);
        return;
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression": {
        const inner = scopeOf(scope, true);
        if (node.type === "FunctionDeclaration") visit(node.id, scope);
        else if (node.id) declare(inner, node.id), visit(node.id, inner);
        node.params.forEach((each) => declare(inner, each));
        if (node.body.type === "BlockStatement") declareIn(node.body.body, inner);
        visit(node.params, inner);
        visit(node.body.type === "BlockStatement" ? node.body.body : node.body, inner);
        return;
      }
      case "Program":
      case "BlockStatement": {
        const inner = node.type === "Program" ? scope : scopeOf(scope, false);
        declareIn(node.body, inner);
        visit(node.body, inner);
        return;
      }
      case "ForStatement":
      case "ForOfStatement":
      case "ForInStatement": {
        const inner = scopeOf(scope, false);
        declareIn([node.init ?? node.left].filter((each) => each), inner);
        for (const part of [node.init, node.left, node.test, node.right, node.update, node.body]) visit(part, inner);
        return;
      }
      case "CatchClause": {
        const inner = scopeOf(scope, false);
        declare(inner, node.param);
        visit(node.param, inner);
        visit(node.body, inner);
        return;
      }
      case "MethodDefinition":
      case "PropertyDefinition":
      case "LabeledStatement":
        throw new Error(`no script of ours has a ${node.type}`);
      default:
        for (const [key, value] of Object.entries(node)) if (key !== "type" && value && typeof value === "object") visit(value, scope);
    }
  };
  visit(root, top);
}
