/*
 * Every place where text of others enters the control plane and the command line.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acceptPolicy } from '../../src/api/istio/accept-policy.ts';
import { projectNamespace, projectPod } from '../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { readWatchEvents } from '../../src/cluster/watch-lines.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { parseReview, toReview } from '../../src/webhook/admission.ts';
import { reviewPod } from '../../src/webhook/mutate.ts';
import { reviewPolicy } from '../../src/webhook/validate.ts';
import { runCommand } from '../support/cli-context.ts';

/** One way in: takes a text and does all that is done with it. */
export interface EntryPoint {
  readonly run: (text: string) => unknown;
  /** How many times the text stands in what is read. */
  readonly copies: number;
  /** Removes its files. */
  readonly dispose: () => void;
}

const SETTINGS = { image: 'sallyport:1', version: '1' };

function authorizationPolicy(spec: unknown, name = 'p'): RawObject {
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace: 'foo' }, spec } as RawObject;
}

/** Each object with the text in some of its fields, so that all fields have it in turn. */
const POLICIES: Readonly<Record<string, (text: string) => RawObject>> = {
  paths: (text) => authorizationPolicy({ action: 'DENY', rules: [{ to: [{ operation: { paths: [`/${text}`], notPaths: [text] } }] }] }),
  operations: (text) =>
    authorizationPolicy({ rules: [{ to: [{ operation: { hosts: [text], methods: [text], ports: [text], notHosts: [text] } }] }] }),
  sources: (text) =>
    authorizationPolicy({ rules: [{ from: [{ source: { principals: [text], namespaces: [text], requestPrincipals: [text] } }] }] }),
  addresses: (text) =>
    authorizationPolicy({ rules: [{ from: [{ source: { ipBlocks: [text], remoteIpBlocks: [text], serviceAccounts: [text] } }] }] }),
  conditions: (text) =>
    authorizationPolicy({
      rules: [
        {
          when: [
            { key: `request.headers[${text}]`, values: [text] },
            { key: `request.auth.claims[${text}]`, values: [text] },
            { key: text, values: [text] },
          ],
        },
      ],
    }),
  selector: (text) => authorizationPolicy({ selector: { matchLabels: { [text]: text, a: text } }, action: text, provider: { name: text } }),
  'names and unknown fields': (text) =>
    ({ ...authorizationPolicy({ [text]: text, rules: [{ [text]: text }] }, text), [text]: 1, kind: 'AuthorizationPolicy' }) as RawObject,
  'many values': (text) => authorizationPolicy({ rules: [{ to: [{ operation: { paths: pieces(text), hosts: pieces(text) } }] }] }),
  'many rules': (text) =>
    authorizationPolicy({ action: 'DENY', rules: pieces(text).map((piece) => ({ to: [{ operation: { paths: [`/${piece}`] } }] })) }),
  'many conditions': (text) =>
    authorizationPolicy({ rules: [{ when: pieces(text).map((piece) => ({ key: `request.auth.claims[${piece}]`, values: [piece] })) }] }),
  'many short values': (text) =>
    authorizationPolicy({
      action: 'DENY',
      rules: [
        { to: [{ operation: { hosts: shortPieces(text) } }, { operation: { notPaths: shortPieces(text).map((piece) => `/${piece}`) } }] },
        { from: [{ source: { requestPrincipals: shortPieces(text).map((piece) => `${piece}/a`) } }] },
      ],
    }),
  'many short rules': (text) =>
    authorizationPolicy({ rules: shortPieces(text).map((piece) => ({ to: [{ operation: { hosts: [`${piece}*`], ports: ['80'] } }] })) }),
  'many sources': (text) =>
    authorizationPolicy({
      rules: [{ from: shortPieces(text).map((piece) => ({ source: { notPrincipals: [piece], ipBlocks: ['::1'] } })) }],
    }),
  'many JWT rules': (text) =>
    ({
      ...authorizationPolicy({
        jwtRules: shortPieces(text).map((piece) => ({
          issuer: 'i',
          audiences: ['a', piece],
          outputClaimToHeaders: [{ header: piece, claim: 'c' }],
        })),
      }),
      kind: 'RequestAuthentication',
    }) as RawObject,
  'many unknown fields': (text) => authorizationPolicy(Object.fromEntries(shortPieces(text).map((piece) => [piece, 1]))),
  authentication: (text) =>
    ({
      ...authorizationPolicy({
        jwtRules: [
          {
            issuer: text,
            jwksUri: `https://${text}`,
            audiences: [text],
            fromHeaders: [{ name: text, prefix: text }],
            fromParams: [text],
            outputClaimToHeaders: [{ header: text, claim: text }],
            timeout: text,
          },
        ],
      }),
      kind: 'RequestAuthentication',
    }) as RawObject,
  'inline keys': (text) =>
    ({
      ...authorizationPolicy({
        jwtRules: [
          { issuer: 'i', jwks: text },
          { issuer: 'i', jwks: `{"keys":[{"kty":"RSA","e":"AQAB","n":"${text}"}]}` },
        ],
      }),
      kind: 'RequestAuthentication',
    }) as RawObject,
};

