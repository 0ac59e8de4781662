/* The encoding of bundles as bytes and as ConfigMap data. */
import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { type Bundle, LEGACY_BUNDLE_SCHEMA, MAX_BUNDLE_BYTES, MAX_PROGRAM_VALUES } from '../../../src/bundle/bundle.ts';
import { canonicalJson } from '../../../src/bundle/canonical-json.ts';
import { digestOf } from '../../../src/bundle/digest.ts';
import {
  CONFIG_MAP_LIMIT_BYTES,
  compressApart,
  encodeBundle,
  encodeLegacyBundle,
  storedFormOf,
  toConfigMapData,
  whyUnacceptable,
} from '../../../src/bundle/encode.ts';
import { PLAIN_LIMIT_BYTES } from '../../../src/bundle/slots.ts';
import { RefusedError } from '../../../src/errors.ts';
import type { Program, Rule } from '../../../src/policy/model/program.ts';
import { valuesOf } from '../../../src/policy/model/program-size.ts';
import { SAMPLE } from './sample-bundle.ts';

/** A bundle whose JSON has about `bytes` bytes of `letter`s or of noise. */
function padded(bytes: number, text = 'a'.repeat(bytes)): Bundle {
  return { ...SAMPLE, keySets: { pad: { source: text, keys: [{ kty: 'RSA' }] } } };
}

describe('canonicalJson', () => {
  it('sorts members at every depth and keeps the order of arrays', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }, 'x'], a: { z: true, y: undefined } })).to.equal(
      '{"a":{"z":true},"b":[{"c":null,"d":1},"x"]}',
    );
  });

  it('keeps a member named __proto__', () => {
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":{"x":1}}'))).to.equal('{"__proto__":{"x":1},"b":1}');
  });
});

describe('encodeBundle', () => {
  it('gives the same bytes and digest when members are in another order', () => {
    const shuffled = JSON.parse(JSON.stringify(SAMPLE), (_key, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).reverse()) : value,
    ) as Bundle;

    expect(encodeBundle(shuffled)).to.deep.equal(encodeBundle(SAMPLE));
    expect(encodeBundle(SAMPLE).digest).to.match(/^sha256:[0-9a-f]{64}$/);
  });

  it('gives another digest when a value differs', () => {
    expect(encodeBundle({ ...SAMPLE, relevantLabels: ['app'] }).digest).to.not.equal(encodeBundle(SAMPLE).digest);
  });
});

describe('toConfigMapData', () => {
  it('does not compress a small bundle', () => {
    const encoded = encodeBundle(SAMPLE);
    expect(toConfigMapData(encoded)).to.deep.equal({
      kind: 'data',
      data: { data: { 'bundle.json': encoded.json, 'bundle.sha256': encoded.digest }, binaryData: {} },
    });
  });

  it('reports a program with more values than agents accept, however short they are', () => {
    const [program] = SAMPLE.programs as [Program];
    const rule = program.http.allow.rules[0] as Rule;
    const paths = (count: number): Program => {
      const anyOf = new Array(count).fill({ kind: 'exact', value: '/' });
      const rules: readonly Rule[] = [{ ...rule, when: [{ attribute: 'path', field: 'paths', anyOf }] }];
      return { ...program, http: { ...program.http, deny: { ...program.http.deny, rules } } };
    };
    const most = MAX_PROGRAM_VALUES - valuesOf(paths(0));
    const encoded = { ...encodeBundle(SAMPLE), json: ' '.repeat(2 * MAX_PROGRAM_VALUES) };
    const whyRefused = (count: number): string | undefined => whyUnacceptable(encoded, { ...SAMPLE, programs: [paths(count)] });
    expect(whyRefused(most)).to.equal(undefined);
    expect(whyRefused(most + 1)).to.match(/values to match; at most/);
  });

  it('compresses a large bundle to the same bytes each time, without time or operating system in the header', () => {
    const encoded = encodeBundle(padded(PLAIN_LIMIT_BYTES));
    const result = toConfigMapData(encoded);

    expect(result).to.deep.equal(toConfigMapData(encoded));
    if (result.kind !== 'data') throw new Error('refused');
    expect(Object.keys(result.data.data)).to.deep.equal(['bundle.sha256']);
    const bytes = Buffer.from(result.data.binaryData['bundle.json.gz'] ?? '', 'base64');
    expect([...bytes.subarray(4, 8), bytes[9]]).to.deep.equal([0, 0, 0, 0, 255]);
    expect(gunzipSync(bytes).toString()).to.equal(encoded.json);
  });

  it('compresses from the limit on', () => {
    const empty = encodeBundle(padded(0)).json.length;
    const keys = (bytes: number): readonly string[] => {
      const result = toConfigMapData(encodeBundle(padded(bytes - empty)));
      return result.kind === 'data' ? [...Object.keys(result.data.data), ...Object.keys(result.data.binaryData)] : [];
    };

    expect(keys(PLAIN_LIMIT_BYTES - 1)).to.have.members(['bundle.sha256', 'bundle.json']);
    expect(keys(PLAIN_LIMIT_BYTES)).to.have.members(['bundle.sha256', 'bundle.json.gz']);
  });

  it('refuses a bundle that is too large for a ConfigMap', () => {
    const noise = randomBytes(CONFIG_MAP_LIMIT_BYTES).toString('base64');
    const result = toConfigMapData(encodeBundle(padded(0, noise)));

    expect(result.kind).to.equal('refused');
    if (result.kind === 'refused') expect(result.finding).to.include({ code: 'SP_TOO_LARGE', severity: 'error' });
  });
});

