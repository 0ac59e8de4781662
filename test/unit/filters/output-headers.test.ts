import { expect } from 'chai';
import { createOutputTest } from '../../../src/filters/output-headers.ts';
import { provider } from '../jwt/tokens.ts';

const writes = (...headers: readonly string[]) =>
  createOutputTest([provider({ claimHeaders: headers.map((header) => ({ header, claim: 'c' })) })]);

describe('the check of output headers', () => {
  for (const value of ['', 'a\tb', ' a', 'm\u00c3\u00a9', '\x80']) {
    it(`accepts the value ${JSON.stringify(value)}`, () => {
      expect(writes('x-a')(['x-a', value])).to.equal(undefined);
    });
  }

  for (const value of ['\0', 'a\x08b', 'a\n', 'a\r\nevil: 1', '\x0b', 'a\x1f', '\x7f']) {
    it(`refuses the value ${JSON.stringify(value)}`, () => {
      expect(writes('x-a')(['x-b', 'b', 'x-a', value])).to.equal('invalid header value for: x-a');
    });
  }

  for (const name of ['x y', 'x:y', 'é', ':path', 'host', 'content-length', 'transfer-encoding', 'connection']) {
    it(`refuses the name ${name}`, () => {
      const payload = createOutputTest([provider({ payloadHeader: name })]);
      expect(payload([name, 'a'])).to.equal(`invalid header name: ${name}`);
      expect(payload(['x-a', 'a'])).to.equal(undefined);
    });
  }

  it('reports the first header that cannot be sent', () => {
    expect(writes('x-a', 'x-b')(['x-b', '\n', 'x-a', '\n'])).to.equal('invalid header value for: x-b');
  });

  it('accepts every header when no rule sets any', () => {
    expect(createOutputTest([provider()])(['', '\n', 'x-a', '\n'])).to.equal(undefined);
  });
});
