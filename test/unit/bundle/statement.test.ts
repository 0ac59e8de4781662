import { expect } from 'chai';
import { compactVerify, importJWK } from 'jose';
import { acceptKeyLists } from '../../../src/bundle/key-list.ts';
import {
  BUNDLE_STATEMENT,
  INDEX_STATEMENT,
  keyIdOf,
  LAST_VALID_STATEMENT,
  peekStatement,
  type Statement,
  type StatementContext,
  verifyStatement,
} from '../../../src/bundle/statement.ts';
import type { RefusedError } from '../../../src/errors.ts';
import { mintKeys, rotateRoot, rotateSigningKey, signerOf } from '../../../src/keys/signing-keys.ts';

const NOW = Date.UTC(2026, 10, 28);
const DAY = 86_400_000;
const KEYS = mintKeys('cluster-1', NOW);
const SIGNER = signerOf(KEYS);
const DIGEST = `sha256:${'ab'.repeat(32)}`;
const WORKLOAD = { kind: 'deployment', name: 'httpbin' };
const STATEMENT: Omit<Statement, 'cluster'> = {
  schema: BUNDLE_STATEMENT,
  namespace: 'foo',
  workload: WORKLOAD,
  number: NOW,
  digest: DIGEST,
  size: 17,
  encoding: 'identity',
  parts: [{ digest: DIGEST, size: 17 }],
};
const CONTEXT: StatementContext = { cluster: 'cluster-1', namespace: 'foo', workload: WORKLOAD, keys: SIGNER.keys, nowMs: NOW };

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return (error as RefusedError).code;
  }
}

const verify = (jws: string, context: Partial<StatementContext> = {}): string =>
  codeOf(() => verifyStatement(BUNDLE_STATEMENT, jws, { ...CONTEXT, ...context }));

/** A JWS with the header and payload given as text, with a right signature length. */
const jwsOf = (header: string, payload: string): string =>
  [header, payload, 'x'.repeat(64)].map((part) => Buffer.from(part).toString('base64url')).join('.');

