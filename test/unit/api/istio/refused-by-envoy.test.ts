/*
 * What Envoy refuses after Istio admitted it. The limits were measured on Envoy 1.40.0; test/conformance has the records.
 */
import { expect } from 'chai';
import { parsePolicy } from '../../../../src/api/istio/parse-policy.ts';
import { refusedByEnvoy } from '../../../../src/api/istio/refused-by-envoy.ts';

const metadata = { namespace: 'foo', name: 'p' };

function pathsOf(kind: string, spec: object): readonly string[] {
  const { value } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata, spec });
  if (value === undefined) throw new Error('the policy cannot be parsed');
  return refusedByEnvoy(value).map(({ path }) => path);
}

const rule = (part: object): readonly string[] => pathsOf('AuthorizationPolicy', { action: 'DENY', rules: [part] });
const jwtRule = (part: object): readonly string[] => pathsOf('RequestAuthentication', { jwtRules: [{ issuer: 'i', jwks: '{}', ...part }] });
const template = (length: number): string => `/{*}/${'x'.repeat(length - 3)}`;

describe('values that Envoy refuses after admission', () => {
  for (const [name, paths, refused] of [
    ['256 characters', [template(256)], []],
    ['257 characters', ['/a', template(257)], ['paths[1]']],

    ['257 characters without an operator', [`/${'x'.repeat(256)}`], []],
    ['no leading slash', ['{*}'], ['paths[0]']],
    ['two leading slashes', ['//{*}'], ['paths[0]']],
    ['two slashes at the end', ['/{*}//'], ['paths[0]']],
    ['two slashes at the end, no operator', ['/a//'], []],
  ] as const) {
    it(`reports ${refused.length} of the path templates with ${name}`, () => {
      expect(rule({ to: [{ operation: { paths } }] })).to.deep.equal(refused.map((path) => `spec.rules[0].to[0].operation.${path}`));
      const notPaths = rule({ to: [{ operation: { notPaths: paths } }] });
      expect(notPaths).to.have.length(refused.length);
    });
  }

  for (const [key, isRefused] of [
    ['request.auth.claims[a][]', true],
    ['request.auth.claims[][a]', true],
    ['request.auth.claims[a][][b]', true],
    ['request.auth.claims[][]', true],
    ['request.auth.claims[a][b]', false],
    ['request.auth.claims[ ]', false],
    ['request.auth.claims[[a][]]', false],
    ['request.auth.claims[a[]', false],
    ['request.headers[a\nb]', true],
    ['request.headers[a\r]', true],
    ['request.headers[\0]', true],
    ['request.headers[a\tb]', false],
    ['request.headers[a][]', false],
    ['experimental.envoy.filters.a[\n]', false],
  ] as const) {
    it(`${isRefused ? 'reports' : 'does not report'} the key ${JSON.stringify(key)}`, () => {
      expect(rule({ when: [{ key, values: ['a'] }] })).to.deep.equal(isRefused ? ['spec.rules[0].when[0].key'] : []);
    });
  }

  for (const [length, isRefused] of [
    [32_755, false],
    [32_756, true],
  ] as const) {
    it(`${isRefused ? 'reports' : 'does not report'} a namespace of ${length} bytes`, () => {
      const long = 'x'.repeat(length);
      const count = isRefused ? 1 : 0;
      expect(rule({ from: [{ source: { namespaces: ['a', long] } }] })).to.have.length(count);
      expect(rule({ from: [{ source: { notNamespaces: [long] } }] })).to.have.length(count);
      expect(rule({ when: [{ key: 'source.namespace', notValues: [long] }] })).to.have.length(count);
    });
  }

  for (const character of ['\n', '\r', '\0', '\t', ' ', '\u0001', 'é']) {
    const isRefused = '\n\r\0'.includes(character);
    it(`${isRefused ? 'reports' : 'does not report'} ${JSON.stringify(character)} in names and prefixes of headers`, () => {
      const fromHeaders = [{ name: 'x' }, { name: `x${character}`, prefix: `p${character}` }];
      const expected = ['fromHeaders[1].name', 'fromHeaders[1].prefix', 'outputPayloadToHeader'].map((path) => `spec.jwtRules[0].${path}`);
      expect(jwtRule({ fromHeaders, outputPayloadToHeader: `o${character}` })).to.deep.equal(isRefused ? expected : []);
    });
  }
});
