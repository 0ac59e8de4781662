/*
 * Identities of pods by their addresses, on the feed: an agent asks again and again, and gets the whole table once and then what changes.
 * Each answer repeats the time of the question on the agent's own clock, so that the agent knows how old its table can be at most, whatever
 * waited on the way, and without comparing clocks.
 */

/** Value of `ACCEPTS_HEADER`: the controller answers {@link IdentityQuestion}s. */
export const IDENTITIES = 'identities';
/** Type of the frames in both directions. */
export const IDENTITY_FRAME = 16;

/** Age of a table from which on nothing in it counts, in milliseconds. */
export const IDENTITY_MAX_AGE_MS = 15_000;
/** Most addresses in a table. */
export const MAX_IDENTITIES = 65_536;

/** Asks for what changed since a version; 0: for everything. */
export interface IdentityQuestion {
  readonly version: number;
  /** Time of the question in whole milliseconds, on the agent's clock. */
  readonly askedMs: number;
}

/** One address: `owner` distinguishes two pods that have it one after the other. */
export type IdentityEntry = readonly [address: string, namespace: string, serviceAccount: string, owner: string];

/** What the controller sends. */
export type IdentityUpdate =
  /** A part of the whole table, which counts when its last part has arrived. */
  | {
      readonly kind: 'table';
      readonly version: number;
      readonly isFirst: boolean;
      readonly isLast: boolean;
      readonly trustDomain: string;
      readonly put: readonly IdentityEntry[];
    }
  | {
      readonly kind: 'change';
      readonly from: number;
      readonly version: number;
      readonly put: readonly IdentityEntry[];
      readonly drop: readonly string[];
    }
  /** Everything until the question of that time has been sent. */
  | { readonly kind: 'current'; readonly version: number; readonly askedMs: number };

/** A question as the payload of a frame. */
export function encodeQuestion({ version, askedMs }: IdentityQuestion): Buffer {
  return Buffer.from(JSON.stringify({ version, askedMs }));
}

/** The question in a payload; undefined: it is not one. */
export function parseQuestion(payload: Buffer): IdentityQuestion | undefined {
  const value = objectIn(payload);
  const { version, askedMs, ...rest } = value ?? {};
  return isCount(version) && isCount(askedMs) && Object.keys(rest).length === 0 ? { version, askedMs } : undefined;
}

/** An update as the payload of a frame. */
export function encodeUpdate(update: IdentityUpdate): Buffer {
  return Buffer.from(JSON.stringify(update));
}

/** The update in a payload; undefined: it is not one. */
export function parseUpdate(payload: Buffer): IdentityUpdate | undefined {
  const value = objectIn(payload) ?? {};
  const { kind, version, from, isFirst, isLast, trustDomain, put, drop, askedMs } = value;
  if (!isCount(version)) return undefined;
  if (kind === 'current') return isCount(askedMs) ? { kind, version, askedMs } : undefined;
  if (!Array.isArray(put) || !put.every(isEntry)) return undefined;
  if (kind === 'table') {
    if (typeof isFirst !== 'boolean' || typeof isLast !== 'boolean' || typeof trustDomain !== 'string') return undefined;
    return { kind, version, isFirst, isLast, trustDomain, put };
  }
  if (kind !== 'change' || !isCount(from) || !isTexts(drop)) return undefined;
  return { kind, from, version, put, drop };
}

function objectIn(payload: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    // The caller closes the stream, or drops its table.
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isEntry(value: unknown): value is IdentityEntry {
  return isTexts(value) && value.length === 4;
}
