/*
 * The working copy of a request, and the facts that are read from it.
 */
import { expect } from 'chai';
import { connectionFacts, factsOf, pathOf } from '../../../../src/filters/request-facts.ts';
import { PreparedRequest } from '../../../../src/http/normalize/prepared-request.ts';
import type { ConnectionFacts } from '../../../../src/policy/facts.ts';

const CONNECTION: ConnectionFacts = { sourceIp: '10.0.0.9', destinationIp: '10.1.1.1', destinationPort: 8080, sni: '', tls: false };

function request(): PreparedRequest {
  const made = new PreparedRequest('GET', ['x-a', '1', 'x-b', '2', 'x-a', '3', 'x-a', '4', 'x-c', '']);
  made.host = 'h:1';
  made.target = '/p?q';
  made.scheme = 'http';
  made.remoteIp = '1.2.3.4';
  return made;
}

describe('a prepared request', () => {
  const values: readonly (readonly [string, readonly string[]])[] = [
    ['x-a', ['1', '3', '4']],
    ['x-b', ['2']],
    ['x-c', ['']],
    ['x-d', []],
    [':path', ['/p?q']],
    [':method', ['GET']],
    [':authority', ['h:1']],
    ['host', ['h:1']],
    [':scheme', ['http']],
    [':status', []],
  ];
  for (const [name, wanted] of values) {
    it(`returns ${JSON.stringify(wanted)} for ${name}`, () => {
      expect(request().headerValues(name)).to.deep.equal(wanted);
    });
  }

  it('has no value for a pseudo header that was removed, and no host', () => {
    const made = request();
    made.removePseudoHeader('host');
    made.removePseudoHeader(':path');

    expect([':authority', 'host', ':path', ':method'].map((name) => made.headerValues(name))).to.deep.equal([[], [], [], ['GET']]);
    expect(factsOf(made, CONNECTION)).to.include({ host: undefined, path: '', method: 'GET' });
  });

  it('returns the first instance of a header', () => {
    expect(request().header('x-a')).to.equal('1');
    expect(request().header('host')).to.equal(undefined);
  });

  it('removes every instance and appends at the end', () => {
    const edited = request();
    edited.removeHeader('x-a');
    edited.appendHeader('x-d', '5');
    expect(edited.headers).to.deep.equal(['x-b', '2', 'x-c', '', 'x-d', '5']);
  });

  it('is what policies see, before and after an edit', () => {
    const edited = request();
    const claims = { iss: 'i' };
    const facts = factsOf(edited, CONNECTION, claims);
    edited.appendHeader('x-d', '5');
    expect(facts).to.include({ method: 'GET', host: 'h:1', path: '/p', pathWithQuery: '/p?q', remoteIp: '1.2.3.4', claims });
    expect(facts.headerValues('x-d')).to.deep.equal(['5']);
    expect(factsOf(edited, CONNECTION).claims).to.equal(undefined);
  });

  it('gives a path up to the first ? or #', () => {
    expect(['/a', '/a?b#c', '/a#b?c', '?', ''].map(pathOf)).to.deep.equal(['/a', '/a', '/a', '', '']);
  });

  it('has no values of HTTP for a connection', () => {
    const facts = connectionFacts(CONNECTION);
    expect(facts).to.include({ remoteIp: '10.0.0.9', path: '', host: '', method: '', pathWithQuery: '' });
    expect(facts.headerValues('host')).to.deep.equal([]);
  });
});
