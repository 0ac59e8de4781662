import { expect } from 'chai';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import type { KubeEvent } from '../../../src/cluster/recorder.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import type { PolicyEntry } from '../../../src/state/cluster-state.ts';
import type { PolicyFacts } from '../../../src/status/conditions.ts';
import { NO_FACTS } from '../../../src/status/policy-facts.ts';
import { createStatusWriter } from '../../../src/status/status-writer.ts';

const never = new AbortController().signal;
const FACTS: PolicyFacts = { ...NO_FACTS, published: ['foo/a'] };
const ENTRY: PolicyEntry = {
  key: 'AuthorizationPolicy/foo/p',
  kind: 'AuthorizationPolicy',
  namespace: 'foo',
  name: 'p',
  uid: 'u',
  generation: 3,
  resourceVersion: '7',
  active: { kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p', generation: 3 }, spec: { action: 'ALLOW' } },
  findings: [],
  isValid: true,
  isCandidateValid: true,
};
const INVALID: Partial<PolicyEntry> = {
  isValid: false,
  findings: [{ code: 'SP_VALUE', severity: 'error', path: 'spec', message: 'bad' }],
};

interface Bench {
  readonly requests: KubeRequest[];
  readonly events: KubeEvent[];
  readonly write: (entry?: Partial<PolicyEntry>, facts?: Partial<PolicyFacts>) => Promise<'updated' | 'unchanged' | 'gone'>;
}

/** A writer whose requests are answered by `answer`, in order; the last answer repeats. */
function open(...answers: readonly (object | Error)[]): Bench {
  const requests: KubeRequest[] = [];
  const events: KubeEvent[] = [];
  const client: KubeClient = {
    server: '',
    namespace: '',
    request: (request) => {
      requests.push(request);
      const answer = answers[Math.min(requests.length, answers.length) - 1] ?? {};
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ status: 200, json: answer });
    },
    stream: () => Promise.reject(new Error('no streams here')),
    close: () => Promise.resolve(),
  };
  const write = createStatusWriter({ client, recorder: { record: (event) => void events.push(event) } });
  return { requests, events, write: (entry = {}, facts = {}) => write({ ...ENTRY, ...entry }, { ...FACTS, ...facts }, never) };
}

/** The status that a first write gives the policy. */
async function statusOf(entry: Partial<PolicyEntry> = {}): Promise<unknown> {
  const bench = open();
  await bench.write(entry);
  return (bench.requests[0]?.body as { readonly status: unknown } | undefined)?.status;
}

