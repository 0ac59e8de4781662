/*
 * Hostile inputs of growing size. Each case builds its input for a size and returns the step whose work is measured. Every parser
 * and matcher of untrusted input has its worst shapes here.
 */
import { ChunkReader } from '../../../src/agent/http1/chunk-reader.ts';
import { HeadBuffer } from '../../../src/agent/http1/head-buffer.ts';
import { isHopeless, parseRequestHead } from '../../../src/agent/http1/request-head.ts';
import { parseResponseHead } from '../../../src/agent/http1/response-head.ts';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { validatePolicy } from '../../../src/api/istio/validate-policy.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../../src/api/kube/names.ts';
import { decodeBundle } from '../../../src/bundle/decode.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import { copyHeaders } from '../../../src/http/normalize/copy-headers.ts';
import { parseHttpUrl } from '../../../src/http/normalize/http-url.ts';
import { normalizePath } from '../../../src/http/normalize/normalize-path.ts';
import { remoteAddress } from '../../../src/http/normalize/remote-address.ts';
import { claimHeader } from '../../../src/jwt/claim-header.ts';
import { extractTokens, tokenInHeader } from '../../../src/jwt/extract-tokens.ts';
import { formatJson } from '../../../src/jwt/format-json.ts';
import { isJsonObject, parseJson } from '../../../src/jwt/parse-json.ts';
import { parseJwks } from '../../../src/jwt/parse-jwks.ts';
import { parseToken } from '../../../src/jwt/parse-token.ts';
import { withoutQueryParameter } from '../../../src/jwt/query.ts';
import { splitSpaceDelimited } from '../../../src/jwt/space-delimited.ts';
import { lintPolicies } from '../../../src/lint/lint-policies.ts';
import { createEvaluator } from '../../../src/policy/decide/evaluator.ts';
import type { RequestFacts } from '../../../src/policy/facts.ts';
import { compileIdentityMatch } from '../../../src/policy/match/identity.ts';
import { compilePathTemplate, parsePathTemplate } from '../../../src/policy/match/path-template.ts';
import { parseManifests } from '../../../src/state/manifests.ts';
import { bundleOf, DENY_ALL } from '../agent/bundles.ts';
import { allow, CONNECTION, deny, paths, programOf } from '../filters/chains.ts';
import { provider, requestWith, segment } from '../jwt/tokens.ts';
import { GROWING_POLICIES } from './hostile-policies.ts';

/** One hostile shape. */
export interface GrowthCase {
  /** The size to compare with four times the size. */
  readonly size: number;
  /** Builds the input of `size` and returns the step to measure. */
  prepare(size: number): () => unknown;
}

const over = <T>(size: number, make: (size: number) => T, step: (input: T) => unknown): GrowthCase => ({
  size,
  prepare: (of) => {
    const input = make(of);
    return () => step(input);
  },
});
const many = (size: number, item: (at: number) => string, between = ','): string =>
  Array.from({ length: size }, (_, at) => item(at)).join(between);

const facts = (changes: Partial<RequestFacts>): RequestFacts => ({
  connection: CONNECTION,
  method: 'GET',
  host: 'h',
  pathWithQuery: '/',
  path: '/',
  remoteIp: '10.0.0.9',
  headerValues: () => [],
  headerList: [],
  ...changes,
});

/** JSON documents; four times the size is a megabyte or more. */
const JSON_CASES: Readonly<Record<string, GrowthCase>> = {
  'JSON: members': over(30_000, (n) => `{${many(n, (at) => `"m${at}":1`)}}`, parseJson),
  'JSON: members named like array indexes': over(30_000, (n) => `{${many(n, (at) => `"${(at * 7919) % 4_000_000_000}":1`)}}`, parseJson),
  'JSON: the same member': over(30_000, (n) => `{${many(n, () => '"a":1')}}`, parseJson),
  'JSON: numbers': over(60_000, (n) => `[${many(n, () => '1.5')}]`, parseJson),
  'JSON: one long number': over(200_000, (n) => `[${'1'.repeat(n)}]`, parseJson),
  'JSON: escapes': over(40_000, (n) => `"${'\\u0041'.repeat(n)}"`, parseJson),
  'JSON: lone surrogates': over(40_000, (n) => `"${'\\ud800'.repeat(n)}"`, parseJson),
  'JSON: whitespace': over(250_000, (n) => `${' '.repeat(n)}1`, parseJson),
  'JSON: brackets without end': over(250_000, (n) => '['.repeat(n), parseJson),
  'JSON: an open string': over(250_000, (n) => `"${'a'.repeat(n)}`, parseJson),
  'JSON: formatted': over(20_000, (n) => parseJson(`{${many(n, (at) => `"m${at}":["<",1e-7]`)}}`) ?? null, formatJson),
};

