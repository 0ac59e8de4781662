/*
 * Compares an outcome with the record and returns one line per field that differs. Ignores what a runner cannot observe, and
 * headers that depend on the connection and not on the decision.
 */
import type { Observed } from './case-file.ts';

/** One field that differs, e.g. `upstream.headers.x-sub`. */
export interface FieldDifference {
  readonly field: string;
  readonly recorded: string;
  readonly ours: string;
}

// Framing depends on the connection and not on the decision.
const REPLY_NOISE: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'date', 'server', 'connection', 'x-request-id']);
const UPSTREAM_NOISE: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection', 'x-request-id']);

/** All differences between the record and the actual outcome; empty: they are equal. */
export function compareOutcome(recorded: Observed, ours: Observed): readonly FieldDifference[] {
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
  compareRecords('headers', recorded.headers, ours.headers, compare);
  // A request that ends before rbac has no dry-run results; a forwarded one has all of them.
  compareRecords('dryRun', recorded.dryRun, ours.dryRun, compare);
  compare('upstream.method', recorded.upstream?.method, ours.upstream?.method);
  compare('upstream.path', recorded.upstream?.path, ours.upstream?.path);
  compareUpstreamHeaders(recorded, ours, compare);
  return differences;
}

function compareRecords(
  prefix: string,
  recorded: Readonly<Record<string, string>> = {},
  ours: Readonly<Record<string, string>> = {},
  compare: (field: string, left: unknown, right: unknown) => void,
): void {
  for (const name of new Set([...Object.keys(recorded), ...Object.keys(ours)])) {
    if (prefix !== 'headers' || !REPLY_NOISE.has(name)) {
      compare(`${prefix}.${name}`, recorded[name], ours[name]);
    }
  }
}

function compareUpstreamHeaders(recorded: Observed, ours: Observed, compare: (field: string, left: unknown, right: unknown) => void): void {
  const left = grouped(recorded);
  const right = grouped(ours);
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    compare(`upstream.headers.${name}`, left.get(name), right.get(name));
  }
}

/** Values by name, in order, without the ignored names. */
function grouped({ upstream }: Observed): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of upstream?.headers ?? []) {
    if (!UPSTREAM_NOISE.has(name) && !name.startsWith('x-envoy-')) {
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