/** A hundred characters each, so that the number of values grows with the text. */
function pieces(text: string): readonly string[] {
  return Array.from({ length: Math.ceil(text.length / 100) }, (_, at) => `${at}${text.slice(at * 100, at * 100 + 100)}`);
}

/** Of twenty characters with what is around them, and each different. */
function shortPieces(text: string): readonly string[] {
  return Array.from({ length: Math.ceil(text.length / 10) }, (_, at) => `${text.slice(at * 10, at * 10 + 3)}${at}`);
}

const PODS: Readonly<Record<string, (text: string) => RawObject>> = {
  names: (text) => pod({ generateName: text, labels: { [text]: text, 'pod-template-hash': text } }),
  'owner of a Job': (text) =>
    pod({ name: 'p', ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: text, uid: 'u', controller: true }] }),
  owner: (text) =>
    pod({
      name: `a-${text}`,
      labels: { 'pod-template-hash': text },
      ownerReferences: [{ apiVersion: text, kind: 'ReplicaSet', name: `a-${text}`, uid: text, controller: true }],
    }),
  annotations: (text) =>
    pod({
      annotations: Object.fromEntries(
        [
          'agent',
          'include-inbound-ports',
          'exclude-inbound-ports',
          'access-log-sample-rate',
          'log-level',
          'agent-cpu',
          'drain-seconds',
        ].map((name) => [`sallyport.dev/${name}`, text]),
      ),
    }),
  containers: (text) =>
    pod(
      {},
      {
        containers: [
          {
            name: text,
            image: text,
            command: [text],
            ports: [{ name: text, containerPort: 80 }],
            readinessProbe: { httpGet: { path: text, port: text } },
          },
        ],
      },
    ),
  'many containers': (text) =>
    pod({}, { containers: pieces(text).map((piece) => ({ name: piece, image: piece, env: [{ name: piece, value: piece }] })) }),
  'many labels': (text) => pod({ labels: Object.fromEntries(pieces(text).map((piece) => [piece, piece])) }),
};

function pod(metadata: object, spec: object = { containers: [{ name: 'app', image: 'app' }] }): RawObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'foo', ...metadata }, spec } as RawObject;
}

