/*
 * A key server for the example and the cluster tests: serves the file JWKS_FILE (default: jwks.json next to this file) at
 * /jwks.json, read again for each request so that keys can be rotated, and an OpenID configuration that points to it.
 * Environment: PORT (default 8001), HOST, JWKS_FILE.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const file = process.env.JWKS_FILE ?? new URL('jwks.json', import.meta.url);
const server = createServer((request, response) => void answer(request, response));

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
async function answer(request, response) {
  const authority = request.headers.host ?? 'localhost';
  try {
    if (request.url === '/jwks.json') return send(response, 200, await readFile(file, 'utf8'));
    if (request.url === '/.well-known/openid-configuration') {
      return send(response, 200, JSON.stringify({ issuer: `http://${authority}`, jwks_uri: `http://${authority}/jwks.json` }));
    }
    return send(response, 404, '{}');
  } catch (error) {
    return send(response, 500, JSON.stringify({ error: String(error) }));
  }
}

/** @param {import('node:http').ServerResponse} response @param {number} status @param {string} text */
function send(response, status, text) {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

server.listen(Number(process.env.PORT ?? 8001), process.env.HOST, () => {
  const address = server.address();
  process.stdout.write(`issuer listens on port ${typeof address === 'object' ? address?.port : address}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
