import { expect } from 'chai';
import { writeReply } from '../../../../src/agent/http1/write-response.ts';

describe('writeReply', () => {
  const options = { isHead: false, close: false, date: 'now' };
  const reply = (body: string): string => writeReply({ status: 403, body, headers: ['content-type', 'text/plain'] }, options);
  const head = (length: number): string =>
    `HTTP/1.1 403 Forbidden\r\ncontent-length: ${length}\r\ncontent-type: text/plain\r\ndate: now\r\nserver: istio-envoy\r\n\r\n`;

  it('writes a body in UTF-8, and its length in bytes', () => {
    expect(reply('denied')).to.equal(`${head(6)}denied`);
    for (const body of ['verweigert: ä', 'é', '€ and ASCII', '\u{1f512}', '\ud800']) {
      const bytes = Buffer.from(body);
      expect(reply(body)).to.equal(head(bytes.length) + bytes.toString('latin1'));
    }
  });

  it('writes the length of a body that it leaves out', () => {
    expect(writeReply({ status: 403, body: 'é', headers: ['content-type', 'text/plain'] }, { ...options, isHead: true })).to.equal(head(2));
  });
});
