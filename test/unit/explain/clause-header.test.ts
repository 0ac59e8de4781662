import { expect } from 'chai';
import { clauseHeader } from '../../../src/explain/clause-header.ts';

describe('the header of a clause', () => {
  it('is the name between the brackets at the end', () => {
    expect(clauseHeader('when[0].request.headers[X-Team]')).to.equal('x-team');
    expect(clauseHeader('request.headers[]')).to.equal('');
    expect(clauseHeader('request.headers[a[b]')).to.equal('a[b');
  });

  it('is undefined when the clause is about something else', () => {
    expect(clauseHeader('request.headers[a].x')).to.equal(undefined);
    expect(clauseHeader('request.headers[a]b]')).to.equal(undefined);
    expect(clauseHeader('request.auth.claims[a]')).to.equal(undefined);
    expect(clauseHeader(']')).to.equal(undefined);
    expect(clauseHeader('')).to.equal(undefined);
  });
});
