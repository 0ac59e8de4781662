/* Conditions: merging, writing only changes, and conflicts. */
import { expect } from 'chai';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { AUTHORIZATION_POLICIES } from '../../../src/cluster/paths.ts';
import { mergeConditions, mergePatchStatus, type StatusCondition, type StatusIntent } from '../../../src/cluster/status.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const OLD = '2025-06-01T00:00:00Z';
const NOW = '2026-01-01T00:00:00Z';
const READY: StatusCondition = { type: 'Ready', status: 'True', reason: 'Published', message: '1 of 1', observedGeneration: 3 };
const FOREIGN = { type: 'Reconciled', status: 'True', lastTransitionTime: OLD, weird: { field: 1 } };

describe('mergeConditions', () => {
  const cases: readonly {
    readonly name: string;
    readonly before: readonly unknown[];
    readonly intent: StatusIntent;
    readonly after: readonly unknown[];
  }[] = [
    {
      name: 'adds our conditions after those of others, with the current time',
      before: [FOREIGN],
      intent: { conditions: [READY] },
      after: [FOREIGN, { ...READY, lastTransitionTime: NOW }],
    },
    {
      name: 'keeps the time when only message and generation change',
      before: [{ ...READY, message: 'old', observedGeneration: 2, lastTransitionTime: OLD }],
      intent: { conditions: [READY] },
      after: [{ ...READY, lastTransitionTime: OLD }],
    },
    {
      name: 'updates the time when the status changes',
      before: [{ ...READY, status: 'False', lastTransitionTime: OLD }],
      intent: { conditions: [READY] },
      after: [{ ...READY, lastTransitionTime: NOW }],
    },
    {
      name: 'keeps order and unknown values',
      before: ['odd', { ...READY, lastTransitionTime: OLD }, FOREIGN],
      intent: { conditions: [{ ...READY, type: 'Accepted' }, READY] },
      after: ['odd', { ...READY, lastTransitionTime: OLD }, FOREIGN, { ...READY, type: 'Accepted', lastTransitionTime: NOW }],
    },
    {
      name: 'removes dropped types',
      before: [FOREIGN, { ...READY, lastTransitionTime: OLD }],
      intent: { conditions: [], dropTypes: ['Ready'] },
      after: [FOREIGN],
    },
    {
      name: 'merges two conditions of one type',
      before: [
        { ...READY, lastTransitionTime: OLD },
        { ...READY, lastTransitionTime: OLD },
      ],
      intent: { conditions: [READY] },
      after: [{ ...READY, lastTransitionTime: OLD }],
    },
  ];
  for (const { name, before, intent, after } of cases) {
    it(name, () => {
      expect(mergeConditions(before, intent, NOW)).to.deep.equal(after);
    });
  }
});

