/*
 * The application of the soak test, as a process that can be killed: `node application.ts PORT`. `/slow` answers in pieces; every other
 * path answers with the length of the body that it received.
 */
import { createServer, type ServerResponse } from 'node:http';

const PIECES = 50;
const PIECE_MS = 20;

function answerSlowly(response: ServerResponse): void {
  let left = PIECES;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) response.write('x'.repeat(1000));
    else response.end();
    if (left === 0) clearInterval(timer);
  }, PIECE_MS);
  response.on('close', () => clearInterval(timer));
}

createServer((request, response) => {
  if (request.url === '/slow') {
    answerSlowly(response);
    return;
  }
  let length = 0;
  request.on('error', () => {});
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
  });
  request.on('end', () => response.end(String(length)));
}).listen(Number(process.argv[2]), '127.0.0.1', () => process.send?.('ready'));
