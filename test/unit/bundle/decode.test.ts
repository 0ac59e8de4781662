/* Which files an agent accepts as a bundle, and which it rejects. */
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Bundle, MAX_BUNDLE_BYTES, MAX_PROGRAM_VALUES } from '../../../src/bundle/bundle.ts';
import { type BundleFiles, decodeApart, decodeBundle } from '../../../src/bundle/decode.ts';
import { digestOf } from '../../../src/bundle/digest.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import { RefusedError } from '../../../src/errors.ts';
import type { Json } from '../../../src/policy/facts.ts';
import type { Program, Rule } from '../../../src/policy/model/program.ts';
import { valuesOf } from '../../../src/policy/model/program-size.ts';
import { EVERY_CLAUSE, SAMPLE } from './sample-bundle.ts';

const bytes = (value: string): Uint8Array => Buffer.from(value);
const encoded = encodeBundle(SAMPLE);

function filesOf(json: string): BundleFiles {
  return { 'bundle.json': bytes(json), 'bundle.sha256': bytes(digestOf(json)) };
}

/** The sample with something at `path` replaced; `undefined` removes it. */
function changed(path: readonly (string | number)[], value: unknown): BundleFiles {
  const copy = JSON.parse(encoded.json) as Record<string | number, unknown>;
  const parent = path
    .slice(0, -1)
    .reduce<Record<string | number, unknown>>((object, step) => object[step] as Record<string | number, unknown>, copy);
  parent[path.at(-1) ?? ''] = value;
  return filesOf(JSON.stringify(copy));
}