describe('status writer', () => {
  it('patches all conditions and the observed generation, guarded by the resourceVersion', async () => {
    const { requests, write } = open();
    expect(await write()).to.equal('updated');

    expect(requests).to.have.length(1);
    expect(requests[0]).to.include({
      method: 'PATCH',
      path: '/apis/security.istio.io/v1/namespaces/foo/authorizationpolicies/p/status',
      contentType: 'application/merge-patch+json',
    });
    const body = requests[0]?.body as { readonly metadata: object; readonly status: { readonly conditions: readonly object[] } };
    expect(body.metadata).to.deep.equal({ resourceVersion: '7' });
    expect(body.status).to.include({ observedGeneration: 3 });
    expect(body.status.conditions.map((condition) => Object.entries(condition).slice(0, 3).flat())).to.deep.equal([
      ['type', 'Accepted', 'status', 'True', 'reason', 'Accepted'],
      ['type', 'Ready', 'status', 'True', 'reason', 'Published'],
      ['type', 'Enforced', 'status', 'True', 'reason', 'Enforced'],
    ]);
  });

  it('sends nothing when the policy has this status already', async () => {
    const { requests, write } = open();
    expect(await write({ status: await statusOf() })).to.equal('unchanged');
    expect(requests).to.deep.equal([]);
  });

  it('records a Warning event when the provider is unknown', async () => {
    const { events, write } = open();
    await write({}, { provider: { reason: 'ProviderUnknown', message: 'unknown extension provider x' } });
    expect(events.map(({ type, reason, note }) => [type, reason, note.split('.')[0]])).to.deep.equal([
      ['Warning', 'ProviderUnknown', 'unknown extension provider x'],
    ]);
  });

  for (const reason of ['KeysWithheld', 'ProviderWithheld'] as const) {
    it(`records a Warning event when Ready has the reason ${reason}`, async () => {
      const { events, write } = open();
      await write({}, { withheld: { reason, message: 'secrets are not published to this namespace' } });
      expect(events.map(({ type, reason: given }) => [type, given])).to.deep.equal([['Warning', reason]]);
    });
  }

  for (const [reason, over] of [
    ['KeysUnavailable', { keys: [{ kind: 'unavailable', rule: 0, reason: 'no' }] }],
    ['KeysStale', { keys: [{ kind: 'stale', rule: 0, reason: 'no' }] }],
    ['ProviderConflict', { provider: { reason: 'ProviderConflict', message: 'two providers' } }],
    ['SigningKeysMissing', { signing: 'no keys' }],
    ['BundleTampered', { tampered: ['a client changed it'] }],
  ] as const) {
    it(`records a Warning event with the reason ${reason}`, async () => {
      const { events, write } = open();
      await write({}, over);
      expect(events.map(({ type, reason: given, action }) => [type, given, action])).to.deep.equal([['Warning', reason, 'Publish']]);
    });
  }

  it('records one Warning event when a policy is over its budget, with the message of Ready', async () => {
    const { events, requests, write } = open();
    await write({ refusal: { code: 'SP_OVER_BUDGET', severity: 'error', path: '', message: 'the policy is too large' } });
    expect(events.map(({ type, reason, note }) => [type, reason, note])).to.deep.equal([
      ['Warning', 'OverBudget', 'The policy is too large. Published to 1 of 1 selected workloads with an agent'],
    ]);
    expect(JSON.stringify(requests[0]?.body).match(/"reason":"OverBudget"/g)).to.have.length(2);
  });

  it('records a Warning event when keys of a set are not used, although the policy is ready', async () => {
    const { events, requests, write } = open();
    await write({}, { keys: [{ kind: 'left-out', rule: 0, reason: 'keys of the fetched set are not used: keys[1] (kid "summer"): odd' }] });
    expect(events.map(({ type, reason }) => [type, reason])).to.deep.equal([['Warning', 'KeysLeftOut']]);
    expect(events[0]?.note).to.include('kid "summer"');
    expect(JSON.stringify(requests[0]?.body)).to.include('"type":"Ready","status":"True","reason":"KeysLeftOut"');
  });

  it('records a Warning event for what the author has to fix, once', async () => {
    const { events, write } = open();
    await write(INVALID);
    await write({ ...INVALID, status: await statusOf(INVALID) });
    expect(events.map(({ type, reason, action }) => [type, reason, action])).to.deep.equal([['Warning', 'Invalid', 'Validate']]);
    expect(events[0]?.regarding).to.deep.equal({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      namespace: 'foo',
      name: 'p',
      uid: 'u',
      resourceVersion: '7',
    });
    expect(events[0]?.note).to.contain('spec: bad');
  });

  it('records no event when nothing has to be fixed', async () => {
    const { events, write } = open();
    await write({}, { published: [], waiting: ['foo/a'] });
    expect(events).to.deep.equal([]);
  });

  it('names the action that failed', async () => {
    const { events, write } = open();
    await write({}, { published: [], refused: [{ workload: 'foo/a', message: 'too large' }] });
    expect(events.map(({ reason, action }) => [reason, action])).to.deep.equal([['BundleRefused', 'Publish']]);
  });

  it('reports a policy that was deleted meanwhile', async () => {
    const { events, write } = open(new RefusedError('SP_KUBE_NOT_FOUND', 'gone'));
    expect(await write(INVALID)).to.equal('gone');
    expect(events).to.deep.equal([]);
  });

  for (const { name, metadata } of [
    { name: 'got a newer generation', metadata: { name: 'p', uid: 'u', generation: 4, resourceVersion: '9' } },
    { name: 'was created again', metadata: { name: 'p', uid: 'other', generation: 3, resourceVersion: '9' } },
  ]) {
    it(`writes nothing when the policy ${name} meanwhile`, async () => {
      const { requests, write } = open(new TransientError('SP_KUBE_CONFLICT', 'conflict'), { metadata, status: {} });
      expect(await write()).to.equal('unchanged');
      expect(requests.map(({ method }) => method)).to.deep.equal(['PATCH', 'GET']);
    });
  }
});
