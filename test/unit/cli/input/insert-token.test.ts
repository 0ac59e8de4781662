import { expect } from 'chai';
import { insertToken, placeToken } from '../../../../src/cli/input/insert-token.ts';

const PLACEHOLDER = '${token}';

describe('insertToken', () => {
  it('returns the request unchanged without a token', () => {
    const spec = { path: `/${PLACEHOLDER}` };

    expect(insertToken(spec, undefined)).to.equal(spec);
  });

  it('adds Authorization: Bearer when there is no placeholder', () => {
    expect(insertToken({ path: '/a', headers: { x: ['b', 'c'] } }, 't')).to.deep.equal({
      path: '/a',
      headers: [
        ['x', 'b'],
        ['x', 'c'],
        ['Authorization', 'Bearer t'],
      ],
    });
  });

  it('replaces every placeholder in the path and in headers', () => {
    const spec = { path: `/?a=${PLACEHOLDER}&b=${PLACEHOLDER}`, headers: { x: `JWT ${PLACEHOLDER}` } };

    expect(insertToken(spec, 't')).to.deep.equal({ path: '/?a=t&b=t', headers: [['x', 'JWT t']] });
  });

  it('inserts a token with $ literally', () => {
    expect(insertToken({ path: `/${PLACEHOLDER}` }, '$&').path).to.equal('/$&');
  });
});

describe('placeToken', () => {
  it('adds a header with its prefix, a query parameter, or a cookie', () => {
    expect(placeToken({}, 't', { kind: 'header', name: 'x-a', prefix: 'JWT ' }).headers).to.deep.equal([['x-a', 'JWT t']]);
    expect(placeToken({ path: '/a?b=c' }, 't', { kind: 'parameter', name: 'my token' }).path).to.equal('/a?b=c&my%20token=t');
    expect(placeToken({}, 't', { kind: 'cookie', name: 'session' }).headers).to.deep.equal([['cookie', 'session=t']]);
  });
});
