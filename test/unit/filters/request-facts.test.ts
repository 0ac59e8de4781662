import { expect } from 'chai';
import { connectionFacts, factsOf, pathOf } from '../../../src/filters/request-facts.ts';
import { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import { createTokenNotes } from '../../../src/policy/token-notes.ts';
import { CONNECTION } from './chains.ts';

function request(headers: readonly string[] = [], changes: Partial<PreparedRequest> = {}): PreparedRequest {
  return Object.assign(new PreparedRequest('POST', [...headers]), {
    target: '/a?b=1#c',
    host: 'app.foo:8000',
    remoteIp: '192.0.2.7',
    ...changes,
  });
}

describe('the facts of a request', () => {
  it('are those of the normalized request and of its connection', () => {
    const facts = factsOf(request(['x-a', '1', 'x-b', '2', 'x-a', '3']), CONNECTION);

    expect(facts).to.include({
      connection: CONNECTION,
      method: 'POST',
      host: 'app.foo:8000',
      pathWithQuery: '/a?b=1#c',
      path: '/a',
      remoteIp: '192.0.2.7',
    });
    expect(facts.headerValues('x-a')).to.deep.equal(['1', '3']);
    expect(facts.headerValues('x-c')).to.deep.equal([]);
    expect(facts.headerList).to.deep.equal(['x-a', '1', 'x-b', '2', 'x-a', '3']);
  });

  it('follow the changes of the filters before', () => {
    const prepared = request(['x-a', '1']);
    const facts = factsOf(prepared, CONNECTION);
    prepared.appendHeader('x-b', '2');

    expect(facts.headerValues('x-b')).to.deep.equal(['2']);
  });

  it('have the claims of a verified token with its notes, and neither without a token', () => {
    const claims = { sub: 'me' };
    const notes = createTokenNotes(claims);
    const verified = factsOf(request(), CONNECTION, claims, notes);

    expect(verified.claims).to.equal(claims);
    expect(verified.notes).to.equal(notes);
    expect(factsOf(request(), CONNECTION)).to.include({ claims: undefined, notes: undefined });
  });

  it('have the host that a token set when Host was removed, and no host otherwise', () => {
    const removed = (...headers: readonly string[]): PreparedRequest => {
      const prepared = request(headers);
      prepared.removePseudoHeader(':authority');
      return prepared;
    };

    expect(factsOf(removed('host', 'set'), CONNECTION).host).to.equal('set');
    expect(factsOf(removed(':authority', 'set'), CONNECTION).host).to.equal('set');
    expect(factsOf(removed(), CONNECTION).host).to.equal(undefined);
  });

  it('keep the host when another pseudo header was removed', () => {
    const prepared = request();
    prepared.removePseudoHeader(':path');

    expect(factsOf(prepared, CONNECTION).host).to.equal('app.foo:8000');
  });

  for (const [target, path] of [
    ['/a', '/a'],
    ['/a?b', '/a'],
    ['/a#b', '/a'],
    ['/a?b#c', '/a'],
    ['/a#b?c', '/a'],
    ['?b', ''],
    ['#b', ''],
    ['', ''],
  ] as const) {
    it(`have the path "${path}" of the target "${target}"`, () => {
      expect(pathOf(target)).to.equal(path);
    });
  }
});

describe('the facts of a TCP connection', () => {
  it('are the address of the peer, and nothing of HTTP', () => {
    const connection = connectionFacts(CONNECTION);
    const facts = Object.fromEntries(Object.entries(connection).filter(([name]) => name !== 'headerValues'));

    expect(facts).to.deep.equal({
      connection: CONNECTION,
      method: '',
      host: '',
      pathWithQuery: '',
      path: '',
      remoteIp: CONNECTION.sourceIp,
      headerList: [],
    });
    expect(connection.headerValues('host')).to.deep.equal([]);
  });
});
