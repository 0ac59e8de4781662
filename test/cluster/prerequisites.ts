/*
 * Checks what the cluster suites need on a machine, and installs the Debian packages of a node where possible.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { unbuilt } from './build.ts';
import type { Suite } from './versions.ts';
import { debianPackages } from './versions.ts';

const run = promisify(execFile);

/** Reasons why this machine cannot run `suite`; empty when it can. Fast, and without side effects. */
export function missingFor(suite: Suite): readonly string[] {
  if (process.platform !== 'linux') return [`Linux (this is ${process.platform})`];
  return [...missingGo(suite), ...(suite === 'e2e' ? missingForNode() : [])];
}

/** Go 1.21 and later download the newer Go that a module requires, unless GOTOOLCHAIN forbids it. */
function missingGo(suite: Suite): readonly string[] {
  const names = unbuilt(suite);
  if (names.length === 0) return [];
  const go = spawnSync('go', ['version'], { encoding: 'utf8' });
  const minor = Number(/go1\.(\d+)/.exec(go.stdout ?? '')?.[1] ?? 0);
  return minor >= 21 ? [] : [`Go 1.26 on PATH, to build ${names.join(', ')}`];
}

function missingForNode(): readonly string[] {
  const reasons: string[] = [];
  if (process.getuid?.() !== 0) reasons.push('root, for containers and network interfaces');
  if (!/\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))) reasons.push('overlayfs in the kernel');
  const packages = missingPackages();
  if (packages.length > 0 && !existsSync('/usr/bin/apt-get'))
    reasons.push(`the packages ${packages.join(', ')} (and no apt-get to install them)`);
  return reasons;
}

function missingPackages(): readonly string[] {
  return Object.keys(debianPackages).filter((name) => !existsSync(debianPackages[name] ?? ''));
}

let installing: Promise<void> | undefined;

/**
 * Installs the Debian packages that a node and its images need and this machine lacks; once, however often it is called. Needs root.
 * @throws Error with apt-get's output when that fails
 */
export function installPackages(): Promise<void> {
  installing ??= install();
  return installing;
}

async function install(): Promise<void> {
  const packages = missingPackages();
  if (packages.length === 0) return;
  process.stderr.write(`installing ${packages.join(', ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq'], { env });
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
}
