import { expect } from 'chai';
import { addHeader, copyHeaders, joinCookies } from '../../../../src/http/normalize/copy-headers.ts';

describe('addHeader', () => {
  it('adds an instance when the header is not inline', () => {
    const headers = ['x-a', '1'];
    addHeader(headers, 'x-a', '2');
    addHeader(headers, 'x-b', '3');

    expect(headers).to.deep.equal(['x-a', '1', 'x-a', '2', 'x-b', '3']);
  });

  it('joins the value to an inline header, and adds the header when absent', () => {
    const headers = ['accept', 'a'];
    addHeader(headers, 'accept', 'b');
    addHeader(headers, 'authorization', 'c');

    expect(headers).to.deep.equal(['accept', 'a,b', 'authorization', 'c']);
  });

  it('joins the value to an inline header that clients may not send', () => {
    const headers = ['x-envoy-internal', 'a', 'x-envoy-decorator-operation', 'b'];
    addHeader(headers, 'x-envoy-internal', 'c');
    addHeader(headers, 'x-envoy-decorator-operation', 'd');

    expect(headers).to.deep.equal(['x-envoy-internal', 'a,c', 'x-envoy-decorator-operation', 'b,d']);
  });
});

describe('copyHeaders', () => {
  for (const name of ['x-envoy-decorator-operation', 'X-Envoy-Internal', 'x-envoy-RETRY-on', 'x-envoy-original-url', 'Transfer-Encoding']) {
    it(`drops ${name}, which clients may not set`, () => {
      expect(copyHeaders([name, 'a', 'X-A', '1', name, '']).headers).to.deep.equal(['x-a', '1']);
    });
  }
});

describe('joinCookies', () => {
  it('makes one header of several, at the end, and none when all are empty', () => {
    const headers = ['cookie', '', 'x-a', '1', 'cookie', 'a=1', 'cookie', 'b=2'];
    joinCookies(headers);
    const empty = ['cookie', '', 'x-a', '1'];
    joinCookies(empty);

    expect(headers).to.deep.equal(['x-a', '1', 'cookie', 'a=1; b=2']);
    expect(empty).to.deep.equal(['x-a', '1']);
  });
});
