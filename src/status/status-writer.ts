/*
 * Writes the status of a policy: its conditions, only when they differ from those that it has, and then a Warning event for
 * what the author of the policy has to fix.
 */
import { FIELD_MANAGER, SECURITY_GROUP } from '../api/kube/names.ts';
import type { KubeClient } from '../cluster/client.ts';
import { AUTHORIZATION_POLICIES, type ObjectRef, REQUEST_AUTHENTICATIONS } from '../cluster/paths.ts';
import type { Recorder } from '../cluster/recorder.ts';
import { mergePatchStatus } from '../cluster/status.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';
import { describeReason } from './condition-reasons.ts';
import { conditionsOf, type PolicyCondition, type PolicyFacts } from './conditions.ts';

/** Where statuses and events are written. */
export interface StatusWriterOptions {
  readonly client: KubeClient;
  readonly recorder: Pick<Recorder, 'record'>;
}

/**
 * Brings the status of one policy up to date.
 *
 * @returns `gone` when the policy does not exist any more @throws TransientError, RefusedError as the `cluster` package does
 */
export type StatusWriter = (entry: PolicyEntry, facts: PolicyFacts, signal: AbortSignal) => Promise<'updated' | 'unchanged' | 'gone'>;

/** Conditions that are not always there: no bundle is tampered with, or there is no feed. */
const DROPPED: readonly string[] = ['Tampered', 'Programmed'];

/** The same while agents are on their way to a new leader. */
const SETTLING: readonly string[] = DROPPED.filter((type) => type !== 'Programmed');

/** A writer for the cluster that `client` talks to. */
export function createStatusWriter({ client, recorder }: StatusWriterOptions): StatusWriter {
  return async (entry, facts, signal) => {
    const conditions = conditionsOf(entry, facts);
    const result = await mergePatchStatus(client, {
      ref: refOf(entry),
      fieldManager: FIELD_MANAGER,
      // Facts about one version say nothing about a newer one; the event of that version queues the policy again.
      intend: (current) =>
        current.metadata?.uid === entry.uid && current.metadata?.generation === entry.generation
          ? { conditions, dropTypes: facts.agents === 'settling' ? SETTLING : DROPPED, fields: { observedGeneration: entry.generation } }
          : undefined,
      current: { metadata: { ...identityOf(entry), generation: entry.generation }, status: entry.status ?? {} },
      signal,
    });
    if (result === 'updated') warn(recorder, entry, conditions);
    return result;
  };
}

function warn(recorder: Pick<Recorder, 'record'>, entry: PolicyEntry, conditions: readonly PolicyCondition[]): void {
  const reasons = new Set<string>();
  for (const { type, reason, message } of conditions) {
    // Ready and Enforced may have the same reason.
    if (describeReason(type, reason)?.isWarned !== true || reasons.has(reason)) continue;
    reasons.add(reason);
    recorder.record({
      regarding: { apiVersion: `${SECURITY_GROUP}/v1`, kind: entry.kind, namespace: entry.namespace, ...identityOf(entry) },
      type: 'Warning',
      reason,
      action: reason === 'Invalid' || reason === 'NeedsPeerIdentity' ? 'Validate' : 'Publish',
      note: message,
    });
  }
}

function identityOf(entry: PolicyEntry): { readonly name: string; readonly uid?: string; readonly resourceVersion?: string } {
  return {
    name: entry.name,
    ...(entry.uid === undefined ? {} : { uid: entry.uid }),
    ...(entry.resourceVersion === undefined ? {} : { resourceVersion: entry.resourceVersion }),
  };
}

function refOf(entry: PolicyEntry): ObjectRef {
  const resource = entry.kind === 'RequestAuthentication' ? REQUEST_AUTHENTICATIONS : AUTHORIZATION_POLICIES;
  return { resource, namespace: entry.namespace, name: entry.name };
}
