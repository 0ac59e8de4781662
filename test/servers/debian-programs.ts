/*
 * Programs of Debian packages without installing them: the packages that this machine lacks, with what they depend on, are downloaded and unpacked
 * once below the cache. A process sees their files over those of the machine, in its own mount namespace, at the paths that they expect.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot, withLock } from '../cluster/cache.ts';

const run = promisify(execFile);
/** Directories that are links into /usr, here and in every Debian since 12. */
const LINKED = ['bin', 'sbin', 'lib', 'lib64'];

/** Why programs of Debian packages cannot be had here; undefined: they can. */
export function missingForDebian(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'Linux and root, for Debian packages';
  if (!existsSync('/usr/bin/apt-get')) return 'apt-get, for Debian packages';
  return /\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8')) ? undefined : 'overlayfs in the kernel';
}

/**
 * The unpacked files of `packages`.
 * @returns the directory, which has `usr` and `etc` @throws Error with apt's output when a package cannot be had
 */
export async function debianPrograms(packages: readonly string[]): Promise<string> {
  const digest = createHash('sha256').update(packages.toSorted().join()).digest('hex').slice(0, 16);
  const goal = join(cacheRoot(), 'debian', digest);
  if (existsSync(goal)) return goal;
  await withLock('debian', async () => {
    if (existsSync(goal)) return;
    process.stderr.write(`downloading ${packages.join(', ')}\n`);
    await mkdir(join(cacheRoot(), 'debian'), { recursive: true });
    const work = await mkdtemp(`${goal}.unpacking-`);
    try {
      await unpack(await download(packages, join(work, 'archives')), join(work, 'root'));
      await rename(join(work, 'root'), goal);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return goal;
}

async function download(packages: readonly string[], archives: string): Promise<readonly string[]> {
  await mkdir(join(archives, 'partial'), { recursive: true });
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // What is installed is used as it is.
  const flags = ['--download-only', '--no-upgrade', '--no-install-recommends', '-y', '-qq', '-o', `Dir::Cache::archives=${archives}`];
  await run('apt-get', ['update', '-qq'], { env });
  await run('apt-get', ['install', ...flags, ...packages], { env });
  return (await readdir(archives)).filter((name) => name.endsWith('.deb')).map((name) => join(archives, name));
}

async function unpack(files: readonly string[], root: string): Promise<void> {
  for (const name of LINKED) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  await mkdir(join(root, 'etc'), { recursive: true });
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink --directory "$2"';
  for (const file of files) await run('bash', ['-o', 'pipefail', '-ec', script, 'bash', file, root]);
}

/** What a process sees besides the files of packages. */
export interface View {
  /** From {@link debianPrograms}. */
  readonly root: string;
  /** Directory whose files are laid over `/etc`; absent: none. */
  readonly etc?: string;
}

/** A command that runs `command` with the files of `view`. It must run in its own mount namespace, as with `ip netns exec`. */
export function inView({ root, etc }: View, command: readonly string[]): readonly string[] {
  const lower = (...directories: readonly string[]): string => `lowerdir=${directories.join(':')}`;
  const script = 'mount -t overlay overlay -o "$1" /usr && mount -t overlay overlay -o "$2" /etc && shift 2 && exec "$@"';
  const etcs = [...(etc === undefined ? [] : [etc]), join(root, 'etc'), '/etc'];
  return ['sh', '-c', script, 'sh', lower(join(root, 'usr'), '/usr'), lower(...etcs), ...command];
}

/** What a command printed. */
export interface CommandResult {
  /** -1: it was ended. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const COMMAND_MS = 300_000;

/** Input and deadline of a command. */
export interface CommandOptions {
  /** For its standard input; absent: none. */
  readonly input?: string | undefined;
  /** Absent: five minutes. */
  readonly limitMs?: number;
}

/** Runs a command to its end. */
export function runCommand(
  [program = '', ...args]: readonly string[],
  { input = '', limitMs = COMMAND_MS }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe', timeout: limitMs, killSignal: 'SIGKILL' });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        output[name] += chunk.toString('latin1');
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, ...output }));
    // A program that has ended does not read it.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
