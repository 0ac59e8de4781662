import { expect } from 'chai';
import { KnownTokens } from '../../../src/jwt/known-tokens.ts';
import { TokenCache } from '../../../src/jwt/token-cache.ts';
import { VERIFICATION_FAILS } from '../../../src/jwt/token-fault.ts';
import { TokenRecord, type VerifiedToken } from '../../../src/jwt/token-record.ts';
import { ISSUER, unsigned } from './tokens.ts';

const TEXT = unsigned({ iss: ISSUER });

function open(cache = new TokenCache()): KnownTokens {
  return new KnownTokens(cache.open(1), () => {});
}

describe('known tokens', () => {
  it('parse a token once for each request', () => {
    const known = open();
    const record = known.find(TEXT);

    expect(record).to.be.instanceOf(TokenRecord);
    expect(known.find(TEXT)).to.equal(record);
    known.end();
    expect(known.find(TEXT)).not.to.equal(record);
  });

  it('find malformed tokens malformed, and keep nothing of them', () => {
    const known = open();

    expect(known.find('junk')).to.be.a('string');
    expect(known.has('junk')).to.equal(false);
    known.end();
    expect(known.find('junk')).to.be.a('string');
  });

  it('keep the record of an examined token over requests, without the parsed token', () => {
    const known = open();
    const record = known.find(TEXT) as TokenRecord;
    const parsed = record.parsed();
    known.keep(record, 0, VERIFICATION_FAILS, 0);
    known.end();

    expect(known.has(TEXT)).to.equal(true);
    expect(known.find(TEXT)).to.equal(record);
    expect(record.resultOf(0)).to.equal(VERIFICATION_FAILS);
    expect(record.resultOf(1)).to.equal(undefined);
    expect(record.parsed()).not.to.equal(parsed);
  });

  it('look at the cache again after the end of a request', () => {
    const known = open();
    const record = known.find(TEXT) as TokenRecord;
    known.keep(record, 0, VERIFICATION_FAILS, 0);
    known.end();
    expect(known.has(TEXT)).to.equal(true);
    known.end();
    known.release();

    expect(known.find(TEXT)).not.to.equal(record);
    expect(known.has(TEXT)).to.equal(false);
  });

  it('move a token that one rule refused to the tokens of the rule that accepts it', () => {
    const known = new KnownTokens(new TokenCache().open(2), () => {});
    const record = known.find(TEXT) as TokenRecord;
    known.keep(record, 0, VERIFICATION_FAILS, 0);
    const refused = record.pool;
    known.keep(record, 1, {} as VerifiedToken, 0);

    expect(record.pool).not.to.equal(refused).and.not.equal(undefined);
    expect([refused?.size, record.pool?.size]).to.deep.equal([0, 1]);
    expect(known.has(TEXT)).to.equal(true);
  });

  it('leave a token where it is when another rule refuses it', () => {
    const known = new KnownTokens(new TokenCache().open(2), () => {});
    const record = known.find(TEXT) as TokenRecord;
    known.keep(record, 1, {} as VerifiedToken, 0);
    const { pool } = record;
    known.keep(record, 0, VERIFICATION_FAILS, 0);

    expect(record.pool).to.equal(pool).and.not.equal(undefined);
  });

  it('count the memory of a record and of its results', () => {
    const cache = new TokenCache();
    const known = open(cache);
    const record = known.find(TEXT) as TokenRecord;
    expect(record.bytes).to.be.above(TEXT.length);
    const empty = record.bytes;
    known.keep(record, 0, VERIFICATION_FAILS, 1000);

    expect(record.bytes).to.be.above(empty + 1000);
    expect(cache.bytes).to.equal(record.bytes);
  });
});