function codeOf(files: BundleFiles, expected = SAMPLE.workload): string {
  try {
    decodeBundle(files, expected);
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
  return 'accepted';
}

/** The paths of all objects in `value`. */
function objectsIn(value: Json, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (Array.isArray(value)) return value.flatMap((element: Json, at) => objectsIn(element, [...path, at]));
  if (typeof value !== 'object' || value === null) return [];
  return [path, ...Object.entries(value).flatMap(([name, member]) => objectsIn(member, [...path, name]))];
}

const RULE = SAMPLE.programs[0]?.http.allow.rules[0] as Rule;
/** The sample with a thousand rules, far larger than what is parsed at a time. */
const LARGE: Bundle = {
  ...SAMPLE,
  programs: SAMPLE.programs.map((program) => ({
    ...program,
    http: { ...program.http, allow: { attached: true, rules: Array.from({ length: 1000 }, (_, at) => ({ ...RULE, id: `rule-${at}` })) } },
  })),
};

const clauses = ['programs', 0, 'http', 'allow', 'rules', 0, 'to', 0] as const;

/** As large as a bundle may be. */
const SPACES = new Uint8Array(MAX_BUNDLE_BYTES).fill(0x20);

describe('decodeBundle', () => {
  it('returns what was encoded, with a clause of every kind', () => {
    expect(decodeBundle(filesOf(encoded.json), SAMPLE.workload)).to.deep.equal({ bundle: SAMPLE, digest: encoded.digest });
  });

  it('reads gzip', () => {
    const files = { 'bundle.json.gz': gzipSync(encoded.json), 'bundle.sha256': bytes(`${encoded.digest}\n`) };

    expect(decodeBundle(files, SAMPLE.workload).bundle).to.deep.equal(SAMPLE);
  });

  it('accepts a bundle of any workload when none is expected', () => {
    expect(decodeBundle(filesOf(encoded.json)).bundle.workload).to.deep.equal(SAMPLE.workload);
  });

  const half = encoded.json.slice(0, encoded.json.length / 2);
  const zip = gzipSync(encoded.json);
  const REJECTED: readonly (readonly [string, BundleFiles, string])[] = [
    ['no file', {}, 'SP_BUNDLE_UNREADABLE'],
    ['no digest', { 'bundle.json': bytes(encoded.json) }, 'SP_BUNDLE_UNREADABLE'],
    ['an invalid digest', { 'bundle.json': bytes(encoded.json), 'bundle.sha256': bytes('abc') }, 'SP_BUNDLE_UNREADABLE'],
    ['a huge digest', { 'bundle.json': bytes(encoded.json), 'bundle.sha256': bytes(encoded.digest.padEnd(1000)) }, 'SP_BUNDLE_UNREADABLE'],
    ['both forms', { ...filesOf(encoded.json), 'bundle.json.gz': zip }, 'SP_BUNDLE_UNREADABLE'],
    ['another digest', { 'bundle.json': bytes(encoded.json), 'bundle.sha256': bytes(digestOf('x')) }, 'SP_BUNDLE_DIGEST'],
    ['half a file', { 'bundle.json': bytes(half), 'bundle.sha256': bytes(encoded.digest) }, 'SP_BUNDLE_DIGEST'],
    ['half a file with its own digest', filesOf(half), 'SP_BUNDLE_UNREADABLE'],
    ['half a gzip', { 'bundle.json.gz': zip.subarray(0, 100), 'bundle.sha256': bytes(encoded.digest) }, 'SP_BUNDLE_UNREADABLE'],
    ['an invalid gzip file', { 'bundle.json.gz': bytes('x'), 'bundle.sha256': bytes(encoded.digest) }, 'SP_BUNDLE_UNREADABLE'],
    [
      'too many bytes',
      { 'bundle.json': new Uint8Array(MAX_BUNDLE_BYTES + 1), 'bundle.sha256': bytes(encoded.digest) },
      'SP_BUNDLE_TOO_LARGE',
    ],
    [
      'as many bytes as are read, without JSON',
      { 'bundle.json': SPACES, 'bundle.sha256': bytes(digestOf(SPACES)) },
      'SP_BUNDLE_UNREADABLE',
    ],
    [
      'a decompression bomb',
      { 'bundle.json.gz': gzipSync(Buffer.alloc(MAX_BUNDLE_BYTES + 1)), 'bundle.sha256': bytes(encoded.digest) },
      'SP_BUNDLE_TOO_LARGE',
    ],
    [
      'bytes that are not UTF-8',
      { 'bundle.json': Buffer.from([0x22, 0xff, 0x22]), 'bundle.sha256': bytes(digestOf(Buffer.from([0x22, 0xff, 0x22]))) },
      'SP_BUNDLE_UNREADABLE',
    ],
    ['null', filesOf('null'), 'SP_BUNDLE_SCHEMA'],
    ['another schema', changed(['schema'], 'sallyport.dev/bundle/v3'), 'SP_BUNDLE_SCHEMA'],
    ['no schema', changed(['schema'], undefined), 'SP_BUNDLE_SCHEMA'],
    ['an unknown member', changed(['extra'], 1), 'SP_BUNDLE_SCHEMA'],
    ['no variant', changed(['variants'], []), 'SP_BUNDLE_SCHEMA'],
    ['a variant without a program', changed(['variants', 0, 'program'], 1), 'SP_BUNDLE_SCHEMA'],
    ['two variants with the same labels', changed(['variants', 1, 'labels'], { app: 'httpbin' }), 'SP_BUNDLE_SCHEMA'],
    ['a variant with an irrelevant label', changed(['variants', 1, 'labels'], { tier: 'x' }), 'SP_BUNDLE_SCHEMA'],
    ['an unknown attribute', changed([...clauses, 0, 'attribute'], 'colour'), 'SP_BUNDLE_SCHEMA'],
    ['an unknown matcher', changed([...clauses, 0, 'anyOf', 0, 'kind'], 'regex'), 'SP_BUNDLE_SCHEMA'],
    ['an unknown member of a clause', changed([...clauses, 0, 'except'], []), 'SP_BUNDLE_SCHEMA'],
    ['an empty list of values', changed([...clauses, 0, 'anyOf'], []), 'SP_BUNDLE_SCHEMA'],
    ['a template for a host', changed([...clauses, 0, 'anyOf', 0, 'kind'], 'template'), 'SP_BUNDLE_SCHEMA'],
    ['a port that is a string', changed([...clauses, 8, 'anyOf'], ['80']), 'SP_BUNDLE_SCHEMA'],
    ['an invalid address block', changed([...clauses, 6, 'noneOf'], ['10.0.0.0/33']), 'SP_BUNDLE_SCHEMA'],
    ['an invalid template', changed([...clauses, 3, 'anyOf', 0, 'value'], 'a/{*}'), 'SP_BUNDLE_SCHEMA'],
    ['a rule without sources', changed(['programs', 0, 'http', 'allow', 'rules', 0, 'from'], []), 'SP_BUNDLE_SCHEMA'],
    ['a CUSTOM step with a provider and a refusal', changed(['programs', 0, 'http', 'custom', 0, 'refusal'], 'x'), 'SP_BUNDLE_SCHEMA'],
    ['an empty key set', changed(['keySets', 'inline-1', 'keys'], []), 'SP_BUNDLE_SCHEMA'],
    ['another namespace', changed(['workload', 'namespace'], 'bar'), 'SP_BUNDLE_FOREIGN'],
    ['another name', changed(['workload', 'name'], 'sleep'), 'SP_BUNDLE_FOREIGN'],
  ];
  for (const [what, files, code] of REJECTED) {
    it(`rejects ${what}`, () => {
      expect(codeOf(files)).to.equal(code);
    });
  }

  it('accepts as many values as the limit allows, and no more', () => {
    const path = [...clauses, 8, 'anyOf'];
    const others = valuesOf((JSON.parse(changed(path, [])['bundle.json']?.toString() ?? '') as Bundle).programs[0] as Program);
    const withPorts = (count: number): BundleFiles => changed(path, Array(count).fill(80));

    expect(codeOf(withPorts(MAX_PROGRAM_VALUES - others))).to.equal('accepted');
    expect(codeOf(withPorts(MAX_PROGRAM_VALUES - others + 1))).to.equal('SP_BUNDLE_TOO_LARGE');
  });

  it('accepts each value of a member that has a few, and no other', () => {
    const custom = ['programs', 0, 'http', 'custom', 0, 'provider', 'protocol'] as const;
    const normalization = ['programs', 0, 'pathNormalization'] as const;

    for (const protocol of ['http', 'grpc']) expect(codeOf(changed(custom, protocol)), protocol).to.equal('accepted');
    for (const name of ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
      expect(codeOf(changed(normalization, name)), name).to.equal('accepted');
    for (const path of [custom, normalization])
      for (const value of ['', 'x', 1]) expect(codeOf(changed(path, value))).to.equal('SP_BUNDLE_SCHEMA');
  });

  it('rejects an unknown member of every object, at every level', () => {
    const body = { maxRequestBytes: 1, allowPartialMessage: false, packAsBytes: false };
    const withBody = ['programs', 0, 'http', 'custom', 0, 'provider', 'includeRequestBodyInCheck'];
    const places = objectsIn(JSON.parse(encoded.json) as Json);

    expect(codeOf(changed(withBody, body))).to.equal('accepted');
    expect(codeOf(changed(withBody, { ...body, unknown: 1 }))).to.equal('SP_BUNDLE_SCHEMA');
    expect(places.length).to.be.above(100);
    for (const path of places) expect(codeOf(changed([...path, 'unknown'], 1)), path.join('.')).to.equal('SP_BUNDLE_SCHEMA');
  });

  it('rejects null, an array and text in place of every object, at every level', () => {
    for (const path of objectsIn(JSON.parse(encoded.json) as Json).slice(1)) {
      for (const value of [null, [], 'x']) expect(codeOf(changed(path, value)), path.join('.')).to.match(/^SP_BUNDLE_(SCHEMA|FOREIGN)$/);
    }
  });

  it('says what is wrong with files that cannot be read', () => {
    const message = (files: BundleFiles): string => {
      try {
        decodeBundle(files);
        return 'accepted';
      } catch (error) {
        return (error as Error).message;
      }
    };

    expect(message(filesOf(half))).to.equal('not JSON in UTF-8, or truncated');
    expect(message({ 'bundle.json.gz': bytes('x'), 'bundle.sha256': bytes(encoded.digest) })).to.equal('not gzip, or truncated');
    expect(message({ 'bundle.json': bytes('x') })).to.equal('bundle.sha256 is missing');
    expect(message({ 'bundle.json': bytes('x'), 'bundle.sha256': bytes('y') })).to.equal('bundle.sha256 is not a digest');
    expect(message(changed(['schema'], { a: 1 }))).to.match(/^schema is object; this version reads sallyport.dev.bundle.v\d$/);
    expect(message(changed(['schema'], 'x'.repeat(1000)))).to.match(/^schema is "x{100}"; /);
    expect(message(changed(['variants', 0, 'program'], 1))).to.equal('variants: program 1 does not exist');
    expect(message(changed(['variants', 1, 'labels'], { tier: 'x' }))).to.equal('variants: label "tier" is not in relevantLabels');
    expect(message(changed(['variants', 1, 'labels'], { app: 'httpbin' }))).to.equal('variants: two have the same labels');
    expect(message({ 'bundle.json': new Uint8Array(MAX_BUNDLE_BYTES + 1), 'bundle.sha256': bytes(encoded.digest) })).to.contain(
      `has ${MAX_BUNDLE_BYTES + 1} bytes; the limit is ${MAX_BUNDLE_BYTES}`,
    );
  });

  it('accepts a digest with whitespace around it, up to 256 bytes', () => {
    const written = (text: string): BundleFiles => ({ 'bundle.json': bytes(encoded.json), 'bundle.sha256': bytes(text) });

    expect(codeOf(written(encoded.digest.padEnd(256)))).to.equal('accepted');
    expect(codeOf(written(encoded.digest.padEnd(257)))).to.equal('SP_BUNDLE_UNREADABLE');
    expect(codeOf(written(encoded.digest.toUpperCase()))).to.equal('SP_BUNDLE_UNREADABLE');
    expect(codeOf(written(`${encoded.digest}0`))).to.equal('SP_BUNDLE_UNREADABLE');
  });

  it('rejects a clause when one of its members is missing', () => {
    for (const [index, clause] of EVERY_CLAUSE.entries()) {
      for (const member of Object.keys(clause).filter((name) => name !== 'anyOf' && name !== 'noneOf')) {
        expect(codeOf(changed([...clauses, index, member], undefined)), `${clause.attribute} without ${member}`).to.equal(
          'SP_BUNDLE_SCHEMA',
        );
      }
    }
  });

  it('takes a large bundle in many turns, with the same result', async () => {
    const encodedLarge = encodeBundle(LARGE);
    const compressed = { 'bundle.json.gz': gzipSync(encodedLarge.json), 'bundle.sha256': bytes(encodedLarge.digest) };
    for (const files of [filesOf(encodedLarge.json), compressed]) {
      let turns = 0;
      const pause = (resume: () => void): void => {
        turns += 1;
        setImmediate(resume);
      };
      const decoded = await decodeApart(files, SAMPLE.workload, { pause, turnMs: 0 });

      expect(decoded).to.deep.equal({ bundle: LARGE, digest: encodedLarge.digest });
      expect(turns).to.be.above(50);
    }
    expect(decodeBundle(filesOf(encodedLarge.json)).bundle).to.deep.equal(LARGE);
  });

  it('names the rule and the member that is wrong', () => {
    const rules = ['programs', 0, 'http', 'allow', 'rules'] as const;
    const where = (path: readonly (string | number)[], value: unknown): unknown => {
      try {
        return decodeBundle(changed(path, value));
      } catch (error) {
        return error instanceof RefusedError ? error.message : error;
      }
    };

    expect(where([...rules, 0, 'id'], 1)).to.equal('programs.0.http.allow.rules.0.id: invalid_type');
    expect(where([...rules, 0], 'rule')).to.equal('programs.0.http.allow.rules.0: invalid_type');
    expect(where(rules, {})).to.equal('programs.0.http.allow.rules: invalid_type');
    expect(where(['programs'], [[[SAMPLE.programs]]])).to.equal('programs.0: invalid_type');
  });

  it('rejects random bytes with an error code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, compressed) => {
        const digest = bytes(digestOf(noise));
        const files = compressed ? { 'bundle.json.gz': noise, 'bundle.sha256': digest } : { 'bundle.json': noise, 'bundle.sha256': digest };
        expect(codeOf(files)).to.match(/^SP_BUNDLE_/);
      }),
    );
  });

  it('rejects a bundle when one byte is changed', () => {
    const whole = Buffer.from(encoded.json);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (position, difference) => {
        const broken = Buffer.from(whole);
        broken[position] = (broken[position] ?? 0) ^ difference;
        expect(codeOf({ 'bundle.json': broken, 'bundle.sha256': bytes(encoded.digest) })).to.equal('SP_BUNDLE_DIGEST');
      }),
    );
  });
});
