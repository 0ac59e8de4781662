/*
 * How connections reach an agent in the namespace of the recorder, where every address is local and Envoy listens on those of the workloads:
 * the source ports of a slot are redirected to its agent, as in a pod, and what agents send to a workload goes to its application.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { RecordedWorkload } from '../../conformance/case-file.ts';
import type { NameServer } from '../../support/name-server.ts';

/** Group of the agents, which distinguishes their connections from those of clients. */
export const AGENT_GROUP = 1337;

/** The ports of one agent. */
export interface Slot {
  readonly index: number;
  readonly capturePort: number;
  readonly adminPort: number;
  /** Clients of the agent connect from these ports. */
  readonly firstSource: number;
  readonly lastSource: number;
}

/** Below the ephemeral ports, from which everybody else connects. */
const FIRST_SOURCE = 10_000;
const SOURCES = 1000;
const FIRST_LISTENER = 23_001;

/** The slot with this number; there are at most 10. */
export function slotOf(index: number): Slot {
  const firstSource = FIRST_SOURCE + index * SOURCES;
  const capturePort = FIRST_LISTENER + index * 2;
  return { index, capturePort, adminPort: capturePort + 1, firstSource, lastSource: firstSource + SOURCES - 1 };
}

/** Ports of the applications behind the workloads, and of a name server. */
export interface ApplicationPorts {
  readonly http: number;
  readonly tcp: number;
  readonly names: number;
}

/** Port of a name server, which says of names without an address that they do not exist. */
export function portOf({ address }: NameServer): number {
  return Number(address.split(':')[1]);
}

/** A command that runs `command` in its own network namespace, whose interfaces `/sys` has, as in a pod. */
export function inOwnNetwork(command: readonly string[]): readonly string[] {
  return ['unshare', '--net', '--mount', 'sh', '-c', 'mount -t sysfs sysfs /sys && exec "$@"', 'sh', ...command];
}

/** Makes every address local in this namespace, so that clients and workloads can have any address. */
export function makeAddressesLocal(): void {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  execFileSync('ip', ['route', 'add', 'local', '0.0.0.0/0', 'dev', 'lo']);
  execFileSync('ip', ['-6', 'route', 'add', 'local', '::/0', 'dev', 'lo']);
  for (const family of ['ipv4', 'ipv6']) writeFileSync(`/proc/sys/net/${family}/ip_nonlocal_bind`, '1');
}

/** Replaces the rules: connections from the ports of `slots` lead to their agents, and those of agents to the applications. */
export function redirect(slots: readonly Slot[], workloads: readonly RecordedWorkload[], applications: ApplicationPorts): void {
  for (const [program, isFamily, host] of [
    ['iptables-restore', (ip: string) => !ip.includes(':'), '127.0.0.1'],
    ['ip6tables-restore', (ip: string) => ip.includes(':'), '[::1]'],
  ] as const) {
    const captured = slots.map(
      ({ firstSource, lastSource, capturePort }) =>
        `-A OUTPUT -p tcp -m owner ! --gid-owner ${AGENT_GROUP} -m tcp --sport ${firstSource}:${lastSource} -j REDIRECT --to-ports ${capturePort}`,
    );
    const served = workloads
      .filter(({ ip }) => isFamily(ip))
      .flatMap(({ ip, ports }) =>
        ports.map(({ number, protocol }) => {
          const port = protocol === 'tcp' ? applications.tcp : applications.http;
          return `-A OUTPUT -d ${ip} -p tcp -m owner --gid-owner ${AGENT_GROUP} -m tcp --dport ${number} -j DNAT --to-destination ${host}:${port}`;
        }),
      );
    const named = `-A OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports ${applications.names}`;
    const input = ['*nat', ':OUTPUT ACCEPT [0:0]', named, ...served, ...captured, 'COMMIT', ''].join('\n');
    execFileSync(program, { input });
  }
}

/** Adds or removes addresses of workloads: an agent serves those of its interfaces only. */
export function setAddresses(action: 'add' | 'del', workloads: readonly RecordedWorkload[]): void {
  const ips = new Set(workloads.map(({ ip }) => ip));
  const lines = [...ips].map((ip) => `addr ${action} ${ip}/${ip.includes(':') ? 128 : 32} dev lo${ip.includes(':') ? ' nodad' : ''}`);
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}
