import { expect } from 'chai';
import { type CheckResponseMessage, checkResponseOf } from '../../../../src/agent/ext-authz/grpc-check-response.ts';

const option = (key: string, value: string, over: object = {}) => ({ header: { key, value }, ...over });
const ok = (response: NonNullable<CheckResponseMessage['ok_response']>) => checkResponseOf({ ok_response: response });
const denied = (response: NonNullable<CheckResponseMessage['denied_response']>, code = 7) =>
  checkResponseOf({ status: { code }, denied_response: response });
const INVALID = { kind: 'reply', status: 500, details: 'ext_authz_invalid' };
const NOTHING = {
  kind: 'allow',
  setHeaders: [],
  removeHeaders: [],
  appendHeaders: [],
  setQuery: [],
  removeQuery: [],
  downstreamHeaders: [],
};

describe('the response of a gRPC check', () => {
  it('allows with status 0, also when it is absent, and with no other', () => {
    const allowed = { kind: 'allow', setHeaders: [], removeHeaders: [] };

    expect(checkResponseOf({})).to.deep.equal(allowed);
    expect(checkResponseOf({ status: {} })).to.deep.equal(allowed);
    expect(checkResponseOf({ status: { code: 0 } })).to.deep.equal(allowed);
    for (const code of [1, 7, 16, -1]) expect(checkResponseOf({ status: { code } }), `${code}`).to.include({ kind: 'reply', status: 403 });
    expect(checkResponseOf({ status: { code: 7 }, ok_response: {} })).to.include({ kind: 'reply', status: 403 });
    expect(checkResponseOf({ denied_response: { status: { code: 401 } } })).to.deep.equal(allowed);
  });

  it('denies with status, headers and body of the server, but not with headers that only the agent writes', () => {
    const headers = [option('X-Why', 'so'), option('Content-Length', '9'), option(':status', '200')];

    expect(denied({ status: { code: 401 }, headers, body: 'no' })).to.deep.include({ status: 401, headers: ['x-why', 'so'], body: 'no' });
    expect(denied({ status: { code: 0 } })).to.include({ status: 403 });
    expect(denied({})).to.deep.include({ status: 403, headers: [], body: '' });
    expect(denied({ headers: [option('x', 'a\r\nb: c')] })).to.include(INVALID);
    expect(denied({ headers: [option('x y', 'a')] })).to.include(INVALID);
  });

  it('sets and appends headers of the request by append, and leaves out pseudo headers', () => {
    const headers = [
      option('X-Set', '1'),
      option('x-append', '2', { append: { value: true } }),
      option('x-again', '3', { append: { value: false } }),
      option('x-empty', '4', { append: {} }),
      option(':path', '/'),
      option(':method', 'GET', { append: { value: true } }),
    ];

    expect(ok({ headers })).to.deep.equal({
      ...NOTHING,
      setHeaders: ['x-set', '1', 'x-again', '3', 'x-empty', '4'],
      appendHeaders: ['x-append', '2'],
    });
  });

  it('removes headers by their lower-case names, and changes the query', () => {
    expect(
      ok({
        headers_to_remove: ['X-A'],
        query_parameters_to_set: [{ key: 'é', value: 'b' }, { key: 'c' }, { value: 'd' }],
        query_parameters_to_remove: ['ü'],
      }),
    ).to.deep.equal({ ...NOTHING, removeHeaders: ['x-a'], setQuery: ['\xc3\xa9', 'b', 'c', '', '', 'd'], removeQuery: ['\xc3\xbc'] });
  });

  for (const part of ['a b', 'a\r\nb', 'a#b', '\0', '\x7f']) {
    it(`denies when it sets the query parameter ${JSON.stringify(part)}`, () => {
      expect(ok({ query_parameters_to_set: [{ key: part, value: 'v' }] })).to.include(INVALID);
      expect(ok({ query_parameters_to_set: [{ key: 'k', value: part }] })).to.include(INVALID);
    });
  }

  it('denies when any header is invalid', () => {
    const bad = option('x', 'a\nb');

    expect(ok({ headers: [bad] })).to.include(INVALID);
    expect(ok({ headers: [{ ...bad, append: { value: true } }] })).to.include(INVALID);
    expect(ok({ response_headers_to_add: [bad] })).to.include(INVALID);
    expect(ok({ headers: [option('', 'a')] })).to.include(INVALID);
    expect(ok({ headers: [{}] })).to.include(INVALID);
  });

  it('changes the response kind by kind, as append or else the action says', () => {
    const added = [
      option('a', '1', { append_action: 3 }),
      option('b', '2', { append_action: 1 }),
      option('c', '3', { append_action: 2 }),
      option('d', '4'),
      option('e', '5', { append: { value: true }, append_action: 2 }),
      option('f', '6', { append: { value: false } }),
      option('g', '7', { append_action: 9 }),
      option('connection', 'close'),
    ];

    const response = ok({ response_headers_to_add: added });
    expect(response.kind === 'allow' ? response.downstreamHeaders : []).to.deep.equal([
      { how: 'add', name: 'd', value: '4' },
      { how: 'add', name: 'e', value: '5' },
      { how: 'set', name: 'c', value: '3' },
      { how: 'set', name: 'f', value: '6' },
      { how: 'set', name: 'g', value: '7' },
      { how: 'add-if-absent', name: 'b', value: '2' },
      { how: 'set-if-present', name: 'a', value: '1' },
    ]);
  });

  it('takes the raw value when there is no other, byte by byte', () => {
    const raw = Uint8Array.of(0xff, 0x41);

    expect(ok({ headers: [{ header: { key: 'x', raw_value: raw } }] })).to.deep.include({ setHeaders: ['x', '\xffA'] });
    expect(ok({ headers: [{ header: { key: 'x', value: 'é', raw_value: raw } }] })).to.deep.include({ setHeaders: ['x', '\xc3\xa9'] });
  });
});