describe('mergePatchStatus', () => {
  const ref = { resource: AUTHORIZATION_POLICIES, namespace: 'foo', name: 'deny' };
  const path = '/apis/security.istio.io/v1/namespaces/foo/authorizationpolicies/deny';
  const object = (resourceVersion: string, conditions: readonly unknown[] = []): RawObject => ({
    metadata: { name: 'deny', namespace: 'foo', resourceVersion, generation: 3 },
    status: { conditions },
  });
  let requests: KubeRequest[];

  const clientThat = (answers: readonly (RawObject | Error)[]): KubeClient => {
    const left = [...answers];
    requests = [];
    return {
      server: 'memory',
      namespace: 'ns',
      stream: () => Promise.reject(new Error('not here')),
      close: () => Promise.resolve(),
      request: (request) => {
        requests.push(request);
        const answer = left.shift();
        return answer === undefined || answer instanceof Error
          ? Promise.reject(answer ?? new Error('too many'))
          : Promise.resolve({ status: 200, json: answer });
      },
    };
  };
  const write = (extra: Partial<Parameters<typeof mergePatchStatus>[1]> = {}) => ({
    ref,
    fieldManager: 'sallyport-controller',
    intend: (): StatusIntent => ({ conditions: [READY] }),
    clock: createFakeClock(),
    ...extra,
  });
  const conflict = new TransientError('SP_KUBE_CONFLICT', 'conflict');

  it('reads and patches the status subresource, guarded by the resourceVersion', async () => {
    const client = clientThat([object('7', [FOREIGN]), object('8')]);

    expect(await mergePatchStatus(client, write())).to.equal('updated');
    expect(requests[0]).to.deep.include({ method: 'GET', path });
    expect(requests[1]).to.deep.include({
      method: 'PATCH',
      path: `${path}/status`,
      query: { fieldManager: 'sallyport-controller' },
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion: '7' }, status: { conditions: [FOREIGN, { ...READY, lastTransitionTime: NOW }] } },
    });
  });

  it('sends nothing when the known object is up to date', async () => {
    const { type, status, reason, message, observedGeneration } = READY;
    const current = object('7', [{ observedGeneration, lastTransitionTime: OLD, message, reason, status, type }]);

    expect(await mergePatchStatus(clientThat([]), write({ current }))).to.equal('unchanged');
  });

  it('sends nothing when another controller wrote the same generations as strings', async () => {
    const conditions = [{ ...READY, observedGeneration: '3', lastTransitionTime: OLD }];
    const current = { ...object('7'), status: { conditions, observedGeneration: '3' } };
    const intendAt =
      (observedGeneration: number): (() => StatusIntent) =>
      () => ({ conditions: [{ ...READY, observedGeneration }], fields: { observedGeneration } });

    expect(await mergePatchStatus(clientThat([]), write({ current, intend: intendAt(3) }))).to.equal('unchanged');
    expect(await mergePatchStatus(clientThat([object('8')]), write({ current, intend: intendAt(4) }))).to.equal('updated');
  });

  it('writes further fields when they differ, and removes null ones', async () => {
    const current = {
      ...object('7', [{ ...READY, lastTransitionTime: OLD }]),
      status: { conditions: [{ ...READY, lastTransitionTime: OLD }], a: 1, b: { c: [2] } },
    };
    const client = clientThat([object('8')]);
    const fields = { a: null, b: { c: [2] }, d: null };

    expect(await mergePatchStatus(client, write({ current, intend: () => ({ conditions: [READY], fields }) }))).to.equal('updated');
    expect(requests[0]?.body).to.deep.equal({
      metadata: { resourceVersion: '7' },
      status: { a: null, conditions: [{ ...READY, lastTransitionTime: OLD }] },
    });
  });

  it('reads the object and computes the status again after a conflict', async () => {
    const client = clientThat([conflict, object('9', [FOREIGN]), object('10')]);
    const seen: (string | undefined)[] = [];
    const intend = (current: RawObject): StatusIntent => {
      seen.push(current.metadata?.resourceVersion);
      return { conditions: [READY] };
    };

    expect(await mergePatchStatus(client, write({ current: object('7'), intend }))).to.equal('updated');
    expect(seen).to.deep.equal(['7', '9']);
    expect(requests.at(-1)?.body).to.deep.nested.include({ 'metadata.resourceVersion': '9', 'status.conditions[0]': FOREIGN });
  });

  it('gives up after five conflicts', async () => {
    const client = clientThat([1, 2, 3, 4, 5].flatMap((round) => [object(String(round)), conflict]));
    let thrown: unknown;
    await mergePatchStatus(client, write()).catch((error: unknown) => {
      thrown = error;
    });

    expect(thrown).to.equal(conflict);
    expect(requests).to.have.length(10);
  });

  it('reports a missing object, and writes nothing without a desired status', async () => {
    const gone = new RefusedError('SP_KUBE_NOT_FOUND', 'gone');

    expect(await mergePatchStatus(clientThat([gone]), write())).to.equal('gone');
    expect(await mergePatchStatus(clientThat([gone]), write({ current: object('7') }))).to.equal('gone');
    expect(await mergePatchStatus(clientThat([object('7')]), write({ intend: () => undefined }))).to.equal('unchanged');
  });
});
