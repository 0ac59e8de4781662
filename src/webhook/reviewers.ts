/*
 * Reviews of pods and policies, with what the caches of the controller know of them.
 */
import type { Worker } from 'node:worker_threads';
import { parsePolicy } from '../api/istio/parse-policy.ts';
import { projectPod } from '../api/kube/slim.ts';
import { workloadIdOf } from '../api/kube/workload.ts';
import type { AdmissionSettings, FactsByKind, Question } from './admission-messages.ts';
import type { KnownFacts } from './known-facts.ts';
import { reviewPod } from './mutate.ts';
import { createNewAccessWarnings, NEW_ACCESS_LIMIT_MS } from './new-access.ts';
import type { Reviewer } from './server.ts';
import { reviewPolicy } from './validate.ts';

/** What the thread knows. Rejects when the controller gives no sign of life. */
export type PresentFacts = () => Promise<Pick<KnownFacts, 'mesh' | 'ofPod' | 'suffice'>>;

/** Asks the caches of the controller. Rejects when there is no answer in time. */
export type Ask = <Q extends Question>(question: Q) => Promise<FactsByKind[Q['kind']]>;

/** What reviews depend on. */
export interface ReviewersOptions extends Pick<AdmissionSettings, 'injection'> {
  readonly presentFacts: PresentFacts;
  readonly ask: Ask;
  /** Starts `new-access-worker.ts`; absent: edits are not searched for what they let in. */
  readonly startNewAccess?: () => Worker;
}

/** The reviewers by path. */
export function createReviewers(options: ReviewersOptions): Readonly<Record<string, Reviewer>> {
  return { '/mutate': podReviewer(options), '/validate': policyReviewer(options) };
}

function podReviewer({ presentFacts, injection }: ReviewersOptions): Reviewer {
  return async (request) => {
    const { object, namespace } = request;
    if (object === undefined || object.kind !== 'Pod' || request.operation !== 'CREATE') return { allowed: true };
    const slim = projectPod(object);
    const workload = { namespace, ...workloadIdOf(slim) };
    const { trust, rootPolicies, namespaceLabels, ...settings } = (await presentFacts()).ofPod(workload, slim.labels);
    return reviewPod(request, {
      settings: { ...injection, ...settings },
      rootPoliciesFor: () => rootPolicies,
      trustFor: () => trust,
      namespaceLabelsOf: () => namespaceLabels,
    });
  };
}

function policyReviewer({ presentFacts, ask, startNewAccess }: ReviewersOptions): Reviewer {
  const warnings =
    startNewAccess === undefined ? undefined : createNewAccessWarnings({ startWorker: startNewAccess, limitMs: NEW_ACCESS_LIMIT_MS });
  return async (request) => {
    const { value: policy } = request.object === undefined ? {} : parsePolicy(request.object);
    const facts = await presentFacts();
    const { ports, excess } = policy === undefined || facts.suffice(policy) ? {} : await ask({ kind: 'policy', policy });
    const response = reviewPolicy(request, { mesh: facts.mesh, portsFor: () => ports, whyOverBudget: () => excess });
    if (!response.allowed || warnings === undefined || policy === undefined) return response;
    const added = await warnings(() => ask({ kind: 'edit', policy }));
    return { ...response, warnings: [...added, ...(response.warnings ?? [])] };
  };
}
