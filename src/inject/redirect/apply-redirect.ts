/*
 * Applies the redirect in the network namespace of the pod. The agent image runs it in the init container `sallyport-init`, with
 * the arguments after `redirect`; it needs NET_ADMIN and NET_RAW. An error keeps the pod from starting.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { TransientError } from '../../errors.ts';
import { onOneLine } from '../../text.ts';
import { hasIpv6, JUMP, parseRedirect, type Redirect, redirectRules } from './rules.ts';

/** Suffixes of the iptables commands to try: the distribution's default, then each kernel interface explicitly. */
const VARIANTS = ['', '-nft', '-legacy'] as const;

/** Result of {@link applyRedirect}. */
export interface AppliedRedirect {
  /** Commands that succeeded, e.g. `iptables`, `ip6tables-legacy`. */
  readonly programs: readonly string[];
  readonly redirect: Redirect;
}

/**
 * Redirects IPv4, and IPv6 if the pod has an IPv6 address. A second run changes nothing.
 * @throws RefusedError SP_CONFIG for invalid arguments; TransientError SP_REDIRECT if no iptables command works on this kernel
 */
export async function applyRedirect(args: readonly string[], signal: AbortSignal): Promise<AppliedRedirect> {
  const redirect = parseRedirect(args);
  const programs = [await applyFamily('iptables', redirect, signal)];
  // A pod that is reachable over IPv6 without its agent must not start.
  if (redirect.ipv6 === 'auto' && hasIpv6(await readInterfaces())) programs.push(await applyFamily('ip6tables', redirect, signal));
  return { programs, redirect };
}

async function applyFamily(family: 'iptables' | 'ip6tables', redirect: Redirect, signal: AbortSignal): Promise<string> {
  const failures: string[] = [];
  for (const variant of VARIANTS) {
    const program = `${family}${variant}`;
    const failure = await applyWith(program, redirect, signal);
    if (failure === undefined) return program;
    failures.push(`${program}: ${failure}`);
    signal.throwIfAborted();
  }
  throw new TransientError('SP_REDIRECT', `cannot redirect connections on this node: ${failures.join('; ')}`);
}

/** Undefined if the rules are active, otherwise the reason why not. */
async function applyWith(program: string, redirect: Redirect, signal: AbortSignal): Promise<string | undefined> {
  const restored = await run(`${program}-restore`, ['-w', '5', '--noflush'], redirectRules(redirect), signal);
  if (restored.code !== 0) return restored.output;
  const present = await run(program, ['-w', '5', '-t', 'nat', '-C', ...JUMP], '', signal);
  if (present.code === 0) return undefined;
  const appended = await run(program, ['-w', '5', '-t', 'nat', '-A', ...JUMP], '', signal);
  return appended.code === 0 ? undefined : appended.output;
}

interface Outcome {
  readonly code: number;
  /** Its standard error on one line. */
  readonly output: string;
}

function run(program: string, args: readonly string[], input: string, signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'], signal });
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2_000);
    });
    child.on('error', (error) => resolve({ code: -1, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? -1, output: onOneLine(output) }));
    // A program that exits before it has read its input reports why on standard error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

async function readInterfaces(): Promise<string> {
  try {
    return await readFile('/proc/net/if_inet6', 'utf8');
  } catch {
    // The file does not exist if the kernel runs without IPv6.
    return '';
  }
}
