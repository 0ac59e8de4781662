/*
 * Compares an outcome with the record and returns one line per field that differs. Ignores what a runner cannot observe, and
 * headers that differ between two runs of Envoy.
 */
import type { Observed } from './case-file.ts';

/** One field that differs, e.g. `upstream.headers.x-sub`. */
export interface FieldDifference {
  readonly field: string;
  readonly recorded: string;
  readonly ours: string;
}

const NOISE: ReadonlySet<string> = new Set(['date', 'server', 'x-request-id']);
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection']);

/** What both outcomes contain. */
export interface ComparedParts {
  /** `ours` was observed on the wire: bodies of forwarded requests and the headers that frame messages are compared. */
  readonly framing: boolean;
  /** The record contains every header. Older records lack `x-envoy-*` of forwarded requests and `connection` of replies. */
  readonly everyHeader: boolean;
}

/** All differences between the record and the actual outcome; empty: they are equal. */
export function compareOutcome(recorded: Observed, ours: Observed, { framing, everyHeader }: ComparedParts): readonly FieldDifference[] {
  const isCompared = (name: string): boolean => !NOISE.has(name) && (framing || !FRAMING.has(name));
  const isSent = (name: string): boolean => isCompared(name) && (everyHeader || !name.startsWith('x-envoy-'));
  const isReplied = (name: string): boolean =>
    // A reply to HEAD frames no body, so its framing means nothing.
    isCompared(name) && name !== 'transfer-encoding' && (recorded.headers?.[name] !== undefined || !isOptional(name, everyHeader));
  const differences: FieldDifference[] = [];
  const compare = (field: string, left: unknown, right: unknown): void => {
    const [a, b] = [text(left), text(right)];
    if (a !== b) {
      differences.push({ field, recorded: a, ours: b });
    }
  };
  compare('outcome', recorded.outcome, ours.outcome);
  compare('status', recorded.status, ours.status);
  compare('details', recorded.details ?? '', ours.details ?? '');
  compare('body', recorded.body ?? '', ours.body ?? '');
  compareRecords('headers', recorded.headers, ours.headers, compare, isReplied);
  // A request that ends before rbac has no dry-run results; a forwarded one has all of them.
  compareRecords('dryRun', recorded.dryRun, ours.dryRun, compare);
  compare('upstream.method', recorded.upstream?.method, ours.upstream?.method);
  compare('upstream.path', recorded.upstream?.path, ours.upstream?.path);
  if (framing) compare('upstream.body', recorded.upstream?.body ?? '', ours.upstream?.body ?? '');
  compareUpstreamHeaders(recorded, ours, compare, isSent);
  return differences;
}

/** Whether a reply may have the header although the record has none. */
function isOptional(name: string, everyHeader: boolean): boolean {
  return name === 'content-length' || (name === 'connection' && !everyHeader);
}

type Compare = (field: string, left: unknown, right: unknown) => void;

function compareRecords(
  prefix: string,
  recorded: Readonly<Record<string, string>> = {},
  ours: Readonly<Record<string, string>> = {},
  compare: Compare,
  isCompared: (name: string) => boolean = () => true,
): void {
  for (const name of new Set([...Object.keys(recorded), ...Object.keys(ours)])) {
    if (isCompared(name)) compare(`${prefix}.${name}`, recorded[name], ours[name]);
  }
}

function compareUpstreamHeaders(recorded: Observed, ours: Observed, compare: Compare, isCompared: (name: string) => boolean): void {
  const left = grouped(recorded, isCompared);
  const right = grouped(ours, isCompared);
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    compare(`upstream.headers.${name}`, left.get(name), right.get(name));
  }
}

/** Values by name, in order, without the ignored names. */
function grouped({ upstream }: Observed, isCompared: (name: string) => boolean): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of upstream?.headers ?? []) {
    if (isCompared(name)) {
      values.set(name, [...(values.get(name) ?? []), inOrder(value)]);
    }
  }
  return values;
}

const BASE64_OBJECT = /^(?:ey|W)[A-Za-z0-9+/]+=*$/;

/** A claim in base64 of JSON with sorted members, because Envoy's order is that of a hash table and differs between runs. */
function inOrder(value: string): string {
  if (!BASE64_OBJECT.test(value)) {
    return value;
  }
  try {
    const json: unknown = JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
    return Buffer.from(JSON.stringify(json, sortMembers)).toString('base64');
  } catch {
    return value;
  }
}

function sortMembers(_name: string, value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '(absent)');
}

/** The outcome with the results of dry runs, without the policies that decided them. */
export function withoutDryRunPolicies(observed: Observed): Observed {
  const { dryRun, ...rest } = observed;
  if (dryRun === undefined) return observed;
  return { ...(rest as Observed), dryRun: Object.fromEntries(Object.entries(dryRun).filter(([name]) => name.endsWith('_engine_result'))) };
}
