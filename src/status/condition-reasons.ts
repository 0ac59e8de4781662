/*
 * The conditions of a policy and their reasons: what each means and who can act on it. docs/reference/conditions.md is written from this table.
 * A reason never changes its meaning.
 */

/** One reason of a condition. */
export interface ConditionReason {
  readonly status: 'True' | 'False';
  /** What is so, and what to do where something is. */
  readonly meaning: string;
  /** It is also a Warning event on the policy. */
  readonly isWarned?: true;
}

interface Reasons {
  readonly Accepted: 'Accepted' | 'AcceptedWithWarnings' | 'NeedsPeerIdentity' | 'Invalid';
  readonly Ready:
    | 'Published'
    | 'SelectsNothing'
    | 'KeysStale'
    | 'KeysLeftOut'
    | 'NotAccepted'
    | 'SigningKeysMissing'
    | 'OverBudget'
    | 'ProviderUnknown'
    | 'ProviderConflict'
    | 'BundleRefused'
    | 'Publishing'
    | 'KeysUnavailable'
    | 'KeysWithheld'
    | 'ProviderWithheld'
    | 'NoAgent';
  readonly Enforced: 'Enforced' | 'SelectsNothing' | 'PartlyEnforced' | 'NotEnforced' | 'DryRun' | 'OverBudget';
  readonly Programmed: 'Programmed' | 'SelectsNothing' | 'NotAccepted' | 'NoAgent' | 'BundleRefused' | 'TwoStreams' | 'Pending';
  readonly Tampered: 'BundleTampered';
}

/** Type of a condition. */
export type ConditionType = keyof Reasons;

/** Reasons of the condition `T`. */
export type ReasonOf<T extends ConditionType> = Reasons[T];

interface Condition<T extends ConditionType> {
  /** What the condition answers. */
  readonly text: string;
  readonly reasons: Readonly<Record<Reasons[T], ConditionReason>>;
}

const OVER_BUDGET: ConditionReason = {
  status: 'False',
  isWarned: true,
  meaning: 'A budget of the namespace or of the workload is used up; the last version within it stays in effect. Make the policy smaller.',
};
/** Conditions by type, in the order in which a status has them. */
export const CONDITION_REASONS: { readonly [T in ConditionType]: Condition<T> } = {
  Accepted: {
    text: 'Is the policy valid?',
    reasons: {
      Accepted: { status: 'True', meaning: 'It is.' },
      AcceptedWithWarnings: { status: 'True', meaning: 'It is, with findings of which the message has a list.' },
      NeedsPeerIdentity: {
        status: 'True',
        isWarned: true,
        meaning:
          'It asks for the identity of a peer, which only mutual TLS gives; without one, the field matches nothing, and its negation everything.',
      },
      Invalid: {
        status: 'False',
        isWarned: true,
        meaning:
          'It is not. The message lists the errors and says what is active: the last valid version, or the readable part of this one, which can only deny more.',
      },
    },
  },
  Ready: {
    text: 'Is this version published to the workloads that have an agent?',
    reasons: {
      Published: { status: 'True', meaning: 'To all of them.' },
      SelectsNothing: { status: 'True', meaning: 'There is no selected workload. Compare the selector with the labels of pods.' },
      KeysStale: {
        status: 'True',
        isWarned: true,
        meaning: 'Published with the keys of an earlier fetch, because the last one failed. Check `jwksUri`.',
      },
      KeysLeftOut: { status: 'True', isWarned: true, meaning: 'Published without some of the fetched keys, which are not usable.' },
      NotAccepted: { status: 'False', meaning: 'The policy is invalid: see `Accepted`.' },
      SigningKeysMissing: {
        status: 'False',
        isWarned: true,
        meaning: 'Nothing can be signed, so that nothing is published. See [signing keys](../tasks/signing-keys.md).',
      },
      OverBudget: OVER_BUDGET,
      ProviderUnknown: {
        status: 'False',
        isWarned: true,
        meaning: 'No extension provider has the name; requests that match are denied. Add it to `mesh.extensionProviders`.',
      },
      ProviderConflict: {
        status: 'False',
        isWarned: true,
        meaning: 'CUSTOM policies of one workload name several providers; requests that match are denied.',
      },
      BundleRefused: {
        status: 'False',
        isWarned: true,
        meaning: 'The bundle of a workload cannot be published; its agents keep the last one. The message has the error code.',
      },
      Publishing: { status: 'False', meaning: 'Some workloads do not have it yet; wait.' },
      KeysUnavailable: {
        status: 'False',
        isWarned: true,
        meaning: 'Keys were never fetched, so that tokens of that issuer are refused. Check `jwksUri`, DNS and network policies.',
      },
      KeysWithheld: {
        status: 'False',
        isWarned: true,
        meaning: 'A symmetric key is not published to other namespaces, whose workloads refuse its tokens. Use asymmetric keys.',
      },
      ProviderWithheld: {
        status: 'False',
        isWarned: true,
        meaning: 'Secret headers of the provider are not published to other namespaces, whose workloads deny what matches.',
      },
      NoAgent: { status: 'False', meaning: 'No selected workload has an agent. Enable injection, and create the pods again.' },
    },
  },
  Enforced: {
    text: 'Does an agent enforce the policy on every selected workload?',
    reasons: {
      Enforced: { status: 'True', meaning: 'On all of them.' },
      SelectsNothing: { status: 'True', meaning: 'There is no selected workload.' },
      PartlyEnforced: { status: 'False', meaning: 'On some of them; the message says what the others lack.' },
      NotEnforced: { status: 'False', meaning: 'On none; the message says why.' },
      DryRun: { status: 'False', meaning: 'The policy has the annotation for dry runs: it is evaluated and logged, and decides nothing.' },
      OverBudget: OVER_BUDGET,
    },
  },
  Programmed: {
    text: 'Do all agents say that they enforce this version? Only with `feed.enabled`.',
    reasons: {
      Programmed: { status: 'True', meaning: 'They do.' },
      SelectsNothing: { status: 'True', meaning: 'There is no selected workload.' },
      NotAccepted: { status: 'False', meaning: 'This version is invalid or over a budget: see `Accepted` and `Ready`.' },
      NoAgent: { status: 'False', meaning: 'No selected workload has an agent.' },
      BundleRefused: {
        status: 'False',
        isWarned: true,
        meaning: 'Agents refuse the bundle, and keep the last good one. The message has their error codes.',
      },
      TwoStreams: {
        status: 'False',
        isWarned: true,
        meaning: 'Two agents report for one pod, and not the same. The message has its name; look for a second container with its token.',
      },
      Pending: {
        status: 'False',
        meaning:
          'Some agents enforce another version, are not connected, or were injected without the feed; or the bundle is not written yet.',
      },
    },
  },
  Tampered: {
    text: 'Present only while another client changes published bundles.',
    reasons: {
      BundleTampered: {
        status: 'True',
        isWarned: true,
        meaning: 'The bundles were written again, and agents ignore what is not signed. The audit log of the API server names the client.',
      },
    },
  },
};

/** What a reason of a condition means; undefined: there is no such reason. */
export function describeReason(type: ConditionType, reason: string): ConditionReason | undefined {
  const reasons: Readonly<Record<string, ConditionReason>> = CONDITION_REASONS[type].reasons;
  return Object.hasOwn(reasons, reason) ? reasons[reason] : undefined;
}