describe('signed statements', () => {
  const jws = SIGNER.sign(STATEMENT);
  const [header = '', payload = '', signature = ''] = jws.split('.');
  const text = (part: string): string => Buffer.from(part, 'base64url').toString();

  it('verify with another implementation of JWS', async () => {
    const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: KEYS.keys[0]?.x ?? '' }, 'EdDSA');
    const verified = await compactVerify(jws, key);
    expect(JSON.parse(new TextDecoder().decode(verified.payload))).to.deep.equal({ ...STATEMENT, cluster: 'cluster-1' });
  });

  it('are accepted for their own subject', () => {
    expect(verifyStatement(BUNDLE_STATEMENT, jws, CONTEXT)).to.deep.equal({ ...STATEMENT, cluster: 'cluster-1' });
  });

  const foreign: readonly (readonly [string, Partial<StatementContext>])[] = [
    ['cluster', { cluster: 'cluster-2' }],
    ['namespace', { namespace: 'bar' }],
    ['workload', { workload: { kind: 'deployment', name: 'other' } }],
    ['kind of workload', { workload: { kind: 'statefulset', name: 'httpbin' } }],
    ['subject: a namespace', { workload: undefined }],
  ];
  for (const [what, context] of foreign)
    it(`are refused for another ${what}`, () => expect(verify(jws, context)).to.equal('SP_BUNDLE_FOREIGN'));

  it('have schemas that other versions know', () => {
    expect([BUNDLE_STATEMENT, INDEX_STATEMENT, LAST_VALID_STATEMENT]).to.deep.equal([
      'sallyport.dev/bundle/v2',
      'sallyport.dev/index/v1',
      'sallyport.dev/last-valid/v1',
    ]);
  });

  it('of one schema never pass as another', () => {
    expect(codeOf(() => verifyStatement(INDEX_STATEMENT, jws, CONTEXT))).to.equal('SP_BUNDLE_FOREIGN');
  });

  const malformed: readonly (readonly [string, string])[] = [
    ['empty', ''],
    ['not a JWS', 'x.y'],
    ['without a signature', `${header}.${payload}.`],
    ['with four parts', `${jws}.x`],
    ['with whitespace', `${jws}\n`],
    ['with padding', `${header}=.${payload}.${signature}`],
    ['in standard base64', `${header}.${payload}.${'+'.repeat(86)}`],
    ['with algorithm none', jwsOf(text(header).replace('EdDSA', 'none'), text(payload))],
    ['with algorithm HS256', jwsOf(text(header).replace('EdDSA', 'HS256'), text(payload))],
    ['of another type', jwsOf(text(header).replace('statement', 'keys'), text(payload))],
    ['with crit', jwsOf(text(header).replace('{', '{"crit":["exp"],'), text(payload))],
    ['with two algorithms', jwsOf(text(header).replace('{', '{"alg":"none",'), text(payload))],
    ['with an embedded key', jwsOf(text(header).replace('}', ',"jwk":{}}'), text(payload))],
    ['with a member twice', jwsOf(text(header), text(payload).replace('{', '{"number":1,'))],
    ['with whitespace in the payload', jwsOf(text(header), ` ${text(payload)}`)],
    ['with an unfinished payload', jwsOf(text(header), text(payload).slice(0, -1))],
    ['of 9 KiB', jwsOf(text(header), `"${'x'.repeat(9000)}"`)],
  ];
  for (const [what, value] of malformed) it(`are refused ${what}`, () => expect(verify(value)).to.equal('SP_BUNDLE_UNSIGNED'));

  it('are refused when any character of the payload or signature is another', () => {
    const wrong = new Set<string>();
    for (let at = header.length + 1; at < jws.length; at += 1) {
      if (jws[at] === '.') continue;
      wrong.add(verify(`${jws.slice(0, at)}${jws[at] === 'A' ? 'B' : 'A'}${jws.slice(at + 1)}`));
    }
    expect([...wrong].sort()).to.deep.equal(['SP_BUNDLE_SIGNATURE', 'SP_BUNDLE_UNSIGNED']);
  });

  it('are refused when signed by a key of another installation', () => {
    const other = signerOf(mintKeys('cluster-1', NOW));
    expect(verify(other.sign(STATEMENT))).to.equal('SP_BUNDLE_SIGNATURE');
  });

  it('are refused outside the period of their key, unless they were accepted before', () => {
    expect(verify(jws, { nowMs: NOW + 89 * DAY })).to.equal('accepted');
    expect(verify(jws, { nowMs: NOW + 91 * DAY })).to.equal('SP_BUNDLE_KEY_EXPIRED');
    expect(verify(jws, { nowMs: NOW - DAY })).to.equal('SP_BUNDLE_KEY_EXPIRED');
    expect(verify(jws, { nowMs: undefined })).to.equal('accepted');
  });

  it('are refused one millisecond outside the period of their key, and accepted at its ends', () => {
    const key = [...CONTEXT.keys.keys.values()][0];
    const [from, to] = [key?.notBefore ?? 0, key?.notAfter ?? 0];

    expect([from - 1, from, to, to + 1].map((nowMs) => verify(jws, { nowMs }))).to.deep.equal([
      'SP_BUNDLE_KEY_EXPIRED',
      'accepted',
      'accepted',
      'SP_BUNDLE_KEY_EXPIRED',
    ]);
  });

  it('are shown without a look at their signature', () => {
    const unsigned = `${header}.${payload}.${'A'.repeat(86)}`;

    expect(peekStatement(unsigned)).to.deep.equal({ ...STATEMENT, cluster: 'cluster-1' });
    expect(peekStatement('x')).to.equal(undefined);
    expect(keyIdOf(unsigned)).to.equal(SIGNER.kid);
    expect(keyIdOf('x')).to.equal('');
  });

  it('about a namespace name no workload', () => {
    const { workload: _, ...about } = { ...STATEMENT, schema: INDEX_STATEMENT as Statement['schema'] };
    const own = { ...CONTEXT, workload: undefined };

    expect(codeOf(() => verifyStatement(INDEX_STATEMENT, SIGNER.sign(about), own))).to.equal('accepted');
    expect(codeOf(() => verifyStatement(INDEX_STATEMENT, SIGNER.sign({ ...about, workload: WORKLOAD }), own))).to.equal(
      'SP_BUNDLE_FOREIGN',
    );
    expect(codeOf(() => verifyStatement(BUNDLE_STATEMENT, SIGNER.sign(about), own))).to.equal('SP_BUNDLE_FOREIGN');
  });

  it('are refused with a number or members that no signer writes', () => {
    const part = { digest: DIGEST, size: 1 };
    for (const change of [
      { number: 0 },
      { number: 1.5 },
      { number: -1 },
      { parts: [] },
      { parts: [part, part, part] },
      { parts: [{ ...part, extra: 1 }] },
      { parts: [{ ...part, size: -1 }] },
      { parts: [{ digest: DIGEST }] },
      { size: -1 },
      { digest: 'sha256:x' },
      { digest: `${DIGEST}0` },
      { extra: 1 },
      { workload: { ...WORKLOAD, uid: 'x' } },
      { workload: { kind: 'deployment' } },
      { encoding: 'br' },
      { schema: 'sallyport.dev/bundle/v3' },
    ]) {
      const statement = { ...STATEMENT, ...change } as unknown as Statement;
      expect(verify(SIGNER.sign(statement)), JSON.stringify(change)).to.equal('SP_BUNDLE_SCHEMA');
    }
  });
});