const TOKEN_CASES: Readonly<Record<string, GrowthCase>> = {
  'token: dots': over(250_000, (n) => '.'.repeat(n), parseToken),
  'token: claims of a megabyte': over(250_000, (n) => `${segment({ alg: 'RS256' })}.${segment({ a: 'x'.repeat(n) })}.c2ln`, parseToken),
  'token: audiences': over(2500, (n) => `${segment({ alg: 'RS256' })}.${segment({ aud: Array(n).fill('a') })}.c2ln`, parseToken),
  'token: whitespace in base64': over(12_000, (n) => `${segment({ alg: 'RS256' })}.${' \n'.repeat(n)}.c2ln`, parseToken),
  'token: kid': over(10_000, (n) => `${segment({ alg: 'RS256', kid: 'k'.repeat(n) })}.${segment({})}.c2ln`, parseToken),
  'header: prefixes': over(
    25_000,
    (n) => 'Bearer '.repeat(n),
    (value) => tokenInHeader(value, 'Bearer '),
  ),
  'header: no token after the prefix': over(
    100_000,
    (n) => `Bearer ${'!'.repeat(n)}`,
    (value) => tokenInHeader(value, 'Bearer '),
  ),
  'cookies: crumbs': over(
    25_000,
    (n) => requestWith(['cookie', many(n, () => ' a=b', ';')]),
    (request) => extractTokens(provider({ cookies: ['token'] }), request),
  ),
  'cookies: spaces': over(
    100_000,
    (n) => requestWith(['cookie', `${' '.repeat(n)}token=x`]),
    (request) => extractTokens(provider({ cookies: ['token'] }), request),
  ),
  'query: parameters': over(
    10_000,
    (n) => `/p?${many(n, (at) => `p${at}=%41`, '&')}`,
    (target) => withoutQueryParameter(target, 'access_token'),
  ),
  'query: the token again and again': over(
    10_000,
    (n) => `/p?${many(n, () => 'access_token=x', '&')}`,
    (target) => withoutQueryParameter(target, 'access_token'),
  ),
  'query: question marks and signs': over(
    25_000,
    (n) => `/p${'?&='.repeat(n)}`,
    (target) => withoutQueryParameter(target, 'access_token'),
  ),
  'claims: words': over(
    50_000,
    (n) => objectOf(`{"scope":"${'a '.repeat(n)}"}`),
    (claims) => splitSpaceDelimited(claims, ['scope']),
  ),
  'claims: as a header': over(
    50_000,
    (n) => objectOf(`{"a":[${many(n, () => '"b"')}]}`),
    (claims) => claimHeader(claims, 'a'),
  ),
  'claims: a path without end': over(
    50_000,
    (n) => `a${'.a'.repeat(n)}`,
    (path) => claimHeader(objectOf('{"a":{"a":{}}}'), path),
  ),
  'key set: junk': over(30_000, (n) => `{"keys":[${many(n, () => '0')}]}`, parseJwks),
  'key set: unusable keys': over(4000, (n) => `{"keys":[${many(n, () => '{"kty":"EC","x":"AA","y":"AA"}')}]}`, parseJwks),
  'key set: one key of any size': over(100_000, (n) => `{"keys":[{"kty":"RSA","n":"${'A'.repeat(n)}","e":"AQAB"}]}`, parseJwks),
};

function objectOf(text: string): NonNullable<Parameters<typeof claimHeader>[0]> {
  const value = parseJson(text);
  if (!isJsonObject(value)) throw new Error('not an object');
  return value;
}

