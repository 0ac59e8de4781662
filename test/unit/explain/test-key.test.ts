import { expect } from 'chai';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW } from './support.ts';

describe('createTestKey', () => {
  const key = createTestKey();

  it('signs tokens that its key sets verify', () => {
    const token = key.sign({ iss: ISSUER, sub: 'bob' });
    const { verdict } = explainRequest(enforce([jwtPolicy()], key), get('/', bearer(token)), NOW);

    expect(verdict).to.deep.equal({ outcome: 'allow', principal: `${ISSUER}/bob` });
  });

  it('signs exactly the given claims', () => {
    const [, payload = ''] = key.sign({ iss: ISSUER }).split('.');

    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).to.deep.equal({ iss: ISSUER });
  });

  it('signs tokens that another test key does not verify', () => {
    const token = createTestKey().sign({ iss: ISSUER, sub: 'bob' });
    const { verdict } = explainRequest(enforce([jwtPolicy()], key), get('/', bearer(token)), NOW);

    expect(verdict.outcome).to.equal('unauthenticated');
  });

  it('provides a key set for every JWT rule, without the private key', () => {
    const { program, keySets } = enforce([jwtPolicy()], key);

    expect(Object.keys(keySets)).to.deep.equal(program.providers.map(({ keySet }) => keySet));
    for (const { keys } of Object.values(keySets)) for (const one of keys) expect(one).not.to.have.property('d');
  });
});
