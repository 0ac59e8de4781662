/*
 * The bundle of the JWT task (RequestAuthentication with inline keys, ALLOW for one request principal), compiled as the controller compiles
 * it and written to a directory.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../../src/api/kube/names.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { selectFrom } from '../../support/select-policies.ts';
import { ISSUER, JWKS } from './demo-token.ts';

function policy(kind: string, name: string, spec: object): Policy {
  const { value, findings } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace: 'foo' }, spec });
  if (value === undefined) throw new Error(findings.map(({ message }) => message).join('; '));
  return value;
}

/** A JWT rule with inline keys. */
export interface BenchRule {
  readonly issuer: string;
  readonly jwks: string;
  readonly forwardOriginalToken?: boolean;
}

/** Writes a bundle of these JWT rules alone: who has no token is anonymous, and everybody may do everything. */
export function writeJwtBundle(folder: string, jwtRules: readonly BenchRule[]): void {
  writeBundle(folder, [policy('RequestAuthentication', 'jwt-rules', { jwtRules })]);
}

/** Writes a bundle of one ALLOW policy on a port. */
export function writePortBundle(folder: string, port: number): void {
  writeBundle(folder, [policy('AuthorizationPolicy', 'port', { rules: [{ to: [{ operation: { ports: [String(port)] } }] }] })]);
}

/** Writes a bundle of one ALLOW policy on the client's identity. @param principal as in a policy */
export function writePrincipalBundle(folder: string, principal: string): void {
  writeBundle(folder, [policy('AuthorizationPolicy', 'principal', { rules: [{ from: [{ source: { principals: [principal] } }] }] })]);
}

/** Writes the bundle's files. @param extraRules ALLOW rules before the one that matches */
export function writeDemoBundle(folder: string, extraRules = 0): void {
  const rules = Array.from({ length: extraRules }, (_, at) => ({
    from: [{ source: { requestPrincipals: [`${ISSUER}/nobody-${at}`] } }],
    to: [{ operation: { methods: ['GET'], paths: [`/api/v1/other${at}/*`] } }],
  }));
  writeBundle(folder, [
    policy('RequestAuthentication', 'jwt-example', { jwtRules: [{ issuer: ISSUER, jwks: JWKS }] }),
    policy('AuthorizationPolicy', 'require-jwt', {
      rules: [...rules, { from: [{ source: { requestPrincipals: [`${ISSUER}/${ISSUER}`] } }] }],
    }),
  ]);
}

function writeBundle(folder: string, policies: readonly Policy[]): void {
  const { bundle } = compileWorkload({
    workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
    labelSets: [{ app: 'httpbin' }],
    policiesFor: selectFrom(policies),
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  });
  const { json, digest } = encodeBundle(bundle);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, BUNDLE_KEY), json);
  writeFileSync(join(folder, BUNDLE_DIGEST_KEY), digest);
}
