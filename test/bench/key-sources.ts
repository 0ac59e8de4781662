/*
 * `node test/bench/key-sources.ts [--rules N] [--seconds N]`: memory of a key cache with N JWT rules of one namespace, whose servers send
 * almost 1 MiB and never end, and the time that the key set of another namespace takes meanwhile. Servers run in another process. Prints one
 * line of JSON; the goal for 4,096 rules is less than 256 MiB and a second.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { JwtRule } from '../../src/api/istio/resources.ts';
import { systemClock } from '../../src/clock.ts';
import { createAddressGuards } from '../../src/jwks/address-guard.ts';
import { createJwksCache } from '../../src/jwks/jwks-cache.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { freshJwks } from '../support/key-server.ts';

const MIB = 1024 * 1024;
const SERVE = '--serve';
const POLL_MS = 5;

/** What the servers report to the other process. */
type Report = { readonly port: number } | { readonly mostConnections: number };

/** Responds to `/keys` with a key set, and to everything else with most of a large document. */
async function serve(): Promise<void> {
  const keys = JSON.stringify(freshJwks('one'));
  const padding = Buffer.alloc(MIB - 1024, ' ');
  let open = 0;
  let most = 0;
  const server = createServer((request, response) => {
    if (request.url === '/keys') {
      response.end(keys);
      return;
    }
    open += 1;
    most = Math.max(most, open);
    response.on('close', () => {
      open -= 1;
    });
    response.writeHead(200).write(padding);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 });
  process.on('message', () => {
    process.send?.({ mostConnections: most });
    process.disconnect();
    server.closeAllConnections();
    server.close();
  });
}

async function measure(rules: number, seconds: number): Promise<void> {
  const servers = fork(import.meta.filename, [SERVE]);
  const [{ port }] = (await once(servers, 'message')) as [Extract<Report, { readonly port: number }>];
  const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: MIB, maxRedirects: 5 };
  const logger = createLogger({ level: 'silent', component: 'bench' });
  const cache = createJwksCache({ limits, clock: systemClock, random: Math.random, logger });
  const stopping = new AbortController();
  const running = cache.run(stopping.signal);
  const startBytes = process.memoryUsage().rss;
  let mostBytes = startBytes;
  const sampling = setInterval(() => {
    mostBytes = Math.max(mostBytes, process.memoryUsage().rss);
  }, POLL_MS);
  const url = (path: string): string => `http://127.0.0.1:${port}/${path}`;
  cache.want(
    'hostile',
    'hostile',
    Array.from({ length: rules }, (_, at): JwtRule => ({ issuer: `i${at}`, jwksUri: url(`slow/${at}`), timeoutMs: 30_000 })),
  );
  const delays: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    await sleep(1_000);
    const rule: JwtRule = { issuer: `other-${second}`, jwksUri: url('keys') };
    const startMs = performance.now();
    cache.want('other', 'other', [rule]);
    while (cache.stateOf(rule, 'other').kind !== 'fresh') await sleep(POLL_MS);
    delays.push(performance.now() - startMs);
    cache.want('other', 'other', []);
  }
  clearInterval(sampling);
  servers.send('report');
  const [{ mostConnections }] = (await once(servers, 'message')) as [Extract<Report, { readonly mostConnections: number }>];
  stopping.abort();
  await running;
  const mib = (bytes: number): number => Math.round(bytes / MIB);
  const result = {
    rules,
    startMiB: mib(startBytes),
    mostMiB: mib(mostBytes),
    mostConnections,
    longestDelayMs: Math.round(Math.max(...delays)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const { values } = parseArgs({
  options: {
    rules: { type: 'string', default: '4096' },
    seconds: { type: 'string', default: '20' },
    serve: { type: 'boolean', default: false },
  },
});
if (values.serve) await serve();
else await measure(Number(values.rules), Number(values.seconds));
