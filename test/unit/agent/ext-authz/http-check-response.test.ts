import { expect } from 'chai';
import { compileNames } from '../../../../src/agent/ext-authz/header-patterns.ts';
import { checkResponseOf, type ResponseLists } from '../../../../src/agent/ext-authz/http-check-response.ts';
import { TransientError } from '../../../../src/errors.ts';

const NO_LISTS: ResponseLists = { toUpstream: undefined, toDownstreamOnAllow: undefined, toDownstreamOnDeny: undefined };
const response = (status: number, headers: readonly string[] = [], lists: Partial<ResponseLists> = {}, body = 'no') =>
  checkResponseOf({ status, headers, body: Buffer.from(body) }, { ...NO_LISTS, ...lists });

describe('the response of an HTTP check', () => {
  it('allows with 200 and with no other status', () => {
    expect(response(200)).to.deep.equal({ kind: 'allow', setHeaders: [], removeHeaders: [] });
    for (const status of [100, 199, 201, 204, 299, 301, 400, 401, 403, 404, 429, 499])
      expect(response(status).kind, `${status}`).to.equal('reply');
  });

  it('is a failure from 500 on', () => {
    for (const status of [500, 503, 599]) {
      expect(() => response(status))
        .to.throw(TransientError, `the ext_authz server responded ${status}`)
        .with.property('code', 'SP_AUTHORIZER');
    }
  });

  it('denies, whatever the status, when a header is invalid', () => {
    for (const status of [200, 403])
      expect(response(status, ['x y', '1'])).to.include({ kind: 'reply', status: 500, details: 'ext_authz_invalid' });
  });

  it('sets the listed headers, and removes those that the server names', () => {
    const headers = ['X-User', 'me', 'X-Other', '1', 'X-Envoy-Auth-Headers-To-Remove', ' A , b,,', 'x-envoy-auth-headers-to-remove', 'C'];

    expect(response(200, headers, { toUpstream: compileNames(['x-*']) })).to.deep.equal({
      kind: 'allow',
      setHeaders: ['x-user', 'me', 'x-other', '1'],
      removeHeaders: ['a', 'b', 'c'],
    });
    expect(response(200, headers)).to.deep.equal({ kind: 'allow', setHeaders: [], removeHeaders: ['a', 'b', 'c'] });
  });

  it('adds the listed headers to the response of the application', () => {
    expect(response(200, ['Set-Cookie', 'a', 'X', '1'], { toDownstreamOnAllow: compileNames(['set-cookie']) })).to.deep.equal({
      kind: 'allow',
      setHeaders: [],
      removeHeaders: [],
      downstreamHeaders: [{ how: 'add', name: 'set-cookie', value: 'a' }],
    });
  });

  it('denies with all headers that a response may have, or the listed ones and those that every denial has', () => {
    const headers = ['Location', '/', 'WWW-Authenticate', 'Basic', 'X', '1', 'Y', '2', 'Content-Length', '9', 'Connection', 'close'];

    expect(response(401, headers)).to.deep.include({
      status: 401,
      body: 'no',
      headers: ['location', '/', 'www-authenticate', 'Basic', 'x', '1', 'y', '2'],
    });
    expect(response(401, headers, { toDownstreamOnDeny: compileNames(['x']) })).to.deep.include({
      headers: ['location', '/', 'www-authenticate', 'Basic', 'x', '1'],
    });
  });
});