describe('lists of signing keys', () => {
  const context = { cluster: 'cluster-1', roots: [KEYS.root.x] };

  it('verify what former keys signed until these expire', () => {
    let keys = KEYS;
    for (let month = 1; month <= 2; month += 1) keys = rotateSigningKey(keys, NOW + month * 30 * DAY);
    const trusted = acceptKeyLists(signerOf(keys).keys.lines, context);
    expect(verify(SIGNER.sign(STATEMENT), { keys: trusted, nowMs: NOW + 60 * DAY })).to.equal('accepted');
    expect(verify(signerOf(keys).sign(STATEMENT), { keys: trusted, nowMs: NOW + 60 * DAY })).to.equal('accepted');
    keys = rotateSigningKey(keys, NOW + 91 * DAY);
    expect(keys.keys).to.have.length(3);
    expect(verify(SIGNER.sign(STATEMENT), { keys: acceptKeyLists(signerOf(keys).keys.lines, context) })).to.equal('SP_BUNDLE_SIGNATURE');
  });

  it('lead from a trusted root to the newest one, at most sixteen later', () => {
    let keys = KEYS;
    for (let change = 1; change <= 16; change += 1) keys = rotateRoot(keys, NOW + change);
    expect(acceptKeyLists(signerOf(keys).keys.lines, context).root).to.equal(keys.root.x);
    keys = rotateRoot(keys, NOW + 17);
    const { lines } = signerOf(keys).keys;
    expect(codeOf(() => acceptKeyLists(lines, context))).to.equal('SP_BUNDLE_SIGNATURE');
  });

  it('are followed from the newest root that was accepted', () => {
    let keys = KEYS;
    let known = acceptKeyLists(signerOf(keys).keys.lines, context);
    for (let change = 1; change <= 40; change += 1) {
      keys = rotateRoot(keys, NOW + change);
      known = acceptKeyLists(signerOf(keys).keys.lines, { ...context, known });
    }
    expect(known.root).to.equal(keys.root.x);
  });

  it('of a replaced root, and older ones, are refused after that', () => {
    const before = signerOf(KEYS).keys.lines;
    const rotated = signerOf(rotateSigningKey(KEYS, NOW + 1)).keys;
    expect(codeOf(() => acceptKeyLists(before, { ...context, known: rotated }))).to.equal('SP_BUNDLE_KEYS');
    const known = acceptKeyLists(signerOf(rotateRoot(KEYS, NOW + 1)).keys.lines, context);
    expect(codeOf(() => acceptKeyLists(before, { ...context, known }))).to.equal('SP_BUNDLE_SIGNATURE');
  });

  it('are refused when a line is missing, changed, swapped or of another cluster', () => {
    const keys = rotateRoot(rotateRoot(KEYS, NOW + 1), NOW + 2);
    const lines = signerOf(keys).keys.lines.split('\n');
    const [first = '', second = '', last = ''] = lines;
    const read = (...chosen: readonly string[]): string => codeOf(() => acceptKeyLists(chosen.join('\n'), context));
    expect(read(first, second, last)).to.equal('accepted');
    expect(read(first, last)).to.equal('SP_BUNDLE_KEYS');
    expect(read(second, last)).to.equal('SP_BUNDLE_SIGNATURE');
    expect(read(first, second)).to.equal('SP_BUNDLE_KEYS');
    expect(read(second, first, last)).to.equal('SP_BUNDLE_KEYS');
    expect(read(first, second, last, last)).to.equal('SP_BUNDLE_KEYS');
    expect(read()).to.equal('SP_BUNDLE_SIGNATURE');
    expect(read(first, 'x')).to.equal('SP_BUNDLE_KEYS');
    const moved = codeOf(() => acceptKeyLists(lines.join('\n'), { ...context, cluster: 'cluster-2' }));
    expect(moved).to.equal('SP_BUNDLE_FOREIGN');
  });
});
