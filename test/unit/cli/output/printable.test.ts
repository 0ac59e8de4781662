import { expect } from 'chai';
import { printable, requestText } from '../../../../src/cli/output/printable.ts';

describe('requestText', () => {
  it('shortens a long target', () => {
    expect(requestText({ method: 'GET', target: `/${'a'.repeat(300)}` })).to.equal(`GET /${'a'.repeat(199)}…`);
  });

  it('redacts tokens', () => {
    expect(requestText({ method: 'GET', target: '/?access_token=abc' })).to.equal('GET /?access_token=…');
  });

  it('replaces control characters', () => {
    expect(requestText({ method: 'GET', target: '/\u001b[31m' })).to.equal('GET /?[31m');
  });
});

describe('printable', () => {
  it('replaces C0 and C1 control characters and keeps other characters', () => {
    expect(printable('a\u0000\n\u007f\u009fé日')).to.equal('a????é日');
  });
});
