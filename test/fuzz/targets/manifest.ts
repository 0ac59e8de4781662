/* Manifests and policies, from YAML or JSON to a filter chain. */
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { hasErrors, validatePolicy } from '../../../src/api/istio/validate-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { collectKeySets } from '../../../src/compile/key-sets.ts';
import { createFilterChain } from '../../../src/filters/filter-chain.ts';
import { lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';
import { parseManifests } from '../../../src/state/manifests.ts';
import { raw } from '../../unit/filters/chains.ts';
import { type FuzzTarget, hold } from '../target.ts';

const head = (kind: string, spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: a, namespace: foo}\nspec:\n${spec}`;

function judgePolicy(object: unknown): void {
  const findings = validatePolicy(object);
  const { value, findings: parsed } = parsePolicy(object);
  hold((value === undefined) === hasErrors(parsed), 'a policy is read completely, or there is an error');
  if (value === undefined) {
    hold(hasErrors(findings), 'an unreadable policy is refused at admission');
    return;
  }
  const { keySets } =
    value.kind === 'RequestAuthentication' ? collectKeySets([value], { namespace: undefined, keySetOf: () => undefined }) : { keySets: {} };
  const { program } = lowerPolicies({ namespace: 'foo', policies: [value], mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'keys' });
  const filterChain = createFilterChain(program, keySets, {
    onBug: (error) => {
      throw error;
    },
  });
  filterChain.evaluate(raw('/info/x?access_token=a.b.c', ['x-a', 'b', 'authorization', 'Bearer x']), 1);
  filterChain.evaluateConnection(raw('/').connection);
}

export const manifest: FuzzTarget = {
  name: 'manifest',
  properties: 'a document gives objects or findings, a policy is read completely or refused, and its filter chain never throws',
  seeds: [
    head(
      'AuthorizationPolicy',
      '  action: DENY\n  rules:\n  - from: [{source: {principals: ["*"], notRemoteIpBlocks: [10.0.0.0/8], namespaces: [a]}}]\n    to: [{operation: {paths: ["/info*", "/a/{*}"], hosts: [h], ports: ["80"], notMethods: [GET]}}]\n    when: [{key: "request.auth.claims[a][b]", values: [x]}, {key: "request.headers[x]", notValues: ["*"]}]\n',
    ),
    head(
      'RequestAuthentication',
      '  selector: {matchLabels: {app: x}}\n  jwtRules:\n  - issuer: i\n    jwks: \'{"keys":[]}\'\n    audiences: [a]\n    fromHeaders: [{name: x, prefix: "y "}]\n    outputClaimToHeaders: [{header: h, claim: a.b}]\n    timeout: 5s\n',
    ),
    `${head('AuthorizationPolicy', '  {}\n')}---\n&a {kind: List, apiVersion: v1, metadata: {name: x}, items: [{apiVersion: v1, kind: Pod, metadata: {name: y}}]}\n`,
    JSON.stringify({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'a', namespace: 'foo', annotations: { 'istio.io/dry-run': 'true' } },
      spec: {
        action: 'CUSTOM',
        provider: { name: 'p' },
        rules: [
          {
            from: [{ source: { requestPrincipals: ['a/b*'], serviceAccounts: ['a/b'] } }],
            when: [{ key: 'source.ip', values: ['10.0.0.1'] }],
          },
        ],
      },
    }),
    JSON.stringify({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name: 'a', namespace: 'foo' },
      spec: { jwtRules: [{ issuer: 'i', jwksUri: 'http://x/y', fromParams: ['t'], forwardOriginalToken: true }] },
    }),
  ],
  dictionary: [
    '&a ',
    '*a',
    '<<: ',
    '---\n',
    '- ',
    ': ',
    '"',
    '{',
    '[',
    '!!binary ',
    '? ',
    '| ',
    '\n  ',
    'rules',
    'from',
    'source',
    'to',
    'operation',
    'paths',
    'when',
    'key',
    'values',
    'request.auth.claims[',
    'experimental.envoy.filters.a[',
    'request.headers[',
    ']',
    '*',
    '{**}',
    'ipBlocks',
    'jwtRules',
    'jwks',
    '__proto__',
    'null',
    '1e999',
    'targetRefs',
    'ALLOW',
    'AUDIT',
  ],
  regressions: ['&a\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\nspec: *a\n'],
  json: true,
  run(input) {
    const { objects, findings } = parseManifests(Buffer.from(input, 'latin1').toString('utf8'), 'f');
    hold(
      findings.every(({ severity, origin }) => severity === 'error' && origin.file === 'f' && origin.line >= 1),
      'a finding is an error, and names its file and line',
    );
    for (const { object } of objects) {
      JSON.stringify(object);
      judgePolicy(object);
    }
  },
};
