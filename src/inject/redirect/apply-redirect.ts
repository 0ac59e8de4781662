/*
 * Puts the redirect in force in the network namespace it runs in. In: the arguments after `redirect` on the agent's command
 * line. Out: iptables rules, or an error that keeps the pod from starting. Called by the agent image's entry point in the
 * init container `sallyport-init`; needs NET_ADMIN and NET_RAW.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { TransientError } from '../../errors.ts';
import { hasIpv6, JUMP, parseRedirect, type Redirect, redirectRules } from './rules.ts';

/** How iptables may be called: as the distribution set it up, then each kernel interface by name. */
const VARIANTS = ['', '-nft', '-legacy'] as const;

export interface AppliedRedirect {
  /** E.g. `iptables`, `ip6tables-legacy`. */
  readonly programs: readonly string[];
  readonly redirect: Redirect;
}

/** Redirects IPv4, and IPv6 when the pod has any. Running it again changes nothing.
 *  @throws RefusedError SP_CONFIG for wrong arguments; TransientError when no iptables on this kernel can do it */
export async function applyRedirect(args: readonly string[], signal: AbortSignal): Promise<AppliedRedirect> {
  const redirect = parseRedirect(args);
  const programs = [await applyFamily('iptables', redirect, signal)];
  // A pod that IPv6 could reach past the agent must not start.
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
  throw new TransientError('SP_REDIRECT', `no way to redirect connections on this node: ${failures.join('; ')}`);
}

/** Undefined when the rules are in force, else why not. */
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
  /** What it said, on one line. */
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
    child.on('close', (code) => resolve({ code: code ?? -1, output: output.trim().replaceAll(/\s*\n\s*/g, ' ') }));
    // A program that ends before it has read everything says why on its standard error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

async function readInterfaces(): Promise<string> {
  try {
    return await readFile('/proc/net/if_inet6', 'utf8');
  } catch {
    // Absent when the kernel runs without IPv6.
    return '';
  }
}
