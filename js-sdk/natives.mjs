// Takes what the SDK uses of the browser when it starts, whatever a page does to it later.
//
// A page may exchange `JSON`, `Map` or `Array.prototype.map`, and a form's field called `id` stands in front of the form's
// own `id`. So no global function, no method of a built-in object and no property of an element is looked up when it is
// needed. The source says `list.map(task)` and `form.id`; this step of the build knows the types, and writes
// `Array_map(list, task)`, a function that was taken from the prototype at the start, and `own(form, "id")`, what the form
// has by its kind.
import { dirname, relative, resolve } from "node:path";
import ts from "typescript";
import { withArrows } from "./arrows.mjs";

const FROM = "segma:natives";
const METHODS = /^(?:Readonly)?(Array|String|RegExp|Map|Set|WeakMap|WeakSet|Promise|Date|Number)$/;
const STATICS = /^(JSON|Object|Math|Number|Array|Date|String|Reflect)$/;
/**
 * Interfaces of documents and forms, which have properties by the names of what stands in them, and of what these inherit:
 * looked up on the prototype of the one at hand.
 */
const NODES = /^(EventTarget|Node|Element|Document|ShadowRoot|HTMLElement|HTMLFormElement|ParentNode|HTMLOrSVGElement|ElementContentEditable|DocumentOrShadowRoot)$/;

const HEAD = `
const { getPrototypeOf } = Object;
export const { apply: Reflect_apply, get } = Reflect;
const { call } = Function.prototype;
const bound = call.bind(call.bind, call);
/** A method of all instances, as a function of the instance. */
const taken = ({ prototype }, name) => bound(prototype[name]);
/** A property of an instance, past what its page has put in front of it. */
export const own = (of, name) => get(getPrototypeOf(of), name, of);
export const invoke = (of, name, ...given) => Reflect_apply(own(of, name), of, given);
`;

/** An esbuild plugin that writes every module of `src/` so. */
export function natives(root = ".") {
  const { texts, names } = written(resolve(root));
  const taken = [...names].filter(([name]) => !/^(own|invoke|Reflect_apply)$/.test(name)).map(([name, how]) => `export const ${name} = ${how};`);
  const contents = HEAD + taken.join("\n");
  return {
    name: "natives",
    setup(build) {
      build.onResolve({ filter: /^segma:natives$/ }, () => ({ path: FROM, namespace: "natives", sideEffects: false }));
      build.onLoad({ filter: /.*/, namespace: "natives" }, () => ({ contents, loader: "js" }));
      build.onLoad({ filter: /src\/.*\.ts$/ }, ({ path }) => ({ contents: texts.get(path), loader: "ts", resolveDir: dirname(path) }));
    },
  };
}

/** What this step cannot write, by file and line. */
const REFUSED = [];