function review(object: RawObject): ReturnType<typeof parseReview> {
  const request = { uid: 'u', namespace: 'foo', operation: 'CREATE', dryRun: false, object };
  return parseReview({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
}

/** Everything that a replica and the leader do with a policy. */
function reflectPolicy(object: RawObject): void {
  const { active } = acceptPolicy(undefined, object);
  if (active === undefined) return;
  compileWorkload({
    workload: { namespace: 'foo', kind: 'Deployment', name: 'web' },
    labelSets: [{ a: 'b' }],
    policiesFor: () => [active],
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  });
}

async function reflect(object: RawObject, project: (raw: RawObject) => unknown): Promise<void> {
  const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
  const chunks = Array.from({ length: Math.ceil(line.length / 16_384) }, (_, at) => line.subarray(at * 16_384, (at + 1) * 16_384));
  for await (const event of readWatchEvents(
    new ReadableStream({ start: (to) => (chunks.forEach((chunk) => to.enqueue(chunk)), to.close()) }),
    () => undefined,
  )) {
    project(event.object);
  }
}

const POLICY_YAML = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: foo }
spec: { rules: [{ to: [{ operation: { paths: [/a, "/{*}/b", "*c"], hosts: [h] } }], when: [{ key: "request.headers[x]", values: [a] }, { key: "request.auth.claims[groups]", values: [b] }] }] }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: r, namespace: foo }
spec: { jwtRules: [{ issuer: i, jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}', fromHeaders: [{ name: authorization, prefix: "Bearer " }], fromCookies: [c], fromParams: [t] }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: web, image: web, ports: [{ containerPort: 80 }] }] } } }
`;

/** A command in a directory with the policies in p/ and the text in a file. @param files of the text, by name */
function command(
  args: readonly string[],
  files: (text: string) => Readonly<Record<string, string>>,
  stdin?: (text: string) => string,
): EntryPoint {
  const cwd = mkdtempSync(join(tmpdir(), 'sallyport-growth-'));
  writeFileSync(join(cwd, 'p.yaml'), POLICY_YAML);
  return {
    run: (text) => {
      for (const [name, content] of Object.entries(files(text))) writeFileSync(join(cwd, name), content);
      return runCommand(args, { cwd, ...(stdin === undefined ? {} : { stdin: stdin(text) }) });
    },
    copies: copiesIn((text) => [files(text), stdin?.(text)]),
    dispose: () => rmSync(cwd, { recursive: true, force: true }),
  };
}

/** The characters for each copy of the text, which make a total of about `length`. */
export function shareOf({ copies }: EntryPoint, length: number): number {
  return Math.floor(length / copies);
}

function copiesIn(make: (text: string) => unknown): number {
  const sample = 'x'.repeat(10_000);
  return Math.max(1, Math.round(JSON.stringify(make(sample)).length / sample.length));
}

function pure(run: (text: string) => unknown, copies: number): EntryPoint {
  return { run, copies, dispose: () => undefined };
}

function all<T>(prefix: string, makers: Readonly<Record<string, (text: string) => T>>, run: (made: T) => unknown): [string, EntryPoint][] {
  return Object.entries(makers).map(([name, make]) => [`${prefix}: ${name}`, pure((text) => run(make(text)), copiesIn(make))]);
}

/** Text as it may stand in a YAML file: plain, and in the styles that are read differently. */
const YAML: Readonly<Record<string, (text: string) => string>> = {
  'a whole file': (text) => text,
  'a value': (text) => POLICY_YAML.replace('/a,', () => `${JSON.stringify(`/${text}`)},`),
  'a plain value': (text) => POLICY_YAML.replace('name: p,', () => `name: ${text.replaceAll(/[\r\n]+/g, ' ')},`),
  'a block': (text) => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: |\n    ${text.replaceAll('\n', '\n    ')}\n`,
  'a folded block': (text) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: >-\n    ${text.replaceAll('\n', '\n    ')}\n`,
  'a quoted value': (text) => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata:\n  a: '${text.replaceAll("'", "''")}'\n`,
  'a comment': (text) => `${POLICY_YAML}# ${text.replaceAll('\n', '\n# ')}\n`,
  'a key': (text) => `${JSON.stringify(text)}: 1\n`,
};

const request = (text: string): string =>
  JSON.stringify({
    log: { entries: [{ request: { method: 'GET', url: `http://h/${text}`, headers: [{ name: 'cookie', value: text }] } }] },
  });

/** All entry points, by name. */
export function entryPoints(): Readonly<Record<string, EntryPoint>> {
  return Object.fromEntries([
    ...all('validating webhook', POLICIES, (object) =>
      toReview(
        'u',
        reviewPolicy(review(object), { mesh: DEFAULT_MESH_CONFIG, portsFor: () => new Set([80]), whyOverBudget: () => undefined }),
      ),
    ),
    ...all('mutating webhook', PODS, (object) =>
      toReview(
        'u',
        reviewPod(review(object), {
          settings: SETTINGS,
          rootPoliciesFor: () => [],
          trustFor: () => undefined,
          namespaceLabelsOf: () => undefined,
        } as unknown as Parameters<typeof reviewPod>[1]),
      ),
    ),
    ...all('reflector of policies', POLICIES, (object) => reflect(object, reflectPolicy as (raw: RawObject) => unknown)),
    ...all('reflector of pods', PODS, (object) => reflect(object, projectPod)),
    ...all(
      'reflector of namespaces',
      { labels: (text) => ({ ...pod({ name: text, labels: { [text]: text } }), kind: 'Namespace' }) as RawObject },
      (object) => reflect(object, projectNamespace),
    ),
    ...Object.entries(YAML).map(([name, file]): [string, EntryPoint] => [
      `check: ${name}`,
      command(['check', 'a.yaml'], (text) => ({ 'a.yaml': file(text) })),
    ]),
    ...all('check', POLICIES, (object) => object).map(([name]): [string, EntryPoint] => [
      name,
      command(['check', 'a.json'], (text) => ({ 'a.json': JSON.stringify(POLICIES[name.slice('check: '.length)]?.(text)) })),
    ]),
    [
      'check: a suppression',
      command(['check', 'a.json', '-o', 'json', '--suppress', '*=*a*b*/*c*/*d*'], (text) => ({
        'a.json': JSON.stringify(authorizationPolicy({ action: 'x' }, text)),
      })),
    ],
    [
      'compile: a policy',
      command(['compile', 'p.yaml', 'a.json', '-o', 'json'], (text) => ({ 'a.json': JSON.stringify(POLICIES['conditions']?.(text)) })),
    ],
    ['inject: a whole file', command(['inject', '-f', 'a.yaml'], (text) => ({ 'a.yaml': text }))],
    [
      'inject: a template',
      command(['inject', '-f', 'a.yaml'], (text) => ({
        'a.yaml': `${POLICY_YAML.slice(POLICY_YAML.lastIndexOf('---'))}  # ${text.replaceAll('\n', ' ')}\n`,
      })),
    ],
    ['inject: an annotation', command(['inject', '-f', 'a.json'], (text) => ({ 'a.json': JSON.stringify(PODS['annotations']?.(text)) }))],
    ['explain: a request file', command(['explain', 'p.yaml', '--request', 'a.http'], (text) => ({ 'a.http': text }))],
    [
      'explain: a target',
      command(['explain', 'p.yaml', '--request', 'a.http'], (text) => ({
        'a.http': `GET /${encodeURI(text.toWellFormed()).slice(0, text.length)} HTTP/1.1\nHost: h\n\n`,
      })),
    ],
    [
      'explain: headers',
      command(['explain', 'p.yaml', '--request', 'a.http'], (text) => ({
        'a.http':
          ['Host', 'X', 'Authorization', 'Cookie', 'X-Forwarded-For']
            .map((name) => `${name}: ${text.replaceAll(/[\r\n]/g, ' ')}\n`)
            .reduce((head, line) => head + line, 'GET / HTTP/1.1\n') + '\n',
      })),
    ],
    ['explain: a token', command(['explain', 'p.yaml', '--url', '/', '--token', 'a.txt'], (text) => ({ 'a.txt': text }))],
    [
      'explain: claims',
      command(['explain', 'p.yaml', '--url', '/', '--claims', 'a.json'], (text) => ({
        'a.json': JSON.stringify({ iss: text, aud: text, groups: [text], [text]: text }),
      })),
    ],
    ['explain: an archive', command(['explain', 'p.yaml', '--har', 'a.har'], (text) => ({ 'a.har': request(text) }))],
    ['explain: a bundle', command(['explain', '--bundle', 'a.json', '--url', '/'], (text) => ({ 'a.json': text }))],
    ['explain: keys', command(['explain', 'p.yaml', '--url', '/', '--jwks', 'a.json'], (text) => ({ 'a.json': text }))],
    ['test: a whole table', command(['test', 'a.sallyport-test.yaml'], (text) => ({ 'a.sallyport-test.yaml': text }))],
    [
      'test: a test',
      command(['test', 'a.sallyport-test.yaml'], (text) => ({
        'a.sallyport-test.yaml': JSON.stringify({
          workload: 'foo/web',
          manifests: ['p.yaml'],
          tests: [{ name: text, request: { path: `/${text}`, headers: { x: text, cookie: text } }, token: text, expect: 'allow' }],
        }),
      })),
    ],
    ['diff: requests', command(['diff', 'p.yaml', 'p.yaml', '--requests', 'a.txt'], (text) => ({ 'a.txt': text }))],
    [
      'diff: a request',
      command(['diff', 'p.yaml', 'p.yaml', '--requests', 'a.txt'], (text) => ({
        'a.txt': `${JSON.stringify({ path: `/${text}`, headers: { x: text } })}\n`,
      })),
    ],
    [
      'diff: policies',
      command(['diff', 'p.yaml', 'a.json', '--generate', '20'], (text) => ({
        'a.json': `[]` === text ? '' : JSON.stringify(POLICIES['paths']?.(text)),
      })),
    ],
    ['configuration', command(['check', 'p.yaml', '--config', 'a.yaml'], (text) => ({ 'a.yaml': text }))],
    [
      'configuration: mesh',
      command(['check', 'p.yaml', '--config', 'a.json'], (text) => ({
        'a.json': JSON.stringify({
          mesh: {
            rootNamespace: text,
            extensionProviders: [
              { name: text, envoyExtAuthzHttp: { service: text, port: 1, timeout: text, includeRequestHeadersInCheck: [text] } },
            ],
          },
        }),
      })),
    ],
    [
      'standard input',
      command(
        ['check', '-'],
        () => ({}),
        (text) => text,
      ),
    ],
  ] as [string, EntryPoint][]);
}
