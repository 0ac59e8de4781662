import { expect } from 'chai';
import {
  areValidHeaders,
  BODY_TOO_LARGE,
  denyResponse,
  errorResponse,
  failureResponse,
  INVALID_RESPONSE,
} from '../../../../src/agent/ext-authz/check-responses.ts';
import type { ExtensionProvider } from '../../../../src/api/mesh-config.ts';

const PROVIDER: ExtensionProvider = {
  name: 'p',
  protocol: 'http',
  service: 's',
  port: 1,
  timeoutMs: 1,
  failOpen: false,
  statusOnError: 403,
};
const text = (body: string): Buffer => Buffer.from(body);

describe('responses of checks', () => {
  it('deny when the server cannot be reached, with the status of the provider, the default 403 included', () => {
    for (const statusOnError of [403, 500, 503]) {
      expect(failureResponse({ ...PROVIDER, statusOnError })).to.deep.include({ kind: 'reply', status: statusOnError, body: '' });
      expect(errorResponse({ ...PROVIDER, statusOnError })).to.deep.include({
        kind: 'reply',
        status: statusOnError,
        details: 'ext_authz_error',
      });
    }
  });

  it('allow when the server cannot be reached and the provider fails open, but never after an error', () => {
    expect(failureResponse({ ...PROVIDER, failOpen: true })).to.deep.equal({ kind: 'allow', setHeaders: [], removeHeaders: [] });
    expect(errorResponse({ ...PROVIDER, failOpen: true })).to.include({ kind: 'reply', status: 403 });
  });

  it('deny what the server makes invalid, and a body that is too large', () => {
    expect(INVALID_RESPONSE).to.include({ kind: 'reply', status: 500, details: 'ext_authz_invalid' });
    expect(BODY_TOO_LARGE).to.include({ kind: 'reply', status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' });
  });

  it('have valid headers when every name is a token and every value one line', () => {
    for (const headers of [[], ['x', ''], ['x', 'a b\t\x80'], ['x', '1', 'y', '2']])
      expect(areValidHeaders(headers), headers.join()).to.equal(true);
    for (const headers of [
      ['', 'a'],
      ['x y', 'a'],
      ['x:', 'a'],
      ['x', 'a\r\ny: b'],
      ['x', 'a\n'],
      ['x', '\0'],
      ['y', '1', 'x y', '2'],
      ['y', '1', 'x', '\r'],
    ])
      expect(areValidHeaders(headers), JSON.stringify(headers)).to.equal(false);
  });

  for (const [status, used] of [
    [100, 403],
    [199, 403],
    [200, 200],
    [302, 302],
    [599, 599],
    [600, 403],
    [0, 403],
  ] as const) {
    it(`deny with ${used} for the status ${status}`, () => {
      expect(denyResponse(status, text('no'), [])).to.include({ kind: 'reply', status: used, body: 'no', details: 'ext_authz_denied' });
    });
  }

  it('deny without a content type when there is no body, or none is allowed', () => {
    const headers = ['content-type', 'text/html', 'location', '/'];

    expect(denyResponse(403, text(''), headers)).to.deep.include({ body: '', headers: ['location', '/'] });
    for (const status of [204, 304])
      expect(denyResponse(status, text('x'), headers)).to.deep.include({ status, body: '', headers: ['location', '/'] });
    expect(denyResponse(403, text('x'), headers)).to.deep.include({ body: 'x', headers });
  });

  it('keep the bytes of a body that is not UTF-8, and only of that', () => {
    expect(denyResponse(403, Buffer.from([0xff]), [])).to.deep.include({ bytes: Buffer.from([0xff]) });
    expect(denyResponse(403, text('é'), [])).to.not.have.property('bytes');
  });
});
