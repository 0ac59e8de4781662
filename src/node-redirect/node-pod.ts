/*
 * The pods of a node that wait for their redirect, from raw objects of the API server. The spec says what a pod wants, because most of it
 * cannot change while the pod exists, whereas its owner may change labels and annotations at any time.
 */
import { CAPTURE_COMMANDS, REDIRECT_CONTAINER } from '../api/kube/agent-contract.ts';
import { type Fields, fieldsOf, itemsOf, textsOf } from '../api/kube/pod-fields.ts';
import { RefusedError } from '../errors.ts';
import { parseRedirect, type Redirect } from '../inject/redirect/rules.ts';
import { plainAddress } from '../plain-address.ts';

/** A pod that waits for its redirect. */
export interface WaitingPod {
  readonly uid: string;
  /** `namespace/name`. */
  readonly name: string;
  /** Addresses as the kubelet reported them; empty: not yet. */
  readonly addresses: readonly string[];
  readonly redirect: Redirect;
}

/** Phases in which no container of a pod starts any more. */
const ENDED: readonly unknown[] = ['Succeeded', 'Failed'];

/** Most pods whose arguments are remembered; a kubelet runs 110 pods by default. */
const MAX_KNOWN = 512;
/** Longest reason that is reported: arguments, which it quotes, are as long as the pod wants. */
const MAX_REASON = 200;

/**
 * A function that returns the pod if its init container waits for a redirect by the node; undefined: it does not, or it is being deleted.
 *
 * @param onInvalid called once for a pod whose arguments no redirect can be made of
 */
export function createPodProjection(onInvalid: (name: string, reason: string) => void): (raw: Fields) => WaitingPod | undefined {
  /** By UID, because arguments never change; undefined: they are invalid. */
  const known = new Map<string, Redirect | undefined>();
  const redirectOf = (uid: string, name: string, args: readonly string[]): Redirect | undefined => {
    if (known.has(uid)) return known.get(uid);
    const redirect = tryToParse(args, (reason) => onInvalid(name, reason.slice(0, MAX_REASON)));
    known.set(uid, redirect);
    const [oldest = uid] = known.keys();
    if (known.size > MAX_KNOWN) known.delete(oldest);
    return redirect;
  };
  return (raw) => {
    const args = waitingArgs(raw);
    if (args === undefined) return undefined;
    const metadata = fieldsOf(raw['metadata']);
    const uid = String(metadata['uid']);
    const name = `${String(metadata['namespace'])}/${String(metadata['name'])}`;
    const redirect = redirectOf(uid, name, args);
    return redirect === undefined ? undefined : { uid, name, addresses: addressesOf(fieldsOf(raw['status'])), redirect };
  };
}

/** The arguments of the redirect that a pod waits for. */
function waitingArgs(raw: Fields): readonly string[] | undefined {
  const spec = fieldsOf(raw['spec']);
  const status = fieldsOf(raw['status']);
  const isDeleted = fieldsOf(raw['metadata'])['deletionTimestamp'] !== undefined;
  if (isDeleted || spec['hostNetwork'] === true || ENDED.includes(status['phase'])) return undefined;
  const container = itemsOf(spec['initContainers']).find(({ name }) => name === REDIRECT_CONTAINER);
  const [command, ...args] = textsOf(container?.['args']);
  return command !== CAPTURE_COMMANDS.node || hasCompleted(status) ? undefined : args;
}

function tryToParse(args: readonly string[], onInvalid: (reason: string) => void): Redirect | undefined {
  try {
    return parseRedirect(args);
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    onInvalid(error.message);
    return undefined;
  }
}

/** The init container of the present sandbox has seen its redirect. In another sandbox it starts again, and the kubelet reports that. */
function hasCompleted(status: Fields): boolean {
  const reported = itemsOf(status['initContainerStatuses']).find(({ name }) => name === REDIRECT_CONTAINER);
  return fieldsOf(fieldsOf(reported?.['state'])['terminated'])['exitCode'] === 0;
}

function addressesOf(status: Fields): readonly string[] {
  return itemsOf(status['podIPs'])
    .map(({ ip }) => ip)
    .filter((ip) => typeof ip === 'string')
    .map(plainAddress);
}
