/* Heads of requests over HTTP/2: pseudo-header fields, targets and fields that concern the message. */
import { expect } from 'chai';
import { parseRequestHead } from '../../../../src/agent/http2/request-head.ts';
import { type Field, request } from '../../../support/http2-frames.ts';

const parsed = (fields: readonly Field[], endStream = true): ReturnType<typeof parseRequestHead> =>
  parseRequestHead(fields.flat(), endStream);
const of = (over: Readonly<Record<string, string | undefined>> = {}, ...fields: readonly Field[]): ReturnType<typeof parseRequestHead> =>
  parsed(request(over, ...fields));

describe('parseRequestHead over HTTP/2', () => {
  it('reads a request', () => {
    expect(of({ path: '/a?b' }, ['x-a', '1'], ['grpc-timeout', '1S'], ['x-request-id', 'r'])).to.deep.include({
      version: '2',
      method: 'GET',
      target: '/a?b',
      scheme: 'http',
      authority: 'a.example',
      hasBody: false,
      body: 0,
      lengthGiven: false,
      clientRequestId: 'r',
      grpcTimeout: '1S',
    });
  });

  it('takes the server as a whole for OPTIONS only, and any other path with a slash only', () => {
    expect(of({ method: 'OPTIONS', path: '*' })).to.include({ target: '*' });
    for (const over of [
      { path: '*' },
      { method: 'OPTIONS', path: 'a' },
      { method: 'OPTIONS', path: '**' },
      { path: '' },
      { path: 'http://a/' },
      { path: '/a b' },
      { path: '/\x7f' },
    ])
      expect(of(over), JSON.stringify(over)).to.equal(undefined);
  });

  it('takes CONNECT with an authority alone', () => {
    const method: Field = [':method', 'CONNECT'];
    const authority: Field = [':authority', 'a.example:80'];
    expect(parsed([method, authority])).to.include({ method: 'CONNECT', authority: 'a.example:80' });
    for (const fields of [[method], [method, authority, [':scheme', 'http']], [method, authority, [':path', '/']]] as const)
      expect(parsed(fields)).to.equal(undefined);
  });

  it('makes the GET that asks for an upgrade of an extended CONNECT, as Envoy does', () => {
    const connect = [...request({ method: 'CONNECT', path: '/chat?a' }), [':protocol', 'websocket']] as const;
    const fields: readonly Field[] = [...connect, ['sec-websocket-version', '13'], ['x-request-id', 'mine'], ['grpc-timeout', '1S']];
    for (const endStream of [false, true]) {
      expect(parsed(fields, endStream)).to.deep.equal({
        version: '2',
        method: 'GET',
        target: '/chat?a',
        scheme: 'http',
        authority: 'a.example',
        headers: [...fields.slice(5).flat(), 'upgrade', 'websocket', 'connection', 'upgrade'],
        hasBody: false,
        body: 0,
        lengthGiven: false,
        clientRequestId: 'mine',
        grpcTimeout: '1S',
        expectContinue: false,
        isTunnel: true,
      });
    }
    expect(parsed([...connect, ['content-length', '5']], false)).to.include({ hasBody: true, body: 5 });
    expect(parsed([...connect, ['content-length', 'x']], false)).to.equal(undefined);
  });

  it('refuses each pseudo-header field twice, unknown ones and those behind others', () => {
    for (const name of [':method', ':scheme', ':path', ':authority', ':status', ':protocol', ':'])
      expect(parsed([...request(), [name, name === ':path' ? '/' : 'http']]), name).to.equal(undefined);
    expect(parsed([['x-a', '1'], ...request()])).to.equal(undefined);
  });

  it('compares a length with a body that is not there', () => {
    expect(of({}, ['content-length', '0'])).to.include({ body: 0, lengthGiven: true });
    expect(of({}, ['content-length', '1'])).to.equal(undefined);
    expect(parsed(request({}, ['content-length', '1']), false)).to.include({ body: 1, hasBody: true });
    for (const value of ['', '-1', '12345678901234567'])
      expect(parsed(request({}, ['content-length', value]), false), value).to.equal(undefined);
  });
});
