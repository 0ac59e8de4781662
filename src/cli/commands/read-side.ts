/*
 * Reads one of two sets of policies that are compared.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { isBundleJson, policySetOfBundle } from '../input/bundle-policy-set.ts';
import type { KeySetOf } from '../input/key-sets.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import { requireInput } from '../input/read-file.ts';
import { readManifests } from '../input/read-manifests.ts';
import { writeFindingLines } from '../output/findings.ts';

/** What a set of policies is read with. */
export interface SideContext {
  readonly mesh: MeshConfig;
  readonly keySetOf: KeySetOf;
  readonly context: CommandContext;
}

/** The policies at `path`: manifests, or a bundle in JSON. @throws CommandError when not all of it can be read */
export async function readSide(path: string, { mesh, keySetOf, context }: SideContext): Promise<PolicySet> {
  const isFile = await stat(resolve(context.cwd, path)).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile && path.endsWith('.json')) {
    const text = await requireInput(path, context);
    if (isBundleJson(text, path)) return policySetOfBundle(text, path, keySetOf);
  }
  const manifests = await readManifests([path], context);
  const set = policySetOf(manifests, mesh, keySetOf);
  writeFindingLines(set.findings, context.stderr);
  if (!manifests.isComplete) throw new CommandError(EXIT_BAD_DATA, `${path}: not every file could be read, so nothing is compared`);
  return set;
}
