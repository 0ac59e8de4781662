/*
 * The policies of a cluster, and the same after manifests were applied to it: the two sides of `diff --live`.
 */
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import type { KeySetOf } from '../input/key-sets.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import { CLUSTER_NAME } from '../input/read-file.ts';
import { type ReadManifests, readManifests } from '../input/read-manifests.ts';
import { writeMessage } from '../terminal/writers.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { readLiveManifests } from './live-manifests.ts';
import { withSession } from './session.ts';

/** What both sides are compiled with. */
export interface SideSettings {
  /** Of `--config`; undefined: those of the controller in the cluster. */
  readonly mesh: MeshConfig | undefined;
  readonly keySetOf: KeySetOf;
  readonly context: CommandContext;
}

/**
 * Policies that `kubectl apply` would replace or create are those of `path`; all others, and the workloads, are the same before
 * and after. Findings of the second set are those of `path`.
 */
export async function readLiveSides(
  path: string,
  options: ClusterOptions,
  settings: SideSettings,
): Promise<readonly [PolicySet, PolicySet]> {
  const { keySetOf, context } = settings;
  const files = await readManifests([path], context);
  const { live, namespace } = await withSession(options, context, async (session) => ({
    live: await readLiveManifests(session, settings.mesh),
    namespace: session.namespace,
  }));
  for (const note of live.notes) writeMessage(context.stderr, note);
  const after = policySetOf(applied(live.manifests, files, namespace), live.mesh, keySetOf);
  if (!files.isComplete) throw new CommandError(EXIT_BAD_DATA, `${path}: not every file could be read, so nothing is compared`);
  const findings = after.findings.filter(({ file }) => file !== CLUSTER_NAME);
  return [policySetOf(live.manifests, live.mesh, keySetOf), { ...after, findings }];
}

/** @param namespace of objects without one, as with kubectl */
function applied(live: ReadManifests, files: ReadManifests, namespace: string): ReadManifests {
  const written = files.objects.map((item) => withNamespace(item, namespace));
  const replaced = new Set(written.map(keyOf));
  return {
    ...files,
    objects: [...live.objects.filter((item) => !replaced.has(keyOf(item))), ...written],
    locate: (item, fieldPath) => (item.origin.file === CLUSTER_NAME ? live : files).locate(item, fieldPath),
  };
}

function withNamespace({ object, origin }: ManifestObject, namespace: string): ManifestObject {
  if (object.kind === 'Namespace' || object.metadata.namespace !== undefined) return { object, origin };
  return { origin, object: { ...object, metadata: { ...object.metadata, namespace } } };
}

/** Served versions of a group are the same objects. */
function keyOf({ object: { apiVersion, kind, metadata } }: ManifestObject): string {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return `${group} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}
