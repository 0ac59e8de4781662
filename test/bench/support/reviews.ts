/*
 * Reviews of pods and policies, sent to the webhook itself as an API server does, over connections that are open already. In a thread, because the
 * benchmark reads what the controller writes meanwhile; this thread goes before all others of the machine, so that its own waits do not count.
 */
import { once } from 'node:events';
import { Agent, request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { workloadSpec } from '../../support/loaded-cluster.ts';
import { preferThisThread } from './priorities.ts';

const CONNECTIONS = 8;
const connections = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS, rejectUnauthorized: false });

/** Port of the webhook under measurement. */
export const WEBHOOK_PORT = 29_443;

/** Milliseconds of one review, sent to the webhook itself. */
function review(path: string, object: object): Promise<number> {
  const body = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u', operation: 'CREATE', namespace: 'ns-0', object },
  });
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: '127.0.0.1',
        port: WEBHOOK_PORT,
        path,
        method: 'POST',
        agent: connections,
        headers: { 'content-type': 'application/json' },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(performance.now() - startedMs));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends 50 reviews a second, half of them of pods. @returns the milliseconds of each */
export async function reviews(seconds: number): Promise<readonly number[]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: seconds });
  const [result] = (await once(worker, 'message')) as [readonly number[]];
  await once(worker, 'exit');
  return result;
}

async function sendReviews(seconds: number): Promise<readonly number[]> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'd', namespace: 'ns-0', labels: { app: 'x' } },
    spec: { containers: [{ name: 'app', image: 'x/y:1', ports: [{ containerPort: 8080 }] }] },
  };
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'q', namespace: 'ns-0' },
    spec: workloadSpec(1, 'webhook'),
  };
  // All at the same time, so that there are that many connections.
  await Promise.all(Array.from({ length: CONNECTIONS }, () => review('/mutate', pod)));
  const sent: Promise<number>[] = [];
  const startedMs = performance.now();
  for (let at = 0; at < seconds * 50; at += 1) {
    await delay(Math.max(0, startedMs + at * 20 - performance.now()));
    sent.push(at % 2 === 0 ? review('/mutate', pod) : review('/validate', policy));
  }
  return await Promise.all(sent);
}

if (!isMainThread && typeof workerData === 'number') {
  if (!preferThisThread(-20)) console.log('waits of the benchmark count as those of the webhook: only root may go first');
  parentPort?.postMessage(await sendReviews(workerData));
  connections.destroy();
}