describe('the stored form of an encoded bundle', () => {
  it('is made once', () => {
    const encoded = encodeBundle(padded(PLAIN_LIMIT_BYTES));

    expect(storedFormOf(encoded)).to.equal(storedFormOf(encoded));
    expect(storedFormOf(encoded)).to.include({ digest: encoded.digest, encoding: 'gzip' });
  });

  it('is the same, and not made in this thread, when the bundle was compressed in another one', async () => {
    const [apart, here] = [encodeBundle(padded(4 * PLAIN_LIMIT_BYTES)), encodeBundle(padded(4 * PLAIN_LIMIT_BYTES))];
    const compressing = compressApart(apart);
    let hasTurned = false;
    setImmediate(() => (hasTurned = true));
    await compressing;

    expect(hasTurned).to.equal(true);
    expect(storedFormOf(apart)).to.deep.equal(storedFormOf(here));
  });

  it('says which limit a bundle exceeds that agents would not accept', () => {
    const noise = randomBytes(2 * CONFIG_MAP_LIMIT_BYTES).toString('base64');
    const why = (bundle: Bundle): string | undefined => whyUnacceptable(encodeBundle(bundle), bundle);
    const encoded = encodeBundle(SAMPLE);
    expect(whyUnacceptable({ ...encoded, json: ' '.repeat(MAX_BUNDLE_BYTES) }, SAMPLE)).to.equal(undefined);
    expect(whyUnacceptable({ ...encoded, json: ' '.repeat(MAX_BUNDLE_BYTES + 1) }, SAMPLE)).to.match(/bytes; at most/);

    expect(why(SAMPLE)).to.equal(undefined);
    expect(why(padded(CONFIG_MAP_LIMIT_BYTES * 2))).to.equal(undefined);
    expect(why(padded(0, noise))).to.match(/^the bundle of this workload is too large: it has \d+ bytes, \d+ when compressed/);
    expect(why(padded(MAX_BUNDLE_BYTES))).to.match(/^the bundle of the workload has \d+ bytes; at most \d+ are accepted$/);
    expect(() => storedFormOf(encodeBundle(padded(0, noise)))).to.throw(RefusedError, 'the bundle of this workload is too large');
  });

  it('of level 1 names no kind of workload', () => {
    const { json, digest } = encodeLegacyBundle(SAMPLE);

    expect(JSON.parse(json)).to.deep.include({ schema: LEGACY_BUNDLE_SCHEMA, workload: { namespace: 'foo', name: 'httpbin' } });
    expect(digest).to.equal(digestOf(json));
  });
});
