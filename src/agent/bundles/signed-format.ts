/*
 * Signed bundles in slots. Every slot is verified; the copy with the highest number of which all parts are there is taken, and whatever
 * else is mounted is ignored. What was accepted once is never replaced by anything older, not even after a restart.
 */
import type { WorkloadRef } from '../../api/kube/keys.ts';
import { BUNDLE_SLOTS, SLOT_KEYS_KEY, SLOT_PART_KEY, SLOT_PLAIN_KEY, SLOT_STATEMENT_KEY } from '../../api/kube/names.ts';
import { type BundleFiles, type DecodedBundle, parseBundleInSteps } from '../../bundle/decode.ts';
import { digestInSteps } from '../../bundle/digest.ts';
import { acceptKeyLists, type TrustedKeys } from '../../bundle/key-list.ts';
import { fromStoredFormApart, requireParts, SLOT_FILES } from '../../bundle/slots.ts';
import { BUNDLE_STATEMENT, type Statement, verifyStatement } from '../../bundle/statement.ts';
import type { TrustAnchor } from '../../bundle/trust-anchor.ts';
import { RefusedError } from '../../errors.ts';
import { doStepsApart, type Steps } from '../../steps.ts';
import type { BundleFormat, OpenedBundle } from './bundle-format.ts';
import { TURNS } from './turns.ts';

/** What an agent trusts. */
export interface AgentTrust {
  readonly anchor: TrustAnchor;
  /** Lowest number that is accepted; 0: any. */
  readonly floor: number;
  /** Milliseconds since the epoch. */
  readonly wallMs: () => number;
}

interface Candidate {
  readonly statement: Statement;
  readonly jws: string;
}

/** A copy that is to be opened, and where its parts are. */
interface Chosen extends Candidate {
  readonly partOf: (digest: string) => Uint8Array | undefined;
  /** The JSON itself, which the feed brings in place of compressed parts. */
  readonly plainOf: (digest: string) => Uint8Array | undefined;
}

/** Name of the file that keeps the public root key; the other names are those of a slot. */
const ROOT_FILE = 'root';

/** Opens the bundles of one workload. */
export class SignedFormat implements BundleFormat {
  readonly fileNames: readonly string[] = Array.from({ length: BUNDLE_SLOTS }, (_, slot) =>
    SLOT_FILES.map((name) => `${slot}/${name}`),
  ).flat();
  readonly #workload: WorkloadRef;
  readonly #trust: AgentTrust;
  #keys: TrustedKeys | undefined;
  /** Highest number that was accepted; before that, the floor. */
  #number: number;
  #last: DecodedBundle | undefined;

  constructor(workload: WorkloadRef, trust: AgentTrust) {
    this.#workload = workload;
    this.#trust = trust;
    this.#number = trust.floor;
  }

  get number(): number {
    return this.#last === undefined ? 0 : this.#number;
  }

