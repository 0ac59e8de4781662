/*
 * A connection to the cluster for one command. The Kubernetes client is loaded here, and only when a command calls this.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../cluster/client.ts';
import { RefusedError } from '../../errors.ts';
import { VERSION } from '../../version.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_USAGE } from '../context/exit-codes.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { kubeFailure } from './kube-failure.ts';

/** What a command works with. */
export interface LiveSession {
  readonly client: KubeClient;
  /** The namespace that the command is about, unless it is about all. */
  readonly namespace: string;
  /** Namespace of lists; undefined: all. */
  readonly scope: string | undefined;
}

/** A server that does not respond in this time counts as unreachable. */
const REACHABLE_MS = 4000;
/** Time to close connections. */
const CLOSE_MS = 200;
/** A credential plugin may wait for a person. */
const LOGIN_MS = 120_000;
/** Environment variables that say where credentials are: a file, a home directory, a pod. */
const PLACES = ['KUBECONFIG', 'HOME', 'USERPROFILE', 'KUBERNETES_SERVICE_HOST'];
const NO_KUBECONFIG = 'no kubeconfig found: set KUBECONFIG or pass --kubeconfig';
/** As the API server accepts them. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** Requests end with the process: a signal ends both. */
export const ALWAYS: AbortSignal = new AbortController().signal;

/**
 * Runs `run` with a client for the cluster that `options` choose.
 * @throws CommandError with exit code 64 for options that contradict each other, 65 for an unusable kubeconfig, 1 for a cluster that is
 *   unreachable or refuses a request
 */
export async function withSession<T>(
  options: ClusterOptions,
  { env }: Pick<CommandContext, 'env'>,
  run: (session: LiveSession) => Promise<T>,
): Promise<T> {
  checkOptions(options);
  if (options.kubeconfig === undefined && PLACES.every((name) => (env[name] ?? '') === ''))
    throw new CommandError(EXIT_BAD_DATA, NO_KUBECONFIG);
  const { kubeconfig, context, as, asGroup } = options;
  const { createKubeClient } = await import('../../cluster/client.ts');
  let client: KubeClient | undefined;
  try {
    client = createKubeClient({
      version: VERSION,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
      ...(as === undefined ? {} : { impersonate: { user: as, ...(asGroup === undefined ? {} : { group: asGroup }) } }),
    });
    await requireReachable(client);
    const namespace = options.namespace ?? client.namespace;
    return await run({ client, namespace, scope: options.allNamespaces === true ? undefined : namespace });
  } catch (thrown) {
    throw kubeFailure(thrown, client?.server ?? '');
  } finally {
    // A connection that is still being opened cannot be closed; the process does not wait for it.
    await Promise.race([client?.close(), sleep(CLOSE_MS, undefined, { ref: false })]);
  }
}

function checkOptions({ namespace, allNamespaces, as, asGroup }: ClusterOptions): void {
  if (namespace !== undefined && allNamespaces === true) throw new CommandError(EXIT_USAGE, 'give either -n or -A');
  if (namespace !== undefined && !NAMESPACE.test(namespace)) throw new CommandError(EXIT_USAGE, `invalid namespace "${namespace}"`);
  if (asGroup !== undefined && as === undefined) throw new CommandError(EXIT_USAGE, '--as-group needs --as');
}

/** Fails early and clearly, instead of after the deadline of a list. */
async function requireReachable(client: KubeClient): Promise<void> {
  try {
    await client.request({ method: 'GET', path: '/version', timeoutMs: client.hasCredentialPlugin === true ? LOGIN_MS : REACHABLE_MS });
  } catch (thrown) {
    // It responded: a user who may not read the version may still read policies.
    if (!(thrown instanceof RefusedError)) throw thrown;
  }
}
