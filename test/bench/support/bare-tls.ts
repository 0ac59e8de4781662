/*
 * `node bare-tls.ts PORT CERT KEY CA`: the least that a server of mutual TLS on Node.js does: one response of 200 for each connection.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';

const [port = '', cert = '', key = '', ca = ''] = process.argv.slice(2);
const response = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
const server = createServer(
  {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: readFileSync(ca),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    noDelay: true,
  },
  (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(response));
  },
);
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1');
