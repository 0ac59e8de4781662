/*
 * The worker of new-access.ts: the only part of the controller that loads the analysis.
 */
import { parentPort } from 'node:worker_threads';
import { findAdmitted } from '../analysis/compare-programs.ts';
import { witnessText } from '../analysis/witness-text.ts';
import type { Policy } from '../api/istio/resources.ts';
import { lowerPolicies } from '../policy/lower/lower-policies.ts';
import type { Program } from '../policy/model/program.ts';
import type { EditedPod } from '../resolve/edited-pods.ts';
import type { NewAccessAnswer, NewAccessJob } from './new-access.ts';

const PROTOCOLS = ['http', 'tcp'] as const;

parentPort?.on('message', (job: NewAccessJob) => {
  for (const pod of job.pods) parentPort?.postMessage(answerFor(pod, job));
});

function answerFor({ workload, namespace, before, after }: EditedPod, { mesh }: NewAccessJob): NewAccessAnswer {
  const program = (policies: readonly Policy[]): Program =>
    lowerPolicies({ namespace, policies, mesh, keySetId: ({ issuer, jwksUri, jwks }) => JSON.stringify([issuer, jwksUri, jwks]) }).program;
  const [refusing, admitting] = [program(before), program(after)];
  let isDecided = true;
  for (const protocol of PROTOCOLS) {
    // The thread that waits ends this one when the time is over.
    const found = findAdmitted(refusing, admitting, { protocol, isOver: () => false, confirm: () => true });
    if (found.kind === 'found') return { workload, request: witnessText(found.witness), isDecided: true };
    if (found.kind === 'undecided') isDecided = false;
  }
  return { workload, isDecided };
}
