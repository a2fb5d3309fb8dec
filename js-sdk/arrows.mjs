// Writes functions as arrows: shorter, and a script's constants become one list, in which gzip finds more to repeat.
//
// A declared function is there before the block's first statement. So its arrow stands at the block's head, behind
// constants that are literals. What says `this` or `arguments` stays a function.
import ts from "typescript";

/** A module, with the functions that it and its blocks declare as constants. */
export function withArrows(source, context) {
  const { factory } = context;

  const asConstant = (declared) => {
    const [words, asyncs] = parted(declared.modifiers ?? [], (each) => each.kind === ts.SyntaxKind.AsyncKeyword);
    const arrow = factory.createArrowFunction(asyncs, declared.typeParameters, declared.parameters, declared.type, undefined, declared.body);
    const constant = factory.createVariableDeclaration(declared.name, undefined, undefined, arrow);
    return factory.createVariableStatement(words, factory.createVariableDeclarationList([constant], ts.NodeFlags.Const));
  };

  const headed = (statements) => {
    const [others, functions] = parted(statements, isPlainFunction);
    if (!functions.length) return statements;
    const [rest, imports] = parted(others, ts.isImportDeclaration);
    const [late, early] = parted(rest, isLiteral);
    return [...imports, ...early, ...functions.map(asConstant), ...late];
  };

  const visit = (node) => {
    const inside = ts.visitEachChild(node, visit, context);
    return ts.isBlock(inside) ? factory.updateBlock(inside, headed(inside.statements)) : inside;
  };

  const { statements } = ts.visitEachChild(source, visit, context);
  return factory.updateSourceFile(source, headed(statements));
}

const parted = (all, isOne) => [all.filter((each) => !isOne(each)), all.filter(isOne)];

/** Whether a statement is a constant of one literal: it stands in front, or its name would outlive the shortening. */
function isLiteral(node) {
  const initials = ts.isVariableStatement(node) ? node.declarationList.declarations.map(({ initializer }) => initializer) : [];
  return !!initials.length && initials.every((each) => each && (ts.isLiteralExpression(each) || ts.isArrayLiteralExpression(each)) && !ts.forEachChild(each, (inner) => !ts.isLiteralExpression(inner)));
}

/** Whether a statement declares a function that an arrow can stand for. */
function isPlainFunction(node) {
  if (!ts.isFunctionDeclaration(node) || !node.body || node.asteriskToken) return false;
  const saysThis = (inner) =>
    inner.kind === ts.SyntaxKind.ThisKeyword ||
    (ts.isIdentifier(inner) && inner.text === "arguments") ||
    (!ts.isFunctionExpression(inner) && ts.forEachChild(inner, saysThis) === true);
  return !saysThis(node.body);
}
