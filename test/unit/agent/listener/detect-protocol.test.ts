/* What first bytes say about the protocol, whole and one byte after the other. */
import { expect } from 'chai';
import { detectProtocol } from '../../../../src/agent/listener/detect-protocol.ts';

const MAX = 64;

/** The first decision when the bytes arrive one by one. */
function oneByOne(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  for (let length = 1; length <= bytes.length; length += 1) {
    const found = detectProtocol(bytes.subarray(0, length), MAX);
    if (found !== 'more') return found;
  }
  return 'more';
}

describe('detectProtocol', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['GET / HTTP/1.1\r\n', 'http'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http'],
    ['OPTIONS * HTTP/1.1\r\n', 'http'],
    ['GET http://a/ HTTP/1.1\r\n', 'http'],
    ['CONNECT a:80 HTTP/1.1\r\n', 'http'],
    ['get / http/1.1\r\n', 'http'],
    ['FOO /x\r\n', 'http'],
    ['GET /\n', 'http'],
    ['FOO bar HTTP/1.1\n', 'http'],
    ['\r\n\r\nGET / HTTP/1.1\r\n', 'http'],
    [' \tGET\t/ HTTP/1.1\r\n', 'http'],
    ['GET\x1f/ HTTP/1.1\r\n', 'http'],
    ['GET\r/ HTTP/1.1\n', 'http'],
    ['GET\xa0\x85/ HTTP/1.1\r\n', 'http'],
    [`GET ${'x'.repeat(100)}`, 'http'],
    ['GET k\r\n', 'tcp'],
    ['PING\r\n', 'tcp'],
    ['*1\r\n$4\r\nPING\r\n', 'tcp'],
    ['CONNECT {"verbose":false}\r\n', 'tcp'],
    ['EHLO a.example\r\n', 'tcp'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'tcp'],
    ['\x16\x03\x01\x02\x00\x01', 'tcp'],
    ['\0\0\0\x08\x04\xd2\x16\x2f', 'tcp'],
    // Kafka's ApiVersions, AMQP, SMB, MongoDB, LDAP.
    ['\0\0\0\x23\0\x12\0\x04\0\0\0\0\0\x08', 'tcp'],
    ['AMQP\0\0\x09\x01', 'tcp'],
    ['\0\0\0\xa4\xffSMB', 'tcp'],
    ['\x3a\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0', 'tcp'],
    ['0\x0c\x02\x01\x01`\x07', 'tcp'],
    ['0 \x02\x01\x01`\x1b', 'tcp'],
    ['0\x0c/admin HTTP/1.1\r\n', 'http'],
    ['G\x0c\x02/../admin HTTP/1.1\r\n', 'http'],
    ['{"method":"x"}\n', 'tcp'],
    ["<stream:stream to='a'>", 'tcp'],
    ['x'.repeat(100), 'tcp'],
    ['\r\n'.repeat(50), 'tcp'],
    ['', 'more'],
    ['G', 'more'],
    ['GET ', 'more'],
    ['GET x', 'more'],
    ['\r\n', 'more'],
  ];
  for (const [text, expected] of rows) {
    it(`takes ${JSON.stringify(text.slice(0, 40))} for ${expected}`, () => {
      expect(detectProtocol(Buffer.from(text, 'latin1'), MAX)).to.equal(expected);
      expect(oneByOne(text)).to.equal(expected);
    });
  }
});
