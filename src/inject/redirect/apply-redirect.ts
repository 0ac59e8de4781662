/*
 * Sets the redirect in a network namespace: in that of the pod, from its init container `sallyport-init`, with the arguments after `redirect`;
 * or from a program on the node, which starts the commands in the namespace of a pod. Needs NET_ADMIN and NET_RAW.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { TransientError } from '../../errors.ts';
import { onOneLine } from '../../text.ts';
import { hasIpv6, type Jump, jumpsOf, parseRedirect, type Redirect, redirectRules } from './rules.ts';

/** Suffixes of the iptables commands to try: the distribution's default, then each kernel interface explicitly. */
const VARIANTS = ['', '-nft', '-legacy'] as const;
/** Longest time of one command, in milliseconds. */
const COMMAND_MS = 30_000;
const MAX_OUTPUT = 2_000;

/** Starts a command with pipes, in the network namespace that the redirect is for. */
export type StartCommand = (program: string, args: readonly string[]) => ChildProcessWithoutNullStreams;

/** Result of {@link applyRedirect}. */
export interface AppliedRedirect {
  /** Commands that succeeded, e.g. `iptables`, `ip6tables-legacy`. */
  readonly programs: readonly string[];
  readonly redirect: Redirect;
}

/** What {@link setRedirect} sets, and where. */
export interface RedirectPlan {
  readonly redirect: Redirect;
  readonly hasIpv6: boolean;
  /** See `jumpsOf`. */
  readonly hasCanary: boolean;
  /** Absent: in the network namespace of this process. */
  readonly start?: StartCommand;
}

/**
 * Redirects the connections of the pod that this process runs in: IPv4, and IPv6 if the pod has an IPv6 address. A second run changes nothing.
 * @throws RefusedError SP_CONFIG for invalid arguments; TransientError SP_REDIRECT if no iptables command works on this kernel
 */
export async function applyRedirect(args: readonly string[], signal: AbortSignal): Promise<AppliedRedirect> {
  const redirect = parseRedirect(args);
  const plan = { redirect, hasIpv6: hasIpv6(await readInterfaces()), hasCanary: false };
  return { programs: await setRedirect(plan, signal), redirect };
}

/**
 * Sets a redirect, each address family as a whole or not at all. A second run changes nothing.
 * @returns the commands that succeeded @throws TransientError SP_REDIRECT if no iptables command works on this kernel
 */
export async function setRedirect(plan: RedirectPlan, signal: AbortSignal): Promise<readonly string[]> {
  const programs = [await setFamily('iptables', plan, signal)];
  // A pod that is reachable over IPv6 without its agent must not start.
  if (plan.redirect.ipv6 === 'auto' && plan.hasIpv6) programs.push(await setFamily('ip6tables', plan, signal));
  return programs;
}

/** Content of /proc/net/if_inet6; empty if the kernel runs without IPv6. */
export async function readInterfaces(): Promise<string> {
  try {
    return await readFile('/proc/net/if_inet6', 'utf8');
  } catch {
    // The file does not exist.
    return '';
  }
}

async function setFamily(family: 'iptables' | 'ip6tables', plan: RedirectPlan, signal: AbortSignal): Promise<string> {
  const failures: string[] = [];
  for (const variant of VARIANTS) {
    const program = `${family}${variant}`;
    const failure = await setWith(program, plan, signal);
    if (failure === undefined) return program;
    failures.push(`${program}: ${failure}`);
    signal.throwIfAborted();
  }
  throw new TransientError('SP_REDIRECT', `cannot redirect connections on this node: ${failures.join('; ')}`);
}

/** Undefined if the rules are active, otherwise the reason why not. */
async function setWith(program: string, plan: RedirectPlan, signal: AbortSignal): Promise<string | undefined> {
  const { redirect, hasCanary, start = startHere } = plan;
  const missing: Jump[] = [];
  // Appending a jump that is there would add a second one; there is no command that adds it only once.
  for (const jump of jumpsOf(hasCanary)) {
    const found = await run(start, { program, args: ['-w', '5', '-t', 'nat', '-C', ...jump], input: '' }, signal);
    if (found.code !== 0) missing.push(jump);
  }
  const input = redirectRules(redirect, { hasCanary, missing });
  const restored = await run(start, { program: `${program}-restore`, args: ['-w', '5', '--noflush'], input }, signal);
  return restored.code === 0 ? undefined : restored.output;
}

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly input: string;
}

interface Outcome {
  readonly code: number;
  /** Its standard error on one line. */
  readonly output: string;
}

function run(start: StartCommand, { program, args, input }: Command, signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = tryToStart(start, program, args);
    if (child instanceof Error) return resolve({ code: -1, output: child.message });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(COMMAND_MS)]);
    const kill = (): unknown => child.kill('SIGKILL');
    if (limit.aborted) kill();
    limit.addEventListener('abort', kill, { once: true });
    let output = '';
    const end = (code: number, text: string): void => {
      limit.removeEventListener('abort', kill);
      resolve({ code, output: onOneLine(text) });
    };
    child.stdout.resume();
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-MAX_OUTPUT);
    });
    child.on('error', (error) => end(-1, error.message));
    child.on('close', (code, killed) => end(code ?? -1, code === null ? `ended by ${killed}` : output));
    // A program that exits before it has read its input reports why on standard error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

function tryToStart(start: StartCommand, program: string, args: readonly string[]): ChildProcessWithoutNullStreams | Error {
  try {
    return start(program, args);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function startHere(program: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(program, args);
}
