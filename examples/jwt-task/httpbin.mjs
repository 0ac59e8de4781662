/*
 * A small workload like httpbin, for the example and the cluster tests, without dependencies, for Node 20 and newer.
 * GET /headers, /ip and /get echo the request; /status/CODE responds with CODE; POST /post echoes the body; other paths get 404.
 * Environment: PORT (default 8000), HOST (default all addresses).
 */
import { createServer } from 'node:http';

const port = Number(process.env.PORT ?? 8000);

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://httpbin');
  const facts = { method: request.method, url: request.url, headers: request.headers, origin: request.socket.remoteAddress };
  const status = /^\/status\/([2-5]\d\d)$/.exec(url.pathname);
  if (status !== null) return reply(response, Number(status[1]), {});
  if (['/headers', '/get', '/ip', '/post', '/anything'].includes(url.pathname)) {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => reply(response, 200, request.method === 'POST' ? { ...facts, body } : facts));
    return undefined;
  }
  return reply(response, 404, { error: 'no such path', try: ['/headers', '/ip', '/get', '/status/204'] });
});

/** @param {import('node:http').ServerResponse} response @param {number} status @param {object} value */
function reply(response, status, value) {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

server.listen(port, process.env.HOST, () => {
  const address = server.address();
  process.stdout.write(`httpbin listens on port ${typeof address === 'object' ? address?.port : address}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
