/*
 * The bundle that is published for a workload, as an agent of its pods chooses it: the newest one that it would accept.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import { BUNDLE_SLOTS } from '../../api/kube/names.ts';
import { slotName } from '../../api/kube/workload.ts';
import type { Bundle } from '../../bundle/bundle.ts';
import { parseBundle } from '../../bundle/decode.ts';
import { keyIdOf, type Statement } from '../../bundle/statement.ts';
import { parseTrustAnchor, type TrustAnchor } from '../../bundle/trust-anchor.ts';
import { readObject } from '../../cluster/objects.ts';
import { apiVersionOf, CONFIG_MAPS } from '../../cluster/paths.ts';
import { RefusedError } from '../../errors.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE } from '../context/exit-codes.ts';
import { openStatement } from '../input/open-statement.ts';
import { jsonOfStatement, type SlotConfigMap, slotsOf, statementsIn, workloadOfStatement } from '../input/slot-config-maps.ts';
import { ALWAYS, type LiveSession } from './session.ts';
import type { LiveTarget } from './target.ts';

/** What is published, and whether agents accept it. */
export interface PublishedBundle {
  readonly bundle: Bundle;
  readonly statement: Statement;
  /** Names of its ConfigMaps, in the namespace of the workload. */
  readonly configMaps: readonly string[];
  /** ID of the key that signed. */
  readonly key: string;
  /** When the period of that key ends, ISO 8601; absent: no pod has an agent whose trust anchor could verify it. */
  readonly validUntil?: string;
}

/** What an agent verifies a bundle by. */
interface Trust {
  readonly pod: string;
  readonly anchor: TrustAnchor;
  readonly floor: number;
}

/**
 * Reads and opens the bundle.
 * @throws CommandError with exit code 1 when none is published, 65 when agents would refuse it, with the reason
 */
export async function readPublishedBundle(session: LiveSession, target: LiveTarget): Promise<PublishedBundle> {
  const { workload } = target;
  const slots = await readSlots(session, target);
  const statements = statementsIn(slots);
  const [newest] = statements;
  if (newest === undefined) throw noBundle(target, slots.length > 0);
  const trust = trustOf(target);
  const configMaps = slots.filter(({ statement }) => statement?.digest === newest.digest).map(({ name }) => name);
  if (trust === undefined) {
    const bundle = parseBundle(jsonOfStatement(newest, slots), workloadOfStatement(newest));
    const jws = slots.find(({ statement }) => statement?.number === newest.number)?.jws ?? '';
    return { bundle, statement: newest, configMaps, key: keyIdOf(jws) };
  }
  let refusal: RefusedError | undefined;
  for (const statement of statements) {
    if (statement.number < trust.floor) continue;
    try {
      const { bundle, key, validUntil } = openStatement(statement, slots, trust.anchor);
      if (bundle !== undefined) return { bundle, statement, configMaps, key, validUntil };
    } catch (thrown) {
      if (!(thrown instanceof RefusedError)) throw thrown;
      refusal ??= thrown;
    }
  }
  const reason =
    refusal === undefined ? 'it is older than the one that the agent was injected with' : `${refusal.message} [${refusal.code}]`;
  throw new CommandError(
    EXIT_BAD_DATA,
    `the agent of pod ${trust.pod} refuses the published bundle of ${workloadKey(workload)}: ${reason}`,
  );
}

/** The ConfigMaps of the workload that exist. */
async function readSlots({ client }: LiveSession, { workload }: LiveTarget): Promise<readonly SlotConfigMap[]> {
  const { namespace } = workload;
  const names = Array.from({ length: BUNDLE_SLOTS }, (_, slot) => slotName(workload, slot));
  const found = await Promise.all(names.map((name) => readObject(client, { resource: CONFIG_MAPS, namespace, name }, ALWAYS)));
  const items = found.flatMap((raw) => (raw === undefined ? [] : [{ ...raw, apiVersion: apiVersionOf(CONFIG_MAPS), kind: 'ConfigMap' }]));
  return slotsOf({ items });
}

/** Of the first pod whose agent takes signed bundles. */
function trustOf({ pods }: LiveTarget): Trust | undefined {
  for (const { name, trust } of pods) {
    if (trust === undefined) continue;
    try {
      return { pod: name, anchor: parseTrustAnchor(trust.anchor), floor: trust.floor };
    } catch (thrown) {
      if (!(thrown instanceof RefusedError)) throw thrown;
      throw new CommandError(EXIT_BAD_DATA, `the agent of pod ${name} has no usable trust anchor, so it accepts no bundle`, {
        cause: thrown,
      });
    }
  }
  return undefined;
}

function noBundle({ workload, pods }: LiveTarget, isBroken: boolean): CommandError {
  const key = workloadKey(workload);
  if (isBroken) {
    return new CommandError(EXIT_BAD_DATA, `the ConfigMaps of the bundle of ${key} have no signed statement: another client wrote them`);
  }
  const guarded = pods.filter(({ agent }) => agent !== undefined);
  const reason =
    guarded.length === 0
      ? `none of its ${pods.length === 1 ? 'pods has' : `${pods.length} pods has`} an agent, so no policy is enforced on it`
      : 'the controller has not published one yet, or does not run';
  return new CommandError(EXIT_FAILURE, `no bundle is published for ${key}: ${reason}`);
}
