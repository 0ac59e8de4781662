/*
 * A shell for all suites of test/e2e: /bin/sh with kubectl, helm and `sallyport` on the PATH, and KUBECONFIG set.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestNode } from '../../cluster/node.ts';

/** Root of the project: working directory of every command. */
export const projectRoot: string = fileURLToPath(new URL('../../../', import.meta.url));

/** Result of a command. */
export interface Outcome {
  /** Exit status; -1 when a signal or the time limit ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of a command. */
export interface CommandOptions {
  /** Written to its standard input; absent: none. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: 90 000. */
  readonly timeoutMs?: number;
}

/** A shell on one node. */
export interface Shell {
  /** Environment that its commands get. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs a command line. @returns its standard output, trimmed; @throws Error with its standard error when it fails */
  readonly run: (command: string, options?: CommandOptions) => Promise<string>;
  /** Runs a command line that may fail. */
  readonly attempt: (command: string, options?: CommandOptions) => Promise<Outcome>;
  /** `kubectl apply` of manifests. @returns what kubectl printed */
  readonly apply: (...manifests: readonly string[]) => Promise<string>;
}

/** A shell that talks to `node`; `sallyport` is the command that `npm run build` built. */
export function createShell(node: TestNode): Shell {
  const own = mkdtempSync(join(tmpdir(), 'sallyport-e2e-'));
  const program = join(projectRoot, 'dist/sallyport.mjs');
  chmodSync(program, 0o755);
  symlinkSync(program, join(own, 'sallyport'));
  process.once('exit', () => rmSync(own, { recursive: true, force: true }));
  const env = { ...process.env, PATH: [own, dirname(process.execPath), node.path].join(':'), KUBECONFIG: node.kubeconfigPath };
  const attempt = (command: string, options: CommandOptions = {}): Promise<Outcome> => runCommand(command, options, env);
  const run = async (command: string, options?: CommandOptions): Promise<string> => {
    const { status, stdout, stderr } = await attempt(command, options);
    if (status !== 0) throw new Error(`exit ${status}: ${command}\n${stderr || stdout}`);
    return stdout.trim();
  };
  return { env, run, attempt, apply: (...manifests) => run('kubectl apply -f -', { input: manifests.join('\n---\n') }) };
}

function runCommand(command: string, options: CommandOptions, env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: projectRoot,
      env: { ...env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 90_000,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    // A command may exit without reading all of its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('close', (status) => {
      resolve({ status: status ?? -1, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}
