/*
 * The thread that serves admission: TLS, reading, reviewing and answering happen here, so that reviews do not wait while the controller compiles
 * and publishes bundles. It keeps a copy of the facts that most reviews need, and asks the controller for the others.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import type { AdmissionLogLevel, AdmissionSettings, FromAdmission, ToAdmission } from './admission-messages.ts';
import { KnownFacts } from './known-facts.ts';
import { NEW_ACCESS_MEMORY } from './new-access.ts';
import { type Ask, createReviewers } from './reviewers.ts';
import { HttpError, startAdmissionServer } from './server.ts';

/** Time since the last message of the controller, in milliseconds, after which its facts may be out of date. It sends one every 2 s. */
const SILENT_MS = 5_000;
/** Longest wait for an answer. API servers wait for a review for 10 s by default. */
const ANSWER_MS = 5_000;

interface Waiting {
  readonly resolve: (facts: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

const settings = workerData as AdmissionSettings;
const waiting = new Map<number, Waiting>();
const facts = new KnownFacts();
let lastId = 0;
let heardMs = performance.now();

function send(message: FromAdmission): void {
  parentPort?.postMessage(message);
}

const ask: Ask = (question) =>
  new Promise((resolve, reject) => {
    const id = (lastId += 1);
    const timer = setTimeout(() => {
      waiting.delete(id);
      reject(new HttpError(503, 'the controller is too busy to answer'));
    }, ANSWER_MS);
    waiting.set(id, { resolve: resolve as Waiting['resolve'], reject, timer });
    send({ kind: 'question', id, question });
  });

/** The facts, as long as the controller says that they are its own; otherwise the review waits for a sign of life. */
async function presentFacts(): Promise<KnownFacts> {
  if (!facts.isLoaded || performance.now() - heardMs > SILENT_MS) await ask({ kind: 'present' });
  return facts;
}

function settle(id: number, end: (asked: Waiting) => void): void {
  const asked = waiting.get(id);
  if (asked === undefined) return;
  waiting.delete(id);
  clearTimeout(asked.timer);
  end(asked);
}

function logAt(level: AdmissionLogLevel): (fields: object, message: string) => void {
  return (fields, message) => {
    const { err, ...rest } = fields as { readonly err?: unknown };
    // Of an error only name, message and stack can be copied.
    const copied = err instanceof Error ? { ...rest, err: { name: err.name, message: err.message, stack: err.stack } } : rest;
    send({ kind: 'log', level, fields: copied, message });
  };
}

const server = await startAdmissionServer({
  ...settings,
  reviewers: createReviewers({ injection: settings.injection, presentFacts, ask, ...(settings.newAccess ? { startNewAccess } : {}) }),
  metrics: { onReview: (sample) => send({ kind: 'reviewed', sample }) },
  logger: { debug: logAt('debug'), info: logAt('info'), error: logAt('error') },
});

/** The build puts the worker next to this file. */
function startNewAccess(): Worker {
  const file = import.meta.url.endsWith('.ts') ? './new-access-worker.ts' : './new-access-worker.mjs';
  return new Worker(new URL(file, import.meta.url), { resourceLimits: NEW_ACCESS_MEMORY });
}

parentPort?.on('message', (message: ToAdmission) => {
  heardMs = performance.now();
  switch (message.kind) {
    case 'certificate':
      server.serve(message.serving);
      break;
    case 'facts':
      facts.apply(message.update);
      break;
    case 'answer':
      settle(message.id, ({ resolve }) => resolve(message.facts));
      break;
    case 'failure':
      settle(message.id, ({ reject }) => reject(new Error(message.message)));
      break;
    case 'ping':
      send({ kind: 'pong' });
      break;
    case 'close':
      void server.close().then(() => send({ kind: 'closed' }));
      break;
  }
});
send({ kind: 'listening', port: server.port });
