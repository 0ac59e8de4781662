/*
 * A process that floods a port with tokens, so that its work is not in the latencies that another process measures. It owns the keys;
 * the other process speaks to it over the IPC channel of `fork`.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { getPriority, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type FloodAlgorithm, FloodTokens } from './flood-tokens.ts';
import { bearerRequest, RawClient } from './raw-client.ts';

/** How much nicer than the process that measures, which must run when a response is there. */
const NICER = 10;

/** Which tokens, from how many connections, to which port. */
export interface FloodOrder {
  readonly port: number;
  readonly connections: number;
  readonly kind: 'garbage' | 'valid';
  readonly algorithm: FloodAlgorithm;
}

/** What the flood got. */
export interface FloodResult {
  readonly requests: number;
  readonly statuses: readonly string[];
}

/** The process, its keys and one valid token. */
export interface Flooders {
  readonly pid: number;
  readonly jwks: string;
  readonly goodToken: string;
  /** Floods until `during` ends. @throws Error of `during` */
  flood(order: FloodOrder, during: () => Promise<void>): Promise<FloodResult>;
  stop(): Promise<void>;
}

interface Hello {
  readonly jwks: string;
  readonly goodToken: string;
}

/** Starts the process. */
export async function startFlooders(): Promise<Flooders> {
  const child = fork(fileURLToPath(import.meta.url), ['flood'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ jwks, goodToken }] = (await once(child, 'message')) as [Hello];
  const pid = child.pid as number;
  setPriority(pid, Math.min(19, getPriority() + NICER));
  return {
    pid,
    jwks,
    goodToken,
    flood: async (order, during) => {
      child.send(order);
      try {
        await during();
      } finally {
        child.send('stop');
      }
      const [result] = (await once(child, 'message')) as [FloodResult];
      return result;
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function serve(): void {
  const tokens = new FloodTokens();
  let stop = (): void => {};
  process.on('message', (message: FloodOrder | 'stop') => {
    if (message === 'stop') stop();
    else stop = start(tokens, message);
  });
  process.on('disconnect', () => process.exit());
  process.send?.({ jwks: tokens.jwks, goodToken: tokens.signed('RS256', 'good') } satisfies Hello);
}

function start(tokens: FloodTokens, { port, connections, kind, algorithm }: FloodOrder): () => void {
  let isOver = false;
  let requests = 0;
  const statuses = new Set<string>();
  const texts = tokens[kind](algorithm);
  const clients = Array.from({ length: connections }, () => new RawClient(port));
  const floods = clients.map(async (client) => {
    while (!isOver) {
      statuses.add(await client.send(bearerRequest('/flood', String(texts.next().value))));
      requests += 1;
    }
  });
  return () => {
    isOver = true;
    void Promise.all(floods).then(() => {
      for (const client of clients) client.close();
      process.send?.({ requests, statuses: [...statuses] } satisfies FloodResult);
    });
  };
}

if (process.argv[2] === 'flood' && process.send !== undefined) serve();