  async open(files: BundleFiles): Promise<OpenedBundle> {
    const problems: RefusedError[] = [];
    const slots = slotsIn(files);
    const candidates = await doStepsApart(this.#candidates(files, slots, problems), TURNS);
    const [parts, plains] = [
      await doStepsApart(partsOf(slots.map(([, name]) => files[name(SLOT_PART_KEY)])), TURNS),
      await doStepsApart(partsOf(slots.map(([, name]) => files[name(SLOT_PLAIN_KEY)])), TURNS),
    ];
    for (const candidate of candidates) {
      try {
        return {
          ...(await this.#open({ ...candidate, partOf: (digest) => parts.get(digest), plainOf: (digest) => plains.get(digest) })),
          problems,
        };
      } catch (error) {
        problems.push(asRefused(error));
      }
    }
    throw problems[0] ?? new RefusedError('SP_BUNDLE_UNSIGNED', 'no slot has a statement');
  }

  /** The copies with a good statement, newest first. */
  *#candidates(files: BundleFiles, slots: readonly SlotName[], problems: RefusedError[]): Steps<readonly Candidate[]> {
    for (const [slot, name] of slots) {
      attempt(problems, slot, () => this.#learnKeys(files[name(SLOT_KEYS_KEY)]));
      yield;
    }
    const nowMs = this.#trust.wallMs();
    const candidates: Candidate[] = [];
    for (const [slot, name] of slots) {
      const candidate = attempt(problems, slot, () => this.#verify(files[name(SLOT_STATEMENT_KEY)], nowMs));
      if (candidate !== undefined) candidates.push(candidate);
      yield;
    }
    return candidates.sort((one, other) => other.statement.number - one.statement.number);
  }

  async openKept(kept: BundleFiles): Promise<OpenedBundle> {
    const root = textOf(kept[ROOT_FILE]);
    const { cluster } = this.#trust.anchor;
    this.#keys = acceptKeyLists(textOf(kept[SLOT_KEYS_KEY]), { cluster, roots: [root] });
    // Its key may have expired since: the last good bundle stays active for as long as there is no newer one.
    const candidate = this.#verify(kept[SLOT_STATEMENT_KEY], undefined);
    const parts = await doStepsApart(partsOf(candidate.statement.parts.map((_, at) => kept[`${SLOT_PART_KEY}.${at}`])), TURNS);
    const plains = await doStepsApart(partsOf([kept[SLOT_PLAIN_KEY]]), TURNS);
    const chosen = { ...candidate, partOf: (digest: string) => parts.get(digest), plainOf: (digest: string) => plains.get(digest) };
    return { ...(await this.#open(chosen)), problems: [] };
  }

  #learnKeys(lines: Uint8Array | undefined): void {
    if (lines === undefined) throw new RefusedError('SP_BUNDLE_KEYS', `${SLOT_KEYS_KEY} is missing`);
    const { cluster, roots } = this.#trust.anchor;
    this.#keys = acceptKeyLists(textOf(lines), { cluster, roots, known: this.#keys });
  }

  #verify(statement: Uint8Array | undefined, nowMs: number | undefined): Candidate {
    if (statement === undefined) throw new RefusedError('SP_BUNDLE_UNSIGNED', `${SLOT_STATEMENT_KEY} is missing`);
    if (this.#keys === undefined) throw new RefusedError('SP_BUNDLE_SIGNATURE', 'no list of signing keys was accepted');
    const { namespace, kind, name } = this.#workload;
    const { cluster } = this.#trust.anchor;
    const jws = textOf(statement);
    const context = { cluster, namespace, workload: { kind, name }, keys: this.#keys, nowMs };
    return { jws, statement: verifyStatement(BUNDLE_STATEMENT, jws, context) };
  }

  async #open({ statement, jws, partOf, plainOf }: Chosen): Promise<Omit<OpenedBundle, 'problems'>> {
    const { number, digest } = statement;
    if (number < this.#number)
      throw new RefusedError('SP_BUNDLE_OLDER', `the bundle has number ${number}; number ${this.#number} was accepted before`);
    const plain = plainOf(digest);
    if (plain === undefined) requireParts(statement, partOf);
    const decoded = this.#last?.digest === digest ? this.#last : await this.#decode({ statement, partOf, plain });
    this.#number = number;
    this.#last = decoded;
    return { ...decoded, keep: this.#kept({ statement, jws, partOf, plainOf }) };
  }

  async #decode({
    statement,
    partOf,
    plain,
  }: Pick<Chosen, 'statement' | 'partOf'> & { readonly plain: Uint8Array | undefined }): Promise<DecodedBundle> {
    const json = plain ?? (await fromStoredFormApart(statement, partOf, TURNS));
    return { bundle: await doStepsApart(parseBundleInSteps(json, this.#workload), TURNS), digest: statement.digest };
  }

  #kept({ statement, jws, partOf, plainOf }: Chosen): BundleFiles {
    const plain = plainOf(statement.digest);
    const parts = statement.parts.map(({ digest }, at) => [`${SLOT_PART_KEY}.${at}`, partOf(digest)] as const);
    return {
      [ROOT_FILE]: Buffer.from(this.#keys?.root ?? ''),
      [SLOT_KEYS_KEY]: Buffer.from(this.#keys?.lines ?? ''),
      [SLOT_STATEMENT_KEY]: Buffer.from(jws),
      ...(plain === undefined ? Object.fromEntries(parts) : { [SLOT_PLAIN_KEY]: plain }),
    };
  }
}

type SlotName = readonly [slot: number, name: (file: string) => string];

/** The slots of which any file is there. */
function slotsIn(files: BundleFiles): readonly SlotName[] {
  return Array.from({ length: BUNDLE_SLOTS }, (_, slot): SlotName => [slot, (file) => `${slot}/${file}`]).filter(([, name]) =>
    SLOT_FILES.some((file) => files[name(file)] !== undefined),
  );
}

function* partsOf(contents: readonly (Uint8Array | undefined)[]): Steps<ReadonlyMap<string, Uint8Array>> {
  const parts: (readonly [digest: string, content: Uint8Array])[] = [];
  for (const content of contents) if (content !== undefined) parts.push([yield* digestInSteps(content), content]);
  return new Map(parts);
}

/** The result of `run`; undefined, and a problem of this slot, when it refuses. */
function attempt<T>(problems: RefusedError[], slot: number, run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    const { code, message } = asRefused(error);
    problems.push(new RefusedError(code, `slot ${slot}: ${message}`, { cause: error }));
    return undefined;
  }
}

function asRefused(error: unknown): RefusedError {
  if (error instanceof RefusedError) return error;
  throw error;
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
