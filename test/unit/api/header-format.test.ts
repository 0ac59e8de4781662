import { expect } from 'chai';
import { formatProblem, HEADER_FORMAT, parseHeaderFormat } from '../../../src/api/header-format.ts';

describe('header formats', () => {
  // Envoy 1.40 refuses to start with each of these, except for operators that it knows and agents do not.
  for (const [format, operator] of [
    ['%REQ()%', '%REQ()%'],
    ['%REQ%', '%REQ%'],
    ['x%REQ(x-a', '%REQ(x-a'],
    ['100%', '%'],
    ['%req(x-b)%', '%req(x-b)%'],
    ['%REQ(a?b?c)%', '%REQ(a?b?c)%'],
    ['%REQ(x-b):%', '%REQ(x-b):%'],
    ['%REQ(x-b):-1%', '%REQ(x-b):-1%'],
    ['%REQ(x b)%', '%REQ(x b)%'],
    ['%PROTOCOL:3%', '%PROTOCOL:3%'],
    ['%%%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:3%', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:3%'],
    ['a %REQ(x-b)% %FOO%', '%FOO%'],
    ['%START_TIME%', '%START_TIME%'],
    ['%DOWNSTREAM_REMOTE_ADDRESS%', '%DOWNSTREAM_REMOTE_ADDRESS%'],
    ['%REQ(x-b):1000000000000000000000%', '%REQ(x-b):1000000000000000000000%'],
  ] as const) {
    it(`are refused with the operator that is not supported: ${format}`, () => {
      expect(HEADER_FORMAT.test(format)).to.equal(false);
      expect(formatProblem(format)).to.match(new RegExp(`^"${operator.replaceAll(/[()?]/g, '\\$&')}" is not supported`));
      expect(() => parseHeaderFormat(format)).to.throw(TypeError, operator);
    });
  }

  it('are refused with control characters', () => {
    expect(HEADER_FORMAT.test('a\r\nb: c')).to.equal(false);
    expect(() => parseHeaderFormat('a\r\nb: c')).to.throw(TypeError, 'control characters');
  });

  for (const format of ['', 'plain text', 'a\tb', '%%', '%REQ(:path)%', '%REQ(x-a?:authority):12%', 'ü %PROTOCOL%']) {
    it(`are accepted: ${JSON.stringify(format)}`, () => {
      expect(HEADER_FORMAT.test(format)).to.equal(true);
      const context = { header: () => undefined, protocol: 'HTTP/2', remoteAddress: '::1' };
      expect(() => parseHeaderFormat(format)(context)).not.to.throw();
    });
  }
});
