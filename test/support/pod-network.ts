/*
 * Two network namespaces with one link: a pod, and a client outside. IPv4 and IPv6, as on a dual-stack node.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { installPackages } from '../cluster/prerequisites.ts';

const run = promisify(execFile);

/** Addresses of the pod. */
export const POD_IPV4: string = '10.98.0.2';
export const POD_IPV6: string = 'fd98::2';
/** Addresses of the client. */
export const CLIENT_IPV4: string = '10.98.0.1';
export const CLIENT_IPV6: string = 'fd98::1';

/** Source of `import { applyRedirect }` and its call with the arguments of the script; prints the programs that were used. */
export const APPLY_REDIRECT: string = `
  import { applyRedirect } from '${new URL('../..', import.meta.url).pathname}src/inject/redirect/apply-redirect.ts';
  const { programs } = await applyRedirect(process.argv.slice(1), new AbortController().signal);
  console.log(programs.join(' '));
`;

/** The two network namespaces. */
export interface PodNetwork {
  /** Name of the pod's network namespace, for `ip netns exec`. */
  readonly inside: string;
  /** Name of the client's. */
  readonly outside: string;
  /** Runs a program there. @returns what it prints, trimmed @throws Error when it fails */
  readonly execute: (namespace: string, ...command: readonly string[]) => Promise<string>;
  /** Runs TypeScript source there with arguments. @returns what it prints, trimmed */
  readonly script: (namespace: string, source: string, ...args: readonly string[]) => Promise<string>;
  /** Starts a program there and resolves with its first output on standard output. */
  readonly start: (namespace: string, command: readonly string[], env?: NodeJS.ProcessEnv) => Promise<ChildProcess>;
  /** Ends what was started, and removes the namespaces. */
  readonly close: () => Promise<void>;
}

/** Why the namespaces cannot be made here; undefined: they can. */
export async function missingForPodNetwork(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need Linux and root';
  // If they cannot be installed, the check below reports what is missing.
  await installPackages().catch(() => undefined);
  for (const [program, flag] of [
    ['ip', '-V'],
    ['iptables', '-V'],
    ['ip6tables', '-V'],
  ] as const) {
    const found = await run(program, [flag]).catch(() => undefined);
    if (found === undefined) return `${program} is not installed`;
  }
  return undefined;
}

/** Skips the suite of `context` where the namespaces cannot be made, and fails it in CI. */
export async function requirePodNetwork(context: Mocha.Context, what: string): Promise<void> {
  const missing = await missingForPodNetwork();
  if (missing === undefined) return;
  if (process.env['CI'] === 'true') throw new Error(`NOT CHECKED: ${missing}`);
  process.stderr.write(`NOT CHECKED: ${what}: ${missing}\n`);
  context.skip();
}

let made = 0;

/** Makes the namespaces. */
export async function createPodNetwork(): Promise<PodNetwork> {
  made += 1;
  const [inside, outside] = [`sp-in-${process.pid}-${made}`, `sp-out-${process.pid}-${made}`];
  const started: ChildProcess[] = [];
  const execute = async (namespace: string, ...command: readonly string[]): Promise<string> => {
    const { stdout } = await run('ip', ['netns', 'exec', namespace, ...command], { env: { ...process.env, NODE_NO_WARNINGS: '1' } });
    return stdout.trim();
  };
  await run('ip', ['netns', 'add', inside]);
  await run('ip', ['netns', 'add', outside]);
  await run('ip', ['link', 'add', 'pod0', 'netns', inside, 'type', 'veth', 'peer', 'name', 'peer0', 'netns', outside]);
  for (const [name, link, ipv4, ipv6] of [
    [inside, 'pod0', POD_IPV4, POD_IPV6],
    [outside, 'peer0', CLIENT_IPV4, CLIENT_IPV6],
  ] as const) {
    await execute(name, 'ip', 'addr', 'add', `${ipv4}/24`, 'dev', link);
    await execute(name, 'ip', '-6', 'addr', 'add', `${ipv6}/64`, 'dev', link, 'nodad');
    await execute(name, 'ip', 'link', 'set', link, 'up');
    await execute(name, 'ip', 'link', 'set', 'lo', 'up');
  }
  return {
    inside,
    outside,
    execute,
    script: (namespace, source, ...args) =>
      execute(namespace, process.execPath, '--input-type=module-typescript', '-e', source, '--', ...args),
    start: async (namespace, command, env = process.env) => {
      const child = spawn('ip', ['netns', 'exec', namespace, ...command], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      started.push(child);
      await new Promise((resolve, reject) => {
        child.stdout.once('data', resolve);
        child.once('exit', () => reject(new Error(`${command[0] ?? ''} ended`)));
      });
      return child;
    },
    close: async () => {
      for (const child of started) child.kill('SIGKILL');
      for (const name of [inside, outside]) await run('ip', ['netns', 'del', name]).catch(() => undefined);
    },
  };
}
