/*
 * Whether two bundles of a workload differ in more than the versions of their policies. An agent that enforces an earlier bundle enforces the
 * same version of each policy that both have only if they do not.
 */
import type { MeshConfig } from '../api/mesh-config.ts';
import { canonicalJson, canonicalJsonOfParts } from '../bundle/canonical-json.ts';
import { digestOf } from '../bundle/digest.ts';
import type { CompileResult } from './compile-workload.ts';

/** The settings are the same object until they change. */
const meshTexts = new WeakMap<MeshConfig, string>();

/** A digest of everything that a bundle was compiled from but policies: mesh settings, keys, labels of pods, and which policies gave way. */
export function basisOf({ bundle, findings }: CompileResult, mesh: MeshConfig): string {
  const meshText = meshTexts.get(mesh) ?? canonicalJson(mesh);
  meshTexts.set(mesh, meshText);
  const { keySets, relevantLabels, variants } = bundle;
  const labels = variants.map((variant) => variant.labels);
  const gaveWay = findings.filter(({ code }) => code === 'SP_OVER_BUDGET').map(({ policy }) => policy);
  return digestOf(`${meshText}\n${canonicalJsonOfParts({ keySets, relevantLabels, labels, gaveWay })}`);
}
