/* Values that no request can have, or that match more than they seem to; each with similar values that are fine. */
import { expect } from 'chai';
import { METHODS } from '../../../src/http/methods.ts';
import { lintPolicy } from '../../../src/lint/lint-policies.ts';
import { findingsOf, from, ISSUER, lint, ra, to, when } from './policies.ts';

const claim = (name: string): string => `request.auth.claims[${name}]`;
const WHEN = 'spec.rules[0].when[0]';

describe('lint of values', () => {
  for (const name of ['exp', 'iat', 'nbf', 'auth_time', 'updated_at', 'email_verified', 'phone_number_verified']) {
    it(`warns of a condition on ${name}, which is not a string`, () => {
      expect(lint(ra(), when(claim(name), ['true', '42']))).to.deep.equal([`SP_NEVER_MATCHES ${WHEN}.key`]);
    });
  }

  it('reports an info for a quoted boolean, and nothing for other strings and numbers', () => {
    expect(lint(ra(), when(claim('admin'), ['yes', 'true']))).to.deep.equal([`info SP_NEVER_MATCHES ${WHEN}.values[1]`]);
    expect(lint(ra(), when(claim('admin'), ['a'], ['false']))).to.deep.equal([`info SP_NEVER_MATCHES ${WHEN}.notValues[0]`]);
    expect(lint(ra(), when(claim('tenant'), ['42']), when('request.headers[x-admin]', ['true']))).to.deep.equal([]);
    expect(lint(ra(), when(`${claim('a')}[exp]`, ['42']))).to.deep.equal([]);
  });

  it('warns of a method that the HTTP/1 codec does not know, and of no method that it knows', () => {
    expect(lint(to({ methods: ['BREW'] }))).to.deep.equal(['SP_NEVER_MATCHES spec.rules[0].to[0].operation.methods[0]']);
    expect(lint(to({ methods: [...METHODS] }))).to.deep.equal([]);
    expect(METHODS.has('MSEARCH')).to.equal(true);
  });

  it('says of a method that HTTP/2 can carry that it is sent over HTTP/2 only', () => {
    const messages = (method: string): readonly string[] => findingsOf(to({ methods: [method] })).map(({ message }) => message);

    expect(messages('BREW')).to.deep.equal(['"BREW" is sent over HTTP/2 only: it is not a known method']);
    expect(messages('get')).to.deep.equal(['"get" is sent over HTTP/2 only: methods are case-sensitive']);
    expect(messages('GET POST')).to.deep.equal(['"GET POST" never matches: it is not a known method']);
  });

  it('reports severity info, which the webhook does not show', () => {
    expect(lintPolicy(when(claim('admin'), ['true'])).map(({ severity }) => severity)).to.deep.equal(['info']);
  });

  for (const name of ['scope', 'permission']) {
    it(`warns of a value with several words for ${name}, which is split`, () => {
      expect(lint(ra(), when(claim(name), ['a', 'a b']))).to.deep.equal([`SP_NEVER_MATCHES ${WHEN}.values[1]`]);
      expect(lint(ra(), when(claim(name), ['a *', '* b']))).to.have.length(2);
      // A value that consists of spaces is not split.
      expect(lint(ra(), when(claim(name), ['a', '*', 'a*', ' ', ' *']))).to.deep.equal([]);
    });
  }

  it('warns of several words for another claim only when every JWT rule splits it', () => {
    const words = when(claim('scp'), ['a b']);
    const split = { spaceDelimitedClaims: ['scp', 'scope'] };

    expect(lint(ra([split]), words)).to.deep.equal([`SP_NEVER_MATCHES ${WHEN}.values[0]`]);
    expect(lint(ra([split, { issuer: 'https://other' }]), words)).to.deep.equal([]);
    expect(lint(ra([split]), when(claim('scope'), ['a b']))).to.have.length(1);
  });

  it('says of a value in notValues that it excludes nothing', () => {
    const [finding] = findingsOf(ra(), when(claim('scope'), ['a'], ['b c']));

    expect(finding?.path).to.equal(`${WHEN}.notValues[0]`);
    expect(finding?.message).to.include('excludes nothing');
  });

  const SOURCE = 'spec.rules[0].from[0].source';
  for (const field of ['ipBlocks', 'notIpBlocks']) {
    it(`warns of address bits after the prefix in ${field}`, () => {
      const blocks = ['10.0.0.0/8', '10.1.2.3/8', '10.1.2.3', '10.1.2.3/32', '::/0', '2001:db8::1/64', '0.0.0.1/0'];

      expect(lint(from({ [field]: blocks }))).to.deep.equal([1, 5, 6].map((index) => `SP_VALUE ${SOURCE}.${field}[${index}]`));
    });
  }

  for (const field of ['remoteIpBlocks', 'notRemoteIpBlocks']) {
    it(`warns of address bits after the prefix in ${field}`, () => {
      expect(lint(from({ ipBlocks: ['10.0.0.1'], [field]: ['10.1.2.3/8'] }))).to.deep.equal([`SP_VALUE ${SOURCE}.${field}[0]`]);
    });
  }

  for (const key of ['source.ip', 'destination.ip']) {
    it(`warns of address bits after the prefix in ${key}`, () => {
      expect(lint(when(key, ['10.1.2.3/8'], ['10.1.2.3/16', '10.1.0.0/16']))).to.deep.equal([
        `SP_VALUE ${WHEN}.values[0]`,
        `SP_VALUE ${WHEN}.notValues[0]`,
      ]);
    });
  }

  it('reports the block that an address with extra bits matches', () => {
    const [finding] = findingsOf(from({ ipBlocks: ['10.1.2.3/8'] }));

    expect([finding?.message, finding?.hint].join('; ')).to.equal(
      '"10.1.2.3/8" matches all of 10.0.0.0/8: the address bits after the first 8 are ignored; write 10.0.0.0/8, or 10.1.2.3 for the single address',
    );
  });

  it('warns of port 0', () => {
    expect(lint(to({ ports: ['80', '0'] }), to({ notPorts: ['00'] }), when('destination.port', ['0', '81']))).to.deep.equal([
      'SP_NEVER_MATCHES spec.rules[0].to[0].operation.ports[1]',
      'SP_NEVER_MATCHES spec.rules[0].to[0].operation.notPorts[0]',
      `SP_NEVER_MATCHES ${WHEN}.values[0]`,
    ]);
  });

  it('accepts a condition on the issuer', () => {
    expect(lint(ra(), when(claim('iss'), [ISSUER]))).to.deep.equal([]);
  });
});