function written(root) {
  const { config } = ts.readConfigFile(resolve(root, "tsconfig.json"), ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent({ ...config, include: ["src"] }, ts.sys, root);
  const program = ts.createProgram(fileNames, options);
  const names = new Map();
  const texts = new Map();
  for (const file of program.getSourceFiles()) {
    if (file.isDeclarationFile || relative(root, file.fileName).startsWith("..")) continue;
    const { transformed } = ts.transform(file, [(context) => (source) => withArrows(rewritten(source, program, context, names), context)]);
    texts.set(resolve(file.fileName), ts.createPrinter().printFile(transformed[0]));
  }
  if (REFUSED.length) throw new Error(REFUSED.join("\n"));
  return { texts, names };
}

function rewritten(source, program, context, names) {
  const { factory } = context;
  const checker = program.getTypeChecker();
  const used = new Set();
  const named = (name, how) => {
    names.set(name, how);
    used.add(name);
    return factory.createIdentifier(name);
  };
  const called = (callee, given) => factory.createCallExpression(callee, undefined, given);
  const declarations = (node) => checker.getSymbolAtLocation(node)?.declarations ?? [];
  const isPlatforms = (node) => declarations(node).some((each) => program.isSourceFileDefaultLibrary(each.getSourceFile()));

  /** How an access to a property is written; undefined where it stays. */
  const wayOf = (access) => {
    const name = access.name.text;
    const [declared] = declarations(access.name).filter((each) => program.isSourceFileDefaultLibrary(each.getSourceFile()));
    if (!declared) return undefined;
    const { expression } = access;
    if (ts.isIdentifier(expression) && STATICS.test(expression.text) && isPlatforms(expression)) {
      return { whole: () => named(`${expression.text}_${name}`, `${expression.text}.${name}`) };
    }
    const owner = declared.parent?.name?.text ?? "";
    const [, builtIn] = METHODS.exec(owner) ?? [];
    // NOTE: only whether there is something is asked of either, so one of the two does.
    if (builtIn === "RegExp" && name === "test") return { native: () => named("RegExp_exec", '/* @__PURE__ */ taken(RegExp, "exec")') };
    if (builtIn) return ts.isMethodSignature(declared) ? { native: () => named(`${builtIn}_${name}`, `/* @__PURE__ */ taken(${builtIn}, "${name}")`) } : undefined;
    return NODES.test(owner) ? { node: factory.createStringLiteral(name) } : undefined;
  };

  const refused = (node) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    REFUSED.push(`${source.fileName}:${line + 1}: neither with "?." nor in a pattern: ${node.getText()}`);
  };

  /** Taking a node's properties apart in a pattern looks them up where they stand. */
  const whole = (node) => {
    if (!ts.isObjectBindingPattern(node.parent)) return;
    const name = (node.propertyName ?? node.name).text;
    const declared = name && checker.getTypeAtLocation(node.parent).getProperty(name)?.declarations;
    if (declared?.some(({ parent }) => NODES.test(parent?.name?.text))) refused(node);
  };

  const visitCall = (node) => {
    const way = wayOf(node.expression);
    if (!way) return undefined;
    if (node.questionDotToken || node.expression.questionDotToken || node.flags & ts.NodeFlags.OptionalChain) refused(node);
    const given = ts.visitNodes(node.arguments, visit);
    if (way.whole) return called(way.whole(), given);
    const of = ts.visitNode(node.expression.expression, visit);
    return way.native ? called(way.native(), [of, ...given]) : called(named("invoke", ""), [of, way.node, ...given]);
  };

  const visitAccess = (node) => {
    const way = wayOf(node);
    if (!way || isAssigned(node)) return undefined;
    if (way.whole) return way.whole();
    if (node.questionDotToken || node.flags & ts.NodeFlags.OptionalChain) refused(node);
    const of = ts.visitNode(node.expression, visit);
    return way.native ? called(way.native(), [of]) : called(named("own", ""), [of, way.node]);
  };

  const visitName = (node) => {
    if (!isRead(node) || !isPlatforms(node)) return undefined;
    const type = checker.getTypeAtLocation(node);
    if (!type.getCallSignatures().length && !type.getConstructSignatures().length) return undefined;
    return named(`$${node.text}`, node.text);
  };

  const visit = (node) => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isModuleDeclaration(node) || ts.isImportDeclaration(node)) return node;
    if (ts.isBindingElement(node)) whole(node);
    const changed =
      ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)
        ? visitCall(node)
        : ts.isPropertyAccessExpression(node)
          ? visitAccess(node)
          : ts.isIdentifier(node)
            ? visitName(node)
            : undefined;
    return changed ?? ts.visitEachChild(node, visit, context);
  };

  const body = ts.visitNodes(source.statements, visit);
  if (!used.size) return source;
  const bindings = factory.createNamedImports([...used].map((name) => factory.createImportSpecifier(false, undefined, factory.createIdentifier(name))));
  const clause = factory.createImportDeclaration(undefined, factory.createImportClause(false, undefined, bindings), factory.createStringLiteral(FROM));
  return factory.updateSourceFile(source, [clause, ...body]);
}

const isAssigned = ({ parent, ...node }) => {
  const assigns = ts.isBinaryExpression(parent) && parent.operatorToken.kind >= ts.SyntaxKind.FirstAssignment && parent.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
  return assigns && parent.left.pos === node.pos;
};

/** Whether an identifier is an expression: no name of a property, a parameter, a binding, an export. */
function isRead(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (parent.name === node || parent.propertyName === node || ts.isShorthandPropertyAssignment(parent) || ts.isExportSpecifier(parent)) return false;
  return !ts.isTypeNode(parent) && !ts.isTypeOfExpression(parent);
}
