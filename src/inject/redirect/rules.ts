/*
 * Parses the arguments of the redirect and generates its iptables rules, the same for IPv4 and IPv6. Pure.
 */
import { parseArgs } from 'node:util';
import { AGENT_CANARY_PORT, MAX_REDIRECT_ARGS } from '../../api/kube/agent-contract.ts';
import { RefusedError } from '../../errors.ts';

/** A redirect. Ports are from 1 to 65535. */
export interface Redirect {
  /** Connections to `port` go to the agent's port `listen`, the first one of each port. Only pods that an earlier version injected have them. */
  readonly maps: readonly { readonly port: number; readonly listen: number }[];
  /** Ports that are not redirected, including the agent's admin port. */
  readonly excluded: readonly number[];
  /** Connections to any other port go to this port of the agent. */
  readonly rest: number;
  /** Only these ports are redirected to `rest`, and others are not redirected; empty: every port is. */
  readonly only: readonly number[];
  /** `skip`: IPv6 is not redirected, for kernels that cannot redirect it and pods that are not reachable over it. */
  readonly ipv6: 'auto' | 'skip';
}

/** Our chains in the nat table; the built-in chains only get a jump to each. */
const INBOUND = 'SALLYPORT_INBOUND';
const CANARY = 'SALLYPORT_CANARY';
/** A jump from a built-in chain to one of ours: arguments of `-C` and `-A`. */
export type Jump = readonly string[];

/**
 * The jumps of a redirect, without which its chains have no effect.
 *
 * @param hasCanary connections from inside the pod to {@link AGENT_CANARY_PORT} of any of its addresses go to the agent's port, too: a
 *   container that gets an answer there knows that the redirect is set
 */
export function jumpsOf(hasCanary: boolean): readonly Jump[] {
  const inbound = ['PREROUTING', '-p', 'tcp', '-j', INBOUND];
  const canary = ['OUTPUT', '-o', 'lo', '-p', 'tcp', '--dport', String(AGENT_CANARY_PORT), '-j', CANARY];
  return hasCanary ? [inbound, canary] : [inbound];
}

/**
 * Parses command-line arguments.
 * @param args `--all LISTEN`, `--exclude PORT` and `--only PORT` (both repeatable), `--ipv6 auto|skip`; instead of `--all` and `--only`,
 *   as earlier versions injected them, `--map PORT:LISTEN` (repeatable) and `--blocked LISTEN`. At most {@link MAX_REDIRECT_ARGS}
 * @throws RefusedError SP_CONFIG if they are invalid, or too many
 */
export function parseRedirect(args: readonly string[]): Redirect {
  // First of all: `parseArgs` takes seconds for 100,000 of them, and `iptables-restore` 100 MB.
  if (args.length > MAX_REDIRECT_ARGS)
    throw new RefusedError('SP_CONFIG', `too many ports: there are ${args.length} arguments, and at most ${MAX_REDIRECT_ARGS} are allowed`);
  const { map, exclude, only, all, blocked, ipv6 } = parseFlags(args);
  if (ipv6 !== 'auto' && ipv6 !== 'skip') throw new RefusedError('SP_CONFIG', `--ipv6: "${ipv6}" is neither auto nor skip`);
  if ((all === undefined) === (blocked === undefined)) throw new RefusedError('SP_CONFIG', 'one of --all and --blocked is needed');
  if (all === undefined ? only.length > 0 : map.length > 0)
    throw new RefusedError('SP_CONFIG', '--only belongs to --all, and --map to --blocked');
  return {
    maps: [...new Set(map)].map((text) => {
      const [port = '', listen = '', ...rest] = text.split(':');
      if (rest.length > 0) throw new RefusedError('SP_CONFIG', `--map: "${text}" is not PORT:LISTEN`);
      return { port: parsePort('map', port), listen: parsePort('map', listen) };
    }),
    excluded: [...new Set(exclude.map((text) => parsePort('exclude', text)))],
    rest: all === undefined ? parsePort('blocked', blocked ?? '') : parsePort('all', all),
    only: [...new Set(only.map((text) => parsePort('only', text)))],
    ipv6,
  };
}

/** What the redirect of a pod has besides its rules. */
export interface RedirectParts {
  /** With the chain of {@link jumpsOf}'s canary. */
  readonly hasCanary: boolean;
  /** Jumps that the built-in chains do not have yet. */
  readonly missing: readonly Jump[];
}

/**
 * Input of `iptables-restore --noflush`, which applies it as a whole or not at all: replaces our chains, adds the jumps that are missing, and
 * changes nothing else. It applies only to new connections from outside the pod, not to outgoing connections or to loopback, but for the canary.
 */
export function redirectRules(redirect: Redirect, { hasCanary, missing }: RedirectParts): string {
  const tcp = `-A ${INBOUND} -p tcp`;
  return [
    '*nat',
    // Declaring a chain empties it, so that a second run is harmless.
    `:${INBOUND} - [0:0]`,
    ...(hasCanary ? [`:${CANARY} - [0:0]`] : []),
    `-A ${INBOUND} -i lo -j RETURN`,
    ...redirect.excluded.map((port) => `${tcp} --dport ${port} -j RETURN`),
    ...redirect.maps.map(({ port, listen }) => `${tcp} --dport ${port} -j REDIRECT --to-ports ${listen}`),
    ...(redirect.only.length === 0 ? [tcp] : redirect.only.map((port) => `${tcp} --dport ${port}`)).map(
      (match) => `${match} -j REDIRECT --to-ports ${redirect.rest}`,
    ),
    ...(hasCanary ? [`-A ${CANARY} -p tcp -j REDIRECT --to-ports ${redirect.rest}`] : []),
    ...missing.map((jump) => `-A ${jump.join(' ')}`),
    'COMMIT',
    '',
  ].join('\n');
}

/**
 * Whether the pod is reachable over IPv6. Link-local addresses count, because pods on the same bridge can use them.
 *
 * @param table content of /proc/net/if_inet6; empty if the kernel has no IPv6
 */
export function hasIpv6(table: string): boolean {
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .some((fields) => fields.length >= 6 && fields[5] !== 'lo');
}

interface Flags {
  readonly map: readonly string[];
  readonly exclude: readonly string[];
  readonly only: readonly string[];
  readonly all: string | undefined;
  readonly blocked: string | undefined;
  readonly ipv6: string;
}

function parseFlags(args: readonly string[]): Flags {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        map: { type: 'string', multiple: true },
        exclude: { type: 'string', multiple: true },
        only: { type: 'string', multiple: true },
        all: { type: 'string' },
        blocked: { type: 'string' },
        ipv6: { type: 'string' },
      },
      strict: true,
    });
    const { map = [], exclude = [], only = [], all, blocked, ipv6: family = 'auto' } = values;
    return { map, exclude, only, all, blocked, ipv6: family };
  } catch (cause) {
    throw new RefusedError('SP_CONFIG', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function parsePort(flag: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new RefusedError('SP_CONFIG', `--${flag}: "${text}" is not a port`);
  return port;
}
