/*
 * Finds what may grow, wait or repeat in the agent without a declared limit: containers, timers and numbers that bound something.
 */
import { parseSync } from 'oxc-parser';
import { isNode, type Node } from '../syntax-node.ts';
import { BOUNDED_ELSEWHERE } from './bounded-elsewhere.ts';
import { filesOfAgent } from './files-of-agent.ts';

/** A place that needs a limit of `src/limits`. */
export interface Unbounded {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly message: string;
}

/** What surrounds a node. */
interface Place {
  /** Names of empty arrays that the enclosing functions declare; the last entry is the innermost function. */
  readonly scopes: readonly Set<string>[];
  /** In the body of a `for await`, which runs as long as input arrives. */
  readonly awaitsInput: boolean;
  /** The declared type allows no change. */
  readonly isReadonly: boolean;
  /** Value of a field, or of a variable of the module. */
  readonly isLasting: boolean;
}

const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate']);
const BOUND_NAME = /(^|_)(MAX|MOST|LONGEST)_|_(MS|SECONDS)$|TIMEOUT|INTERVAL/;
const CONTAINER =
  'take BoundedSet, BoundedMap, BoundedList, ByteParts or ByteCollector of src/limits/containers.ts with a limit of agent-limits.ts';
const TIMER = 'take startDeadline, startTimer, startInterval or pause of src/limits/timers.ts with a limit of agent-limits.ts';
const NUMBER = 'declare it in src/limits/agent-limits.ts and read its value here';

/**
 * All findings, in the order of the files. Containers and timers that {@link BOUNDED_ELSEWHERE} lists are left out unless their number has changed.
 * @param files text by path from the project's root
 */
export function findUnbounded(files: ReadonlyMap<string, string>): readonly Unbounded[] {
  return filesOfAgent(files).flatMap((path) => {
    const findings = findIn(path, files.get(path) ?? '');
    const known = BOUNDED_ELSEWHERE.get(path)?.count ?? 0;
    const bounds = findings.filter(({ message }) => message.endsWith(NUMBER));
    return findings.length - bounds.length === known ? bounds : findings;
  });
}

function findIn(path: string, source: string): readonly Unbounded[] {
  const findings: Unbounded[] = [];
  const visit = (value: unknown, place: Place): void => {
    if (Array.isArray(value)) for (const item of value) visit(item, place);
    if (!isNode(value)) return;
    const message = messageOf(value, place);
    if (message !== undefined) findings.push({ path, line: source.slice(0, value.start).split('\n').length, message });
    const inner = placeIn(value, place);
    for (const child of Object.values(value)) if (typeof child === 'object') visit(child, inner);
  };
  visit(parseSync(path, source).program, { scopes: [new Set()], awaitsInput: false, isReadonly: false, isLasting: false });
  return findings;
}

function messageOf(node: Node, place: Place): string | undefined {
  switch (node.type) {
    case 'NewExpression':
      return containerOf(node, place);
    case 'CallExpression':
      return timerOf(node) ?? growthOf(node, place);
    case 'PropertyDefinition':
      return isEmptyArray(node['value']) && !isReadonlyType(node) ? `a field that is an array may grow: ${CONTAINER}` : undefined;
    case 'VariableDeclarator':
      return place.scopes.length === 1 ? variableOf(node) : undefined;
    default:
      return undefined;
  }
}

function containerOf(node: Node, place: Place): string | undefined {
  const name = nameOf(node['callee']);
  if (name !== 'Set' && name !== 'Map') return undefined;
  const [first] = node['arguments'] as readonly unknown[];
  const isEmpty = first === undefined || isEmptyArray(first);
  return isEmpty || (place.isLasting && !place.isReadonly) ? `new ${name} may grow: ${CONTAINER}` : undefined;
}

function timerOf(node: Node): string | undefined {
  const callee = node['callee'];
  const name = nameOf(callee);
  if (name !== undefined) return TIMERS.has(name) ? `${name}: ${TIMER}` : undefined;
  if (!isNode(callee) || callee.type !== 'MemberExpression') return undefined;
  const property = nameOf(callee['property']) ?? '';
  const isTimer = property === 'after' || TIMERS.has(property) || (property === 'timeout' && nameOf(callee['object']) === 'AbortSignal');
  return isTimer ? `${property}: ${TIMER}` : undefined;
}

/** An array of an outer function that a callback fills, or that is filled as long as input arrives. */
function growthOf(node: Node, { scopes, awaitsInput }: Place): string | undefined {
  const callee = node['callee'];
  if (!isNode(callee) || callee.type !== 'MemberExpression' || !/^(push|unshift)$/.test(nameOf(callee['property']) ?? '')) return undefined;
  const array = nameOf(callee['object']) ?? '';
  const isOuter = scopes.slice(0, -1).some((names) => names.has(array));
  return isOuter || (awaitsInput && scopes.at(-1)?.has(array) === true) ? `"${array}" may grow: ${CONTAINER}` : undefined;
}

/** A variable of a module. */
function variableOf(node: Node): string | undefined {
  const name = nameOf(node['id']) ?? '';
  if (BOUND_NAME.test(name) && isNumber(node['init'])) return `${name} bounds something: ${NUMBER}`;
  return isEmptyArray(node['init']) && !isReadonlyType(node['id'] as Node) ? `"${name}" may grow: ${CONTAINER}` : undefined;
}

function placeIn(node: Node, place: Place): Place {
  const { type } = node;
  if (/^(Arrow)?Function/.test(type)) return { ...place, scopes: [...place.scopes, new Set()], awaitsInput: false, isLasting: false };
  if (type === 'ForOfStatement' && node['await'] === true) return { ...place, awaitsInput: true };
  if (type === 'PropertyDefinition') return { ...place, isLasting: true, isReadonly: isReadonlyType(node) };
  if (type !== 'VariableDeclarator') return place;
  if (isEmptyArray(node['init'])) place.scopes.at(-1)?.add(nameOf(node['id']) ?? '');
  return place.scopes.length > 1 ? place : { ...place, isLasting: true, isReadonly: isReadonlyType(node['id'] as Node) };
}

/** Is the type `ReadonlySet`, `ReadonlyMap` or `readonly …[]`? */
function isReadonlyType(owner: Node): boolean {
  const annotation = owner['typeAnnotation'];
  const type = isNode(annotation) ? annotation['typeAnnotation'] : undefined;
  if (!isNode(type)) return false;
  return type.type === 'TSTypeOperator' || (nameOf(type['typeName']) ?? '').startsWith('Readonly');
}

function isEmptyArray(value: unknown): boolean {
  return isNode(value) && value.type === 'ArrayExpression' && (value['elements'] as readonly unknown[]).length === 0;
}

function isNumber(value: unknown): boolean {
  if (!isNode(value)) return false;
  if (value.type === 'BinaryExpression') return isNumber(value['left']) && isNumber(value['right']);
  return value.type === 'Literal' && typeof value['value'] === 'number';
}

function nameOf(value: unknown): string | undefined {
  return isNode(value) && (value.type === 'Identifier' || value.type === 'PrivateIdentifier') ? String(value['name']) : undefined;
}