const head = (...fields: readonly string[]): string => `GET / HTTP/1.1\r\nHost: h\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

/** Feeds the buffer `step` bytes at a time, as a slow client would. */
function drip(text: string, step: number): string {
  const bytes = Buffer.from(text, 'latin1');
  const heads = new HeadBuffer(1024 * 1024);
  let found = '';
  for (let at = 0; at < bytes.length && found === ''; at += step) {
    found = heads.take(bytes, at, Math.min(bytes.length, at + step));
    if (found === '') isHopeless(heads.fresh(), at === 0);
  }
  return found;
}

function readChunks(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  const reader = new ChunkReader(false);
  let state = 'more';
  for (let at = 0; at < bytes.length && state === 'more'; at = reader.consumedEnd) state = reader.read(bytes, at, bytes.length);
  return state;
}

const CODEC_CASES: Readonly<Record<string, GrowthCase>> = {
  'head: one long value': over(25_000, (n) => head(`X: ${'y'.repeat(n)}`), parseRequestHead),
  'head: whitespace around a value': over(25_000, (n) => head(`X: ${' \t'.repeat(n)}y${' \t'.repeat(n)}`), parseRequestHead),
  'head: only whitespace': over(25_000, (n) => head(`X: ${' '.repeat(n)}`), parseRequestHead),
  'head: fields': over(25_000, (n) => head(many(n, (at) => `X${at}: y`, '\r\n')), parseRequestHead),
  'head: a line without colon': over(100_000, (n) => head('X'.repeat(n)), parseRequestHead),
  'head: connection tokens': over(25_000, (n) => head(`Connection: ${'close,'.repeat(n)}`), parseRequestHead),
  'head: digits': over(100_000, (n) => head(`Content-Length: ${'1'.repeat(n)}`), parseRequestHead),
  'head: target': over(100_000, (n) => `GET http://${'a'.repeat(n)}@ HTTP/1.1\r\n\r\n`, parseRequestHead),
  'head: byte by byte': over(
    25_000,
    (n) => head(`X: ${'y'.repeat(n)}`),
    (text) => drip(text, 1),
  ),
  'head: line breaks byte by byte': over(
    10_000,
    (n) => head(many(n, () => 'a: b', '\r\n')),
    (text) => drip(text, 1),
  ),
  'response: fields nominated by Connection': over(
    200,
    (n) => `HTTP/1.1 200 OK\r\nConnection: ${many(n, (at) => `x${at}`)}\r\n${many(n, (at) => `X${at}: y`, '\r\n')}\r\n\r\n`,
    (text) => parseResponseHead(text, 'GET'),
  ),
  'response: folded lines': over(
    5000,
    (n) => `HTTP/1.1 200 OK\r\nX: a${'\r\n b'.repeat(n)}\r\n\r\n`,
    (text) => parseResponseHead(text, 'GET'),
  ),
  'chunks: of one byte with an extension': over(10_000, (n) => `${'1;a\r\nx\r\n'.repeat(n)}0\r\n\r\n`, readChunks),
  'chunks: of one byte': over(25_000, (n) => `${'1\r\nx\r\n'.repeat(n)}0\r\n\r\n`, readChunks),
  'chunks: extension without end': over(100_000, (n) => `1;${'a'.repeat(n)}`, readChunks),
  'chunks: zeros': over(100_000, (n) => '0'.repeat(n), readChunks),
};

