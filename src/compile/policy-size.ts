/*
 * What one policy takes of a bundle, whatever other policies there are. Computed once for each version of a policy, so that a change of
 * one policy measures only that one.
 */
import { deflateRawSync } from 'node:zlib';
import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { canonicalJsonOfParts } from '../bundle/canonical-json.ts';
import type { Rule, Ruleset } from '../policy/model/program.ts';
import { valuesOf } from '../policy/model/program-size.ts';
import type { PolicySize } from '../resolve/policy-load.ts';
import { keySetId } from './key-set-id.ts';
import { inlineKeySets } from './key-sets.ts';
import { lowerOnce } from './lower-once.ts';

/** Text that nearly every policy repeats: in a bundle it is compressed once. */
const COMMON_TEXT = Buffer.from(
  '"keySet":"inline-","name":"origins-0","params":["access_token"],"payloadHeader":"","required":false,"spaceDelimitedClaims":["permission","scope"],' +
    '{"audiences":[],"claimHeaders":[],"cookies":[],"forward":false,"headers":[{"name":"authorization","prefix":"Bearer "}],"issuer":"https://' +
    '[{"anyOf":["10.0.0.0/8"],"attribute":"sourceIp","field":"ipBlocks"},{"attribute":"header","field":"when","name":"x-","noneOf":[{"kind":"prefix","value":"' +
    '{"anyOf":[{"kind":"exact","value":"GET"},{"kind":"exact","value":"POST"}],"attribute":"method","field":"methods"},' +
    '"id":"ns[default]-policy[name]-rule[0]","source":{"generation":1,"kind":"AuthorizationPolicy","name":"name","namespace":"default","rule":0},"to":[[' +
    '{"anyOf":[{"kind":"exact","value":"/"},{"kind":"prefix","value":"/"}],"attribute":"path","field":"paths"}]],"when":[]},{"from":[[]],',
);

const sizes = new WeakMap<MeshConfig, WeakMap<Policy, PolicySize>>();

/** What `policy` takes of the bundle of a pod that it selects; fetched keys do not count. */
export function policySize(policy: Policy, mesh: MeshConfig): PolicySize {
  let known = sizes.get(mesh);
  if (known === undefined) sizes.set(mesh, (known = new WeakMap()));
  let size = known.get(policy);
  if (size === undefined) known.set(policy, (size = measure(policy, mesh)));
  return size;
}

function measure(policy: Policy, mesh: MeshConfig): PolicySize {
  const { program } = lowerOnce({ namespace: policy.metadata.namespace, policies: [policy], mesh, keySetId });
  const { providers, http, tcp } = program;
  const keySets = policy.kind === 'RequestAuthentication' ? inlineKeySets(policy) : {};
  const json = Buffer.from(canonicalJsonOfParts([providers, rulesOf(http), rulesOf(tcp), keySets]));
  return {
    bytes: json.length,
    packedBytes: deflateRawSync(json, { dictionary: COMMON_TEXT }).length,
    rules: Math.max(providers.length, rulesOf(http).length),
    values: valuesOf(program),
  };
}

function rulesOf({ custom, audit, deny, allow, dryRunDeny, dryRunAllow }: Ruleset): readonly Rule[] {
  return [...custom, audit, deny, allow, dryRunDeny, dryRunAllow].flatMap(({ rules }) => rules);
}
