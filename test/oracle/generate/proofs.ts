/*
 * Counterexamples of the prover as cases: a request under the policies before and after an edit, of which Istio and Envoy must refuse it
 * under one and let it in under the other.
 */
import { comparePrograms } from '../../../src/analysis/compare-programs.ts';
import { type ConfirmedWitness, createWitnessCheck } from '../../../src/cli/commands/confirm-witness.ts';
import { collectWitnesses } from '../../../src/cli/commands/simplest-witness.ts';
import { placeToken } from '../../../src/cli/input/insert-token.ts';
import { headerPairs } from '../../../src/cli/input/request-spec.ts';
import { specOf } from '../../../src/cli/input/witness-spec.ts';
import type { Claims } from '../../../src/policy/facts.ts';
import type { RecordedRequest, RecordedWorkload } from '../../conformance/case-file.ts';
import { EDITS, editedPolicies, programOf, SHAPES, type WrittenPolicy } from '../../support/policy-edits.ts';
import type { Todo } from '../recorder.ts';
import { KEYS, signatureOf } from './keys.ts';

type Unrecorded = Todo['recorded'];

/** A counterexample under the policies before and after. */
export interface ProofCase {
  readonly direction: 'widened' | 'narrowed';
  readonly cases: readonly [Unrecorded, Unrecorded];
}

const PORT = 8080;
const WORKLOAD: RecordedWorkload = {
  name: 'api',
  namespace: 'shop',
  labels: { app: 'api' },
  serviceAccount: 'default',
  ip: '10.255.0.9',
  ports: [{ number: PORT, protocol: 'http' }],
};
const KEY = 'ec256-a';
const NOW_SECONDS = 1_769_860_800;

/** `count` counterexamples for `seed`. */
export function generateProofs(seed: number, count: number): readonly ProofCase[] {
  const proofs: ProofCase[] = [];
  for (let at = 0; proofs.length < count; at++) {
    for (const edit of Object.keys(EDITS)) {
      for (const shape of SHAPES) proofs.push(...proofsOf(editedPolicies(edit, shape, seed + at), `proof_s${seed}-${proofs.length}`));
    }
  }
  return proofs.slice(0, count);
}

function proofsOf(policies: readonly [readonly WrittenPolicy[], readonly WrittenPolicy[]], name: string): readonly ProofCase[] {
  const [before, after] = policies.map(programOf);
  if (before === undefined || after === undefined) return [];
  const check = createWitnessCheck({ before, after, workload: 'shop/deployment/api' }, NOW_SECONDS);
  const { confirm, confirmed } = collectWitnesses(check, () => false);
  comparePrograms(before, after, { protocol: 'http', isOver: () => false, confirm });
  return [...confirmed].map(([direction, found]): ProofCase => {
    const request = requestOf(found);
    const caseOf = (side: 0 | 1): Unrecorded => {
      const file = `${name}-${direction}-${side === 0 ? 'before' : 'after'}`;
      return {
        file,
        name: file,
        workload: WORKLOAD,
        resources: policies[side].map(withKeys),
        requests: [request],
      } as unknown as Unrecorded;
    };
    return { direction, cases: [caseOf(0), caseOf(1)] };
  });
}

function requestOf({ witness, tokens }: ConfirmedWitness): RecordedRequest {
  const spec = tokens.reduce((one, { claims, place }) => placeToken(one, signed(claims), place), specOf(witness));
  return {
    name: 'counterexample',
    port: PORT,
    method: spec.method ?? 'GET',
    path: spec.path ?? '/',
    host: spec.host ?? 'api.shop',
    headers: headerPairs(spec.headers),
    source: { ip: spec.sourceIp ?? '192.0.2.1' },
  };
}

/** The policy with keys for the tokens in place of a URL. */
function withKeys(policy: WrittenPolicy): WrittenPolicy {
  const { jwtRules } = policy.spec as { readonly jwtRules?: readonly object[] };
  if (jwtRules === undefined) return policy;
  const jwks = JSON.stringify({ keys: KEYS.filter(({ kid }) => kid === KEY).map(({ kid, jwk }) => ({ ...jwk, kid, alg: 'ES256' })) });
  return { ...policy, spec: { jwtRules: jwtRules.map((rule) => ({ ...rule, jwksUri: undefined, jwks })) } };
}

function signed(claims: Claims): string {
  const key = KEYS.find(({ kid }) => kid === KEY);
  if (key === undefined) throw new Error(`no key ${KEY}`);
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'ES256', kid: KEY, typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${signatureOf(key, 'ES256', text).toString('base64url')}`;
}
