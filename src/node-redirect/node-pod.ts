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

/**
 * The pod if its init container waits for a redirect by the node; undefined: it does not, or it is being deleted.
 *
 * @param onInvalid called for a pod whose arguments no redirect can be made of
 */
export function projectWaitingPod(
  raw: Fields,
  onInvalid: (name: string, reason: string) => void = () => undefined,
): WaitingPod | undefined {
  const metadata = fieldsOf(raw['metadata']);
  const spec = fieldsOf(raw['spec']);
  const status = fieldsOf(raw['status']);
  if (metadata['deletionTimestamp'] !== undefined || spec['hostNetwork'] === true || ENDED.includes(status['phase'])) return undefined;
  const container = itemsOf(spec['initContainers']).find(({ name }) => name === REDIRECT_CONTAINER);
  const [command, ...args] = textsOf(container?.['args']);
  if (command !== CAPTURE_COMMANDS.node || hasCompleted(status)) return undefined;
  const name = `${String(metadata['namespace'])}/${String(metadata['name'])}`;
  try {
    return { uid: String(metadata['uid']), name, addresses: addressesOf(status), redirect: parseRedirect(args) };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    onInvalid(name, error.message);
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