const REQUEST_CASES: Readonly<Record<string, GrowthCase>> = {
  ...Object.fromEntries(
    (
      [
        ['up', '/..'],
        ['down and up', '/a/..'],
        ['escaped dots', '/%2e%2e'],
        ['slashes', '//'],
        ['backslashes', '\\'],
        ['escaped slashes', '%2F%5c'],
        ['stray percent signs', '%%41'],
        ['dots with parameters', '/..;a'],
        ['bytes to escape', '/ <'],
        ['single dots', '/.'],
      ] as const
    ).map(([name, piece]) => [
      `path: ${name}`,
      over(
        25_000,
        (n) => `/${piece.repeat(n)}`,
        (path) => normalizePath(path, 'DECODE_AND_MERGE_SLASHES'),
      ),
    ]),
  ),
  'path: all down, then all up': over(
    25_000,
    (n) => '/a'.repeat(n) + '/..'.repeat(n),
    (path) => normalizePath(path, 'BASE'),
  ),
  'path: template of segments': over(
    2500,
    (n) => ({ test: compilePathTemplate(parsePathTemplate('/{*}'.repeat(n)) ?? { pieces: [] }), path: '/a'.repeat(n) }),
    ({ test, path }) => test(path),
  ),
  'path: template that fails at its end': over(
    25_000,
    (n) => ({ test: compilePathTemplate(parsePathTemplate('/{**}/x') ?? { pieces: [] }), path: '/x/a'.repeat(n) }),
    ({ test, path }) => test(path),
  ),
  'headers: one inline header again and again': over(100, (n) => Array.from({ length: n }, () => ['Accept', 'a']).flat(), copyHeaders),
  'addresses: X-Forwarded-For': over(
    50_000,
    (n) => '1.1.1.1,'.repeat(n),
    (value) => remoteAddress(value, '10.0.0.9'),
  ),
  'addresses: whitespace': over(
    100_000,
    (n) => ' '.repeat(n),
    (value) => remoteAddress(value, '10.0.0.9'),
  ),
  'addresses: colons': over(
    100_000,
    (n) => ':'.repeat(n),
    (value) => remoteAddress(value, '10.0.0.9'),
  ),
  'addresses: digits': over(
    100_000,
    (n) => `::${'1'.repeat(n)}`,
    (value) => remoteAddress(value, '10.0.0.9'),
  ),
  'URL: at signs': over(25_000, (n) => `http://${'@'.repeat(n)}h/`, parseHttpUrl),
  'identity: account again and again': over(
    10_000,
    (n) => `spiffe://td/ns/a/${'sa/bx/'.repeat(n)}`,
    compileIdentityMatch({ kind: 'serviceAccount', namespace: 'a', name: 'b' }),
  ),
  'identity: stars': over(
    10_000,
    (n) => `spiffe://td${'/ns/a'.repeat(n)}`,
    compileIdentityMatch({ kind: 'namespace', pattern: 'a*b*c*d' }),
  ),
};

const values = (n: number, item: (at: number) => string): readonly string[] => Array.from({ length: n }, (_, at) => item(at));
const decide = (program: ReturnType<typeof programOf>, request: Partial<RequestFacts>): (() => unknown) => {
  const evaluator = createEvaluator(program);
  return () => evaluator.decide(facts(request), 'http');
};

/** Decisions whose rules, or whose requests, grow. */
const DECISION_CASES: Readonly<Record<string, GrowthCase>> = {
  'decision: prefixes and suffixes': {
    size: 1000,
    prepare: (n) =>
      decide(programOf([deny('a', { to: [{ operation: { paths: values(n, (at) => (at % 2 === 0 ? `/p${at}*` : `*s${at}`)) } }] })]), {
        path: '/p/s',
      }),
  },
  'decision: prefixes of one another': {
    size: 500,
    prepare: (n) =>
      decide(
        programOf([
          deny(
            'a',
            ...values(n, (at) => `/${'a'.repeat(at)}*`).map((path) => ({
              to: [{ operation: { paths: [path] } }],
              when: [{ key: 'request.headers[x]', values: ['y'] }],
            })),
          ),
        ]),
        { path: `/${'a'.repeat(n)}` },
      ),
  },
  'decision: templates': {
    size: 500,
    prepare: (n) =>
      decide(
        programOf([
          deny(
            'a',
            ...values(n, (at) => `${'/{*}'.repeat(1 + (at % 40))}/x${at}`).map((path) => ({ to: [{ operation: { paths: [path] } }] })),
          ),
        ]),
        { path: '/a'.repeat(40) },
      ),
  },
  'decision: a path under templates': {
    size: 10_000,
    prepare: (n) =>
      decide(programOf([deny('a', { to: [{ operation: { paths: ['/{**}/x', '/a/{**}/y', '/{*}/{*}/{**}', '/{*}/{**}/z'] } }] })]), {
        path: `${'/a'.repeat(n)}/`,
      }),
  },
  'decision: groups of a claim': {
    size: 10_000,
    prepare: (n) =>
      decide(programOf([allow('a', { when: [{ key: 'request.auth.claims[groups]', values: values(50, (at) => `g${at}*`) }] })]), {
        claims: { groups: values(n, (at) => `x${at}`) },
      }),
  },
  'decision: values of a header': {
    size: 10_000,
    prepare: (n) => {
      const headers = values(n, (at) => `v${at}`);
      return decide(programOf([deny('a', { when: [{ key: 'request.headers[x]', values: values(50, (at) => `w${at}*`) }] })]), {
        headerValues: () => headers,
        headerList: headers.flatMap((value) => ['x', value]),
      });
    },
  },
  'decision: an index is built': over(
    500,
    (n) =>
      programOf([
        deny(
          'a',
          ...values(n, (at) => `/p${at}/`).map((path) => ({ to: [{ operation: { paths: [`${path}*`, `*${path}`, `${path}{*}/{**}`] } }] })),
        ),
      ]),
    createEvaluator,
  ),
};

