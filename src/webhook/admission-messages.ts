/*
 * What the thread of admission and the rest of the controller send each other: plain data, which is copied.
 */
import type { SecureVersion } from 'node:tls';
import type { Policy } from '../api/istio/resources.ts';
import type { InjectedFeed } from '../api/kube/agent-contract.ts';
import type { InjectedTrust, InjectionSettings } from '../inject/settings.ts';
import type { ReviewSample } from '../telemetry/webhook-metrics.ts';
import type { KeyPair } from './certs/issue.ts';
import type { FactUpdate } from './fact-source.ts';
import type { NewAccessJob } from './new-access.ts';

/** Settings of the thread, which do not change. */
export interface AdmissionSettings {
  readonly host: string;
  /** Port to listen on; 0: any free port. */
  readonly port: number;
  readonly tlsMinVersion: SecureVersion;
  readonly injection: Omit<InjectionSettings, 'trust' | 'trustDomains' | 'feed'>;
  /** Whether edits of policies are searched for what they let in. */
  readonly newAccess: boolean;
}

/** What a review needs to know from the caches of the controller, besides the facts that the thread keeps. */
export type Question =
  /** Nothing: the answer comes after all facts that were sent before. */
  | { readonly kind: 'present' }
  /** Asked only where the facts of the thread do not suffice. */
  | { readonly kind: 'policy'; readonly policy: Policy }
  /** The pods whose policies an edit changes: large, and asked for only when the edit is allowed and can be searched now. */
  | { readonly kind: 'edit'; readonly policy: Policy };

/** About a new pod. */
export interface PodFacts {
  readonly trustDomains: readonly string[];
  /** Absent: new agents get no feed. */
  readonly feed?: InjectedFeed;
  /** Absent: the signing keys are not known. */
  readonly trust?: InjectedTrust;
  /** Policies of the root namespace that select the pod, as `namespace/name`. */
  readonly rootPolicies: readonly string[];
  /** Labels of the pod's namespace; absent: not known. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
}

/** About a policy. */
export interface PolicyFacts {
  /** Ports of the pods that the policy would select; absent: not known. */
  readonly ports?: ReadonlySet<number>;
  /** Why the policy would be over its budget; absent: it would not. */
  readonly excess?: string;
}

/** The answer to a question by its kind. */
export interface FactsByKind {
  readonly present: Readonly<Record<string, never>>;
  readonly policy: PolicyFacts;
  readonly edit: NewAccessJob;
}

/** Any answer. */
export type Facts = FactsByKind[Question['kind']];

/** To the thread. */
export type ToAdmission =
  | { readonly kind: 'certificate'; readonly serving: KeyPair }
  /** The first, which is sent once the thread listens, contains everything. */
  | { readonly kind: 'facts'; readonly update: FactUpdate }
  | { readonly kind: 'answer'; readonly id: number; readonly facts: Facts }
  /** The question could not be answered: a bug. */
  | { readonly kind: 'failure'; readonly id: number; readonly message: string }
  /** Asks for a sign of life. */
  | { readonly kind: 'ping' }
  | { readonly kind: 'close' };

/** Levels of the log lines of the thread. */
export type AdmissionLogLevel = 'debug' | 'info' | 'error';

/** From the thread. */
export type FromAdmission =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  | { readonly kind: 'reviewed'; readonly sample: ReviewSample }
  | { readonly kind: 'log'; readonly level: AdmissionLogLevel; readonly fields: object; readonly message: string }
  | { readonly kind: 'pong' }
  /** All open requests have ended. */
  | { readonly kind: 'closed' };
