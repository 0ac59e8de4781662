import { expect } from 'chai';
import {
  isCoordinate,
  type JwsType,
  parseJws,
  privateKeyOf,
  publicKeyOf,
  requireSignature,
  signJws,
  thumbprint,
} from '../../../src/bundle/jws.ts';
import { RefusedError } from '../../../src/errors.ts';
import { mintKeys } from '../../../src/keys/signing-keys.ts';

const { root } = mintKeys('c', 0);
const KEY = privateKeyOf(root);
const TYPE: JwsType = 'sallyport-keys';
const MAX_CHARACTERS = 8 * 1024;
const base64 = (text: string): string => Buffer.from(text).toString('base64url');

describe('a JWS', () => {
  it('is read as it was signed', () => {
    const jws = signJws(TYPE, { b: 1, a: ['é'] }, KEY);
    const parsed = parseJws(TYPE, jws);

    expect(parsed).to.deep.include({ kid: thumbprint(root.x), payload: { a: ['é'], b: 1 }, signed: jws.slice(0, jws.lastIndexOf('.')) });
    if (parsed !== undefined) requireSignature(parsed, publicKeyOf(root.x), 'the test');
  });

  it('is read up to 8,192 characters', () => {
    const length = (bytes: number): number => signJws(TYPE, { a: 'x'.repeat(bytes) }, KEY).length;
    // Three bytes of the payload are four characters.
    const bytes = Math.floor((MAX_CHARACTERS - length(0)) * 0.75);
    const fitting = [bytes - 1, bytes, bytes + 1].find((count) => length(count) === MAX_CHARACTERS) ?? 0;

    expect(length(fitting)).to.equal(MAX_CHARACTERS);
    expect(parseJws(TYPE, signJws(TYPE, { a: 'x'.repeat(fitting) }, KEY))).not.to.equal(undefined);
    expect(parseJws(TYPE, signJws(TYPE, { a: 'x'.repeat(fitting + 1) }, KEY))).to.equal(undefined);
  });

  it('is no JWS of another type', () => {
    expect(parseJws('sallyport-statement', signJws(TYPE, {}, KEY))).to.equal(undefined);
  });

  const [header = '', payload = '', signature = ''] = signJws(TYPE, { a: 1 }, KEY).split('.');
  for (const [what, text] of [
    ['nothing', ''],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${header}.${payload}.${signature}.`],
    ['no header', `.${payload}.${signature}`],
    ['no payload', `${header}..${signature}`],
    ['no signature', `${header}.${payload}.`],
    ['a short signature', `${header}.${payload}.${signature.slice(0, -2)}`],
    ['a long signature', `${header}.${payload}.${signature}AA`],
    ['padding', `${header}.${payload}.${signature}==`],
    ['bits after the signature', `${header}.${payload}.${signature.slice(0, -1)}${signature.endsWith('w') ? 'x' : 'B'}`],
    ['a payload that is no JSON', `${header}.${base64('{')}.${signature}`],
    ['a payload with whitespace', `${header}.${base64('{"a": 1}')}.${signature}`],
    ['a payload in another order', `${header}.${base64('{"b":1,"a":1}')}.${signature}`],
    ['a payload with another form of a number', `${header}.${base64('{"a":1.0}')}.${signature}`],
    ['another algorithm', `${base64(Buffer.from(header, 'base64url').toString().replace('EdDSA', 'Ed448'))}.${payload}.${signature}`],
    ['a longer header', `${base64(`${Buffer.from(header, 'base64url').toString()} `)}.${payload}.${signature}`],
  ] as const) {
    it(`is refused with ${what}`, () => {
      expect(parseJws(TYPE, text)).to.equal(undefined);
    });
  }

  it('is refused with the signature of another key or of other content', () => {
    const parsed = parseJws(TYPE, `${header}.${payload}.${signature}`);
    const other = parseJws(TYPE, `${header}.${base64('{"a":2}')}.${signature}`);
    if (parsed === undefined || other === undefined) throw new Error('not a JWS');

    expect(() => requireSignature(parsed, publicKeyOf(mintKeys('c', 0).root.x), 'the test')).to.throw(
      RefusedError,
      'the signature of the test is wrong',
    );
    expect(() => requireSignature(other, publicKeyOf(root.x), 'the test')).to.throw(RefusedError);
  });
});

describe('a public key in base64url', () => {
  it('has 32 bytes in canonical form', () => {
    const last = root.x.at(-1) ?? '';
    // The last character has two bits that are not part of the key.
    const alternative = String.fromCharCode(last.charCodeAt(0) + 1);

    expect(isCoordinate(root.x)).to.equal(true);
    expect(isCoordinate(`${root.x.slice(0, -1)}${alternative}`)).to.equal(false);
    for (const x of ['', root.x.slice(1), `${root.x}A`, `+${root.x.slice(1)}`, `${root.x}=`, 1, null, undefined, [root.x]])
      expect(isCoordinate(x), String(x)).to.equal(false);
  });

  it('has the thumbprint of RFC 8037, appendix A.3', () => {
    expect(thumbprint('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo')).to.equal('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });
});
