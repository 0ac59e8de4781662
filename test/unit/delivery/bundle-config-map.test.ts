import { expect } from 'chai';
import type { AuthorizationPolicy, Policy, RequestAuthentication } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import type { RawMetadata, RawObject } from '../../../src/cluster/kube-object.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { isAsDesired, type PublishedConfigMap, readConfigMap, toConfigMap } from '../../../src/delivery/bundle-config-map.ts';

const DENY_GET: AuthorizationPolicy = {
  kind: 'AuthorizationPolicy',
  metadata: { namespace: 'foo', name: 'deny-get', generation: 3 },
  spec: { action: 'DENY', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
};
const ALLOW_NOTHING: AuthorizationPolicy = {
  kind: 'AuthorizationPolicy',
  metadata: { namespace: 'foo', name: 'allow-nothing', generation: 5 },
  spec: { action: 'ALLOW' },
};
const JWT: RequestAuthentication = {
  kind: 'RequestAuthentication',
  metadata: { namespace: 'istio-system', name: 'jwt', generation: 2 },
  spec: { jwtRules: [{ issuer: 'me' }] },
};

function encoded(policies: readonly Policy[] = [DENY_GET, ALLOW_NOTHING, JWT]): EncodedBundle {
  const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
  return encodeBundle(
    compileWorkload({ workload, labelSets: [{}], policiesFor: () => policies, mesh: DEFAULT_MESH_CONFIG, keySetOf: () => undefined })
      .bundle,
  );
}

function stored(
  bundle: EncodedBundle,
  over: { readonly metadata?: object; readonly data?: unknown; readonly binaryData?: unknown } = {},
): RawObject {
  const { metadata, ...rest } = toConfigMap(bundle, undefined);
  return { ...rest, ...over, metadata: { ...metadata, uid: 'u', resourceVersion: '1', ...over.metadata } };
}

describe('ConfigMap of a bundle', () => {
  it('yields the revision and the generations of the policies that have a rule in the bundle', () => {
    const bundle = encoded();
    const read = readConfigMap(stored(bundle));
    expect(read?.revision).to.equal(bundle.digest);
    expect(read?.policies).to.deep.equal(
      new Map([
        ['RequestAuthentication/istio-system/jwt', 2],
        ['AuthorizationPolicy/foo/deny-get', 3],
      ]),
    );
  });

  it('yields the same for a bundle that is large enough to be compressed', () => {
    const rules = Array.from({ length: 4_000 }, (_, index) => ({ to: [{ operation: { paths: [`/a-rather-long-path/${index}`] } }] }));
    const bundle = encoded([{ ...DENY_GET, spec: { action: 'DENY', rules } }]);
    const configMap = stored(bundle);
    expect(configMap['binaryData']).to.have.property('bundle.json.gz');
    const read = readConfigMap(configMap);
    expect(read?.revision).to.equal(bundle.digest);
    expect(read?.unmanagedKeys).to.deep.equal([]);
  });

  const { labels, annotations } = stored(encoded()).metadata as Required<RawMetadata>;
  const data = stored(encoded())['data'] as Readonly<Record<string, string>>;
  const damaged: readonly { readonly name: string; readonly over: object }[] = [
    { name: 'without a digest', over: { data: { 'bundle.json': data['bundle.json'] } } },
    { name: 'with whitespace after the digest', over: { data: { ...data, 'bundle.sha256': `${data['bundle.sha256']}\n` } } },
    { name: 'with another content', over: { data: { ...data, 'bundle.json': '{}' } } },
    { name: 'with a second content', over: { binaryData: { 'bundle.json.gz': 'AAAA' } } },
    { name: 'without data', over: { data: undefined } },
    { name: 'with another label', over: { metadata: { labels: { ...labels, 'sallyport.dev/bundle': 'other' } } } },
    { name: 'with another digest annotation', over: { metadata: { annotations: { ...annotations, 'sallyport.dev/digest': 'other' } } } },
  ];
  for (const { name, over } of damaged) {
    it(`yields no revision ${name}`, () => {
      const read = readConfigMap(stored(encoded(), over));
      expect(read?.workload).to.deep.equal({ namespace: 'foo', kind: 'deployment', name: 'httpbin' });
      expect(read?.revision).to.equal(undefined);
    });
  }

  it('lists keys that are not part of a bundle', () => {
    const read = readConfigMap(stored(encoded(), { data: { ...data, extra: '' }, binaryData: { 'bundle.json': '' } }));
    expect(read?.unmanagedKeys).to.deep.equal([
      ['data', 'extra'],
      ['binaryData', 'bundle.json'],
    ]);
  });

  const ours = { 'app.kubernetes.io/managed-by': 'sallyport', 'sallyport.dev/bundle': 'x' };
  const foreign: readonly { readonly name: string; readonly metadata: RawMetadata }[] = [
    { name: 'without the annotation', metadata: { namespace: 'foo', name: 'sallyport-bundle-deployment.httpbin', labels: ours } },
    {
      name: 'without our labels',
      metadata: {
        namespace: 'foo',
        name: 'sallyport-bundle-deployment.httpbin',
        annotations: { 'sallyport.dev/workload': 'deployment/httpbin' },
      },
    },
    {
      name: 'of another name',
      metadata: { namespace: 'foo', name: 'settings', labels: ours, annotations: { 'sallyport.dev/workload': 'deployment/httpbin' } },
    },
    {
      name: 'without a namespace',
      metadata: {
        name: 'sallyport-bundle-deployment.httpbin',
        labels: ours,
        annotations: { 'sallyport.dev/workload': 'deployment/httpbin' },
      },
    },
  ];
  for (const { name, metadata } of foreign) {
    it(`is not one of ours ${name}`, () => {
      expect(readConfigMap({ metadata })).to.equal(undefined);
    });
  }
});

describe('whether a ConfigMap is as desired', () => {
  const published: PublishedConfigMap = {
    workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
    revision: 'r',
    policies: new Map(),
    uid: 'u',
    resourceVersion: '1',
    ownerUids: ['o'],
    unmanagedKeys: [],
  };
  const desired = { revision: 'r', ownerUid: 'o' };
  const { revision: _revision, ...damaged } = published;
  const cases: readonly {
    readonly name: string;
    readonly published: PublishedConfigMap;
    readonly desired: object;
    readonly is: boolean;
  }[] = [
    { name: 'the revision with its owner', published, desired, is: true },
    { name: 'another revision', published, desired: { ...desired, revision: 's' }, is: false },
    { name: 'a damaged copy', published: damaged, desired, is: false },
    { name: 'nothing desired', published: damaged, desired: {}, is: false },
    { name: 'an owner too many', published, desired: { revision: 'r' }, is: false },
    { name: 'another owner', published, desired: { ...desired, ownerUid: 'p' }, is: false },
    { name: 'unmanaged keys', published: { ...published, unmanagedKeys: [['data', 'x']] }, desired, is: false },
  ];
  for (const { name, published: copy, desired: wanted, is } of cases) {
    it(`is ${is} for ${name}`, () => {
      expect(isAsDesired(copy, wanted)).to.equal(is);
    });
  }
});