const rules = (n: number): readonly object[] =>
  Array.from({ length: n }, (_, at) => ({ to: [{ operation: { paths: [`/p${at}`], hosts: [`h${at}`] } }] }));

const FILE_CASES: Readonly<Record<string, GrowthCase>> = {
  ...Object.fromEntries(
    Object.entries(GROWING_POLICIES).map(([name, [size, make]]) => [
      `admission: ${name}`,
      over(size, make, (object) => [parsePolicy(object), validatePolicy(object)]),
    ]),
  ),
  'policy: rules': over(250, (n) => allow('a', ...rules(n)), validateAndLower),
  'policy: values': over(2500, (n) => allow('a', { to: [{ operation: { paths: values(n, (at) => `/p${at}*`) } }] }), validateAndLower),
  'policy: unknown fields': over(
    2500,
    (n) => allow('a', Object.fromEntries(values(n, (at) => `f${at}`).map((name) => [name, 1]))),
    (object) => [parsePolicy(object), validatePolicy(object)],
  ),
  'policy: bracket after bracket in a key': over(
    25_000,
    (n) => allow('a', { when: [{ key: `request.auth.claims${'[a]'.repeat(n)}`, values: ['x'] }] }),
    validateAndLower,
  ),
  'manifest: objects': over(
    100,
    (n) => many(n, (at) => `apiVersion: v1\nkind: A\nmetadata: {name: n${at}}\n`, '---\n'),
    (text) => parseManifests(text, 'f'),
  ),
  'manifest: aliases': over(
    500,
    (n) => `apiVersion: v1\nkind: A\nmetadata: {name: n}\na: &a {b: 1}\nc: [${many(n, () => '*a')}]\n`,
    (text) => parseManifests(text, 'f'),
  ),
  'bundle: variants and labels': over(
    // Smaller bundles are parsed as a whole.
    1000,
    (n) => {
      const variants = values(n, (at) => `l${at}`).map((label) => ({ labels: { [label]: 'x' }, program: 0 }));
      const { json, digest } = encodeBundle(bundleOf([DENY_ALL], variants));
      return { [BUNDLE_KEY]: Buffer.from(json), [BUNDLE_DIGEST_KEY]: Buffer.from(digest) };
    },
    (files) => decodeBundle(files),
  ),
};

const lintRules = (policies: readonly object[]): unknown =>
  lintPolicies(
    policies.flatMap((object) => parsePolicy(object).value ?? []),
    { rootNamespace: 'istio-system' },
  );

/** Rules that lint compares with each other. */
const LINT_CASES: Readonly<Record<string, GrowthCase>> = {
  'lint: rules of one path': over(
    250,
    (n) => [
      deny(
        'a',
        ...values(n, (at) => `y${at}`).map((value) => ({ ...paths('/a'), when: [{ key: 'request.headers[x]', values: [value] }] })),
      ),
    ],
    lintRules,
  ),
  'lint: rules of prefixes of one another': over(
    // The paths have a bounded length, so that the input is four times as large, too.
    1000,
    (n) => [
      deny(
        'a',
        ...values(n, (at) => `/${'a'.repeat((n - at) % 250)}`).map((path) => ({
          ...paths(path),
          when: [{ key: 'source.ip', values: ['::1'] }],
        })),
      ),
    ],
    lintRules,
  ),
  'lint: values of two rules': over(
    2000,
    (n) => [deny('a', paths(...values(n, (at) => `/a${at}*`)), paths(...values(n, (at) => `/b${at}`)))],
    lintRules,
  ),
};

function validateAndLower(object: object): unknown {
  return [validatePolicy(object), programOf([object])];
}

/** Work that is quadratic in the size: the measurement must detect it. */
export const SQUARE = 'a square';

/** Every case by name. */
export const GROWTH_CASES: Readonly<Record<string, GrowthCase>> = {
  ...JSON_CASES,
  ...TOKEN_CASES,
  ...CODEC_CASES,
  ...REQUEST_CASES,
  ...DECISION_CASES,
  ...FILE_CASES,
  ...LINT_CASES,
  [SQUARE]: over(
    50,
    (n) => n,
    (n) => values(n * n, () => remoteAddress('1.1.1.1', '')),
  ),
};
