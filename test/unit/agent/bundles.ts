/*
 * Bundles for the tests of the agent, in directories that are laid out as the kubelet does it.
 */
import { mkdir, mkdtemp, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../../src/api/kube/names.ts';
import { BUNDLE_SCHEMA, type Bundle, type Variant } from '../../../src/bundle/bundle.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import type { Engine, Program, Ruleset } from '../../../src/policy/model/program.ts';

const none: Engine = { attached: false, rules: [] };
const everything: Ruleset = { custom: [], audit: none, deny: none, allow: none, dryRunDeny: none, dryRunAllow: none };
/** Denies every HTTP request. */
export const DENY_ALL: Program = {
  pathNormalization: 'BASE',
  trustedProxies: [],
  providers: [],
  http: { ...everything, allow: { attached: true, rules: [] } },
  tcp: everything,
};
export const ALLOW_ALL: Program = { ...DENY_ALL, http: everything };

export function bundleOf(programs: readonly Program[], variants: readonly Variant[], name = 'httpbin'): Bundle {
  const keys = new Set(variants.flatMap((variant) => Object.keys(variant.labels)));
  return {
    schema: BUNDLE_SCHEMA,
    workload: { namespace: 'foo', kind: 'deployment', name },
    relevantLabels: [...keys].sort(),
    variants,
    programs,
    keySets: {},
  };
}

/** A bundle with one program for all pods. */
export const simpleBundle = (program: Program, name?: string): Bundle => bundleOf([program], [{ labels: {}, program: 0 }], name);

export type Files = Readonly<Record<string, string | Uint8Array>>;

export function filesOf(bundle: Bundle): Record<string, string> {
  const { json, digest } = encodeBundle(bundle);
  return { [BUNDLE_KEY]: json, [BUNDLE_DIGEST_KEY]: digest };
}

let version = 0;

/** Replaces the content of a volume as the kubelet does: a new directory, then `..data` is replaced. */
export async function mountVolume(directory: string, files: Files): Promise<void> {
  version += 1;
  const data = `..2026_${version}`;
  const old = await readlink(join(directory, '..data')).catch(() => undefined);
  await mkdir(join(directory, data));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(directory, data, dirname(name)), { recursive: true });
    await writeFile(join(directory, data, name), content);
  }
  await symlink(data, join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  const present = new Set(await readdir(directory));
  const names = new Set(Object.keys(files).map((name) => name.split('/')[0] ?? ''));
  for (const name of names) if (!present.has(name)) await symlink(join('..data', name), join(directory, name));
  if (old !== undefined) await rm(join(directory, old), { recursive: true });
}

export async function newFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'sallyport-agent-'));
}
